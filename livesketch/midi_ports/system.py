"""The MIDI system of this machine, over python-rtmidi (extra ``midi``): which ports there are, and clients of it.

Nothing here is loaded or opened before it is asked for: a machine without MIDI imports livesketch as any other. ALSA is
asked only where Linux has its sequencer (``/dev/snd/seq``), else JACK, so that a machine without sound says why in one
sentence. The libraries' own messages, which would be printed into the prompt, are turned off.
"""

import contextlib
import ctypes
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ..errors import ControlError, MissingExtraError, OutputError

CLIENT: Final = "livesketch"
"""The name under which other programs see this one."""
ECHO: Final = "livesketch echo"
"""A client of ours that is nobody else's business."""
APIS: Final = {
    "alsa": "API_LINUX_ALSA",
    "jack": "API_UNIX_JACK",
    "core": "API_MACOSX_CORE",
    "windows": "API_WINDOWS_MM",
}
_ALSA: Final = Path("/dev/snd/seq")
_NUMBERS: Final = re.compile(r"\s+\d+:\d+$")  # of an ALSA client and port; they change when a device comes back


@dataclass(frozen=True, slots=True)
class Ports:
    """The MIDI ports of this machine, as ``ls.ports()`` finds them."""

    inputs: tuple[str, ...]
    """Names that ``ls.midi_in`` takes: what sends to us."""
    outputs: tuple[str, ...]
    """Names that ``ls.midi`` takes: what hears us."""
    missing: str = ""
    """Why there is no MIDI here, in words; empty where there is."""
    error: type[OutputError | MissingExtraError] = OutputError

    def __repr__(self) -> str:
        if self.missing:
            return f"<no MIDI: {self.missing}>"
        lines = [f"{kind}: {', '.join(map(repr, names)) or 'none'}" for kind, names in
                 (("outputs", self.outputs), ("inputs", self.inputs))]  # fmt: skip
        return f"<MIDI {'; '.join(lines)}>"


def ports(*, api: str | None = None) -> Ports:
    """The names of MIDI inputs and outputs; where there is no MIDI, an object that says why.

    ``api``: ``"alsa"``, ``"jack"``, ``"core"`` or ``"windows"``; left out, the machine's own. ControlError: another
    word.
    """
    _checked_api(api)
    try:
        hears, sends = client("out", api), client("in", api)
    except (OutputError, MissingExtraError) as error:
        return Ports((), (), str(error), type(error))
    try:
        return Ports(names_of(sends), names_of(hears))
    finally:
        hears.delete()
        sends.delete()


def client(kind: str, api: str | None, name: str = CLIENT) -> Any:
    """A client of the MIDI system: an ``rtmidi.MidiOut`` for ``"out"``, an ``rtmidi.MidiIn`` for ``"in"``.

    Raises:
        MissingExtraError: python-rtmidi is not installed.
        OutputError: there is no MIDI system here, or not the one that was asked for.
    """
    rtmidi = rtmidi_module()
    make = rtmidi.MidiOut if kind == "out" else rtmidi.MidiIn
    reasons = []
    for number in _candidates(rtmidi, api):
        try:
            if kind == "out":
                return make(rtapi=number, name=name)
            return make(rtapi=number, name=name, queue_size_limit=8192)
        except (rtmidi.RtMidiError, OSError) as error:
            reasons.append(str(error))
    where = f" ({'; '.join(reasons)})" if reasons else ""
    raise OutputError(
        f"no MIDI system here{where}: expected ALSA (/dev/snd/seq) or a running JACK server on Linux; plug a "
        "device in, load the kernel module snd-seq, or start jackd. ls.midi_file('take.mid') needs none"
    )


def names_of(asked: Any) -> tuple[str, ...]:
    """The names of the ports that a client sees, in the system's order."""
    return tuple(name for name in asked.get_ports() if not name.startswith(ECHO))


def find(wanted: str, names: Sequence[str]) -> str | None:
    """The port that a person means: its whole name, then its name without ALSA's numbers, then part of it."""
    word = wanted.casefold().strip()
    tests: tuple[Callable[[str], bool], ...] = (
        lambda name: name == wanted,
        lambda name: plain(name).casefold() == plain(wanted).casefold(),
        lambda name: bool(word) and word in name.casefold(),
    )
    return next((name for test in tests for name in names if test(name)), None)


def plain(name: str) -> str:
    """A port's name without ALSA's client and port number."""
    return _NUMBERS.sub("", name)


def not_found(wanted: str, names: Sequence[str], maker: str) -> OutputError:
    """The error for a port that is not there, with those that are."""
    there = ", ".join(repr(name) for name in names[:12]) or "none at all"
    return OutputError(
        f"no MIDI port {wanted!r:.80}: there is {there}; give one of these or a part of its name, or leave the name "
        f"out for a port of our own that others connect to: {maker}()"
    )


def _candidates(rtmidi: Any, api: str | None) -> list[int]:
    """The MIDI systems to try, best first."""
    compiled = list(rtmidi.get_compiled_api())
    if api is not None:
        number = getattr(rtmidi, APIS[_checked_api(api)])
        if number not in compiled:
            raise OutputError(f"MIDI system {api!r}: python-rtmidi was built without it here; leave api= out")
        return [number]
    return [number for number in compiled if number != rtmidi.API_LINUX_ALSA or _ALSA.exists()]


def _checked_api(api: str | None) -> str:
    if api is not None and api not in APIS:
        raise ControlError(f"api {api!r:.40}: expected {', '.join(map(repr, APIS))}, or nothing for the machine's own")
    return api or ""


@lru_cache(maxsize=1)
def rtmidi_module() -> Any:
    """The module, with the messages of the libraries below it turned off."""
    try:
        import rtmidi  # noqa: PLC0415 - an extra, loaded when MIDI is first used
    except ImportError as error:
        raise MissingExtraError(
            'MIDI ports need python-rtmidi, which is not installed; try: pip install "livesketch[midi]". '
            "ls.midi_file('take.mid') does not need it"
        ) from error
    if sys.platform.startswith("linux"):
        _hush_libraries(rtmidi)
    return rtmidi


def _hush_libraries(rtmidi: Any) -> None:
    """Gives ALSA and JACK a C function that prints nothing for their messages.

    Python's own would be called in JACK's real-time threads. ``strlen`` reads the first argument, a text in both, and
    does nothing else; with C's calling convention further arguments do no harm.
    """
    with contextlib.suppress(OSError, AttributeError, ImportError):
        silent = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)
        binding = next(iter(Path(rtmidi.__file__).parent.glob("_rtmidi*.so")), None)
        for library in (ctypes.CDLL(None), ctypes.CDLL(os.fspath(binding)) if binding else None):
            for setter in ("jack_set_error_function", "jack_set_info_function", "snd_lib_error_set_handler"):
                function = getattr(library, setter, None)
                if function is not None:
                    function.restype = None
                    function.argtypes = [ctypes.c_void_p]
                    function(silent)
