"""Addresses and what they do: literal ones, looked up, never matched as patterns."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final, TypeAlias

import numpy as np

from ..errors import ControlError, LivesketchError, OutputError
from ..inputs.osc_read import Message
from ..outputs.osc_wire import osc_name
from ..player.conductor import clock
from ..player.playable import AnyPlayer
from ..player.roster import players
from . import arguments
from .arguments import Args
from .strokes import Pad, can, checked, feed, polyline
from .swap import swap

_Act: TypeAlias = Callable[[AnyPlayer, Args], None]

SILENCES: Final = frozenset({"/livesketch/hush", "/livesketch/panic"})
"""What stops everything."""
_PATTERN: Final = frozenset("*?[]{}")


class UnknownAddressError(Exception):
    """Nothing listens to that address."""


class NoPlayerError(Exception):
    """Nothing plays under that name."""


class Board:
    """What OSC messages may do to the players; without a socket, so that anything can play on it."""

    def __init__(self, *, files: bool) -> None:
        self._files = files
        self._pads: dict[str, Pad] = {}
        self._told: dict[tuple[str, str], tuple[int, Any]] = {}
        """What a control was set to last, and for which stream."""
        self.silences = 0
        """How often everything was stopped."""
        self._acts: dict[str, _Act] = {
            "rate": _rate, "pause": _pause, "resume": _resume, "stop": _stop, "mute": _mute, "solo": _solo,
            "restart": _restart, "rewind": _rewind, "prompt": _prompt, "first_line": _first_line,
            "acrostic": _acrostic, "swap": self._swap, "z": self._z, "label": self._label, "feed": self._feed,
            "feed/begin": self._feed_begin, "feed/point": self._feed_point, "feed/end": self._feed_end,
            "feed/commit": self._feed_commit, "feed/clear": self._feed_clear,
        }  # fmt: skip
        for control in ("temperature", "top_p", "min_p"):
            self._acts[control] = partial(self._control, control, arguments.number)
        for control in ("mode", "convention"):
            self._acts[control] = partial(self._control, control, arguments.word)
        self._acts["top_k"] = partial(self._control, "top_k", arguments.natural)

    def do(self, message: Message) -> None:
        """Does what a message asks for.

        Raises:
            UnknownAddressError, NoPlayerError.
            LivesketchError: an argument that is wrong, or cannot be had.
            Whatever a stream of a person's raises.
        """
        parts = message.address.split("/")
        if parts[:2] != ["", "livesketch"] or len(parts) < 3:
            raise UnknownAddressError(f"{message.address!r:.80}: expected /livesketch/<name>/...")
        if not _PATTERN.isdisjoint(message.address):
            raise UnknownAddressError(f"{message.address!r:.80}: a pattern; expected an address letter by letter")
        if parts[2:] == ["bpm"]:
            clock.bpm = arguments.number("bpm", message.args)
            return
        if message.address in SILENCES:
            self._silence(message)
            return
        act = self._found("/".join(parts[3:]))
        if act is None:
            raise UnknownAddressError(f"{message.address!r:.80}: nothing of that name; see docs/osc.md")
        for player in self._named(parts[2]):
            act(player, message.args)

    def _silence(self, message: Message) -> None:
        if arguments.switch(message.address, message.args):
            self.silences += 1
            for player in players().values():  # they are asked, not waited for: each lifts its pen by itself
                player.ask_to_stop(panic=message.address.endswith("panic"))

    def _found(self, command: str) -> _Act | None:
        act = self._acts.get(command)
        first, _, place = command.partition("/")
        if act is None and first == "z" and len(place) <= 5 and place.isascii() and place.isdigit():
            return lambda player, args: self._z_at(player, int(place), args)
        return act

    def _named(self, part: str) -> list[AnyPlayer]:
        """The players whose address this is: several where their names differ in what an address cannot hold."""
        wanted, running = part_of(part), players()
        found = [player for name, player in running.items() if wanted is not None and part_of(name) == wanted]
        if not found:
            plays = ", ".join(sorted(filter(None, map(part_of, running)))[:8])
            raise NoPlayerError(f"no player {part!r:.60}: {f'expected one of {plays}' if plays else 'nothing plays'}")
        for gone in [name for name in self._pads if name not in running]:
            del self._pads[gone]
        return found

    def _control(self, control: str, read: Callable[[str, Args], Any], player: AnyPlayer, args: Args) -> None:
        self._set(player, control, read(control, args))

    def _set(self, player: AnyPlayer, control: str, value: Any) -> None:
        """Sets a stream's control; the same again, as programs send that send every frame, takes nothing back."""
        stream: Any = player.stream
        if not hasattr(stream, control):
            raise ControlError(f"{control}: {player.name!r:.40} has none, it is {stream!r:.80}")
        key, told = (player.name, control), (id(stream), value)
        if self._told.get(key) == told and np.array_equal(getattr(stream, control), value):
            return
        try:
            setattr(stream, control, value)
        except AttributeError as err:
            raise ControlError(f"{control}: that of {player.name!r:.40} cannot be set, it is {stream!r:.80}") from err
        if len(self._told) > 10_000:
            self._told.clear()
        self._told[key] = told

    def _label(self, player: AnyPlayer, args: Args) -> None:
        self._set(player, "label", arguments.label(args))

    def _z(self, player: AnyPlayer, args: Args) -> None:
        """Nothing at all: the model's own way again."""
        vector = arguments.numbers("z", args, 0, arguments.MOST_NUMBERS, "as many numbers as the model's latent has")
        self._set(player, "z", vector or None)

    def _z_at(self, player: AnyPlayer, place: int, args: Args) -> None:
        """One number of it, the others as they are."""
        stream: Any = player.stream
        value = arguments.number(f"z/{place}", args)
        z = getattr(stream, "z", None)
        if z is None or place >= z.shape[-1]:
            has = "no latent" if z is None or not z.size else f"one of {z.shape[-1]} numbers, from 0"
            raise ControlError(f"z/{place}: {player.name!r:.40} has {has}")
        if (z[..., place] != value).any():
            z[..., place] = value
            stream.z = z

    def _swap(self, player: AnyPlayer, args: Args) -> None:
        seed = arguments.count("seed", args[1:], 0, 2**53) if len(args) > 1 else None
        model, before = arguments.word("swap", args[:1]), self.silences
        swap(player, model, seed, files=self._files, stopped=lambda: self.silences != before)

    def _feed(self, player: AnyPlayer, args: Args) -> None:
        """A stroke at once; for what writes, a text."""
        stream: Any = player.stream
        if can(stream, "prompt"):
            stream.feed(arguments.word("feed", args))
            return
        checked(stream, player.name)
        wanted = "the points of a stroke, x y x y ..."
        feed(stream, [polyline(arguments.numbers("feed", args, 2, arguments.MOST_NUMBERS, wanted))])

    def _pad(self, player: AnyPlayer) -> Pad:
        checked(player.stream, player.name)
        return self._pads.setdefault(player.name, Pad())

    def _feed_begin(self, player: AnyPlayer, args: Args) -> None:
        pad, place = self._pad(player), arguments.numbers("feed/begin", args, 0, 2, "nothing, or x and y")
        pad.begin()
        pad.add(place)

    def _feed_point(self, player: AnyPlayer, args: Args) -> None:
        wanted = "x and y, or several points, x y x y ..."
        self._pad(player).add(arguments.numbers("feed/point", args, 2, arguments.MOST_NUMBERS, wanted))

    def _feed_end(self, player: AnyPlayer, args: Args) -> None:
        pad, place = self._pad(player), arguments.numbers("feed/end", args, 0, 2, "nothing, or x and y")
        pad.add(place)
        pad.end()

    def _feed_commit(self, player: AnyPlayer, args: Args) -> None:
        if arguments.switch("feed/commit", args):
            feed(checked(player.stream, player.name), self._pad(player).take())

    def _feed_clear(self, player: AnyPlayer, args: Args) -> None:
        if arguments.switch("feed/clear", args):
            self._pad(player).take()


@lru_cache(maxsize=1024)
def part_of(name: str) -> str | None:
    """A name as part of an address; None where it can be none."""
    try:
        return osc_name(name)
    except OutputError:
        return None


def _rate(player: AnyPlayer, args: Args) -> None:
    player.rate = arguments.number("rate", args)


def _pause(player: AnyPlayer, args: Args) -> None:
    if arguments.switch("pause", args):
        player.pause()


def _resume(player: AnyPlayer, args: Args) -> None:
    if arguments.switch("resume", args):
        player.resume()


def _stop(player: AnyPlayer, args: Args) -> None:
    if arguments.switch("stop", args):
        player.ask_to_stop()


def _mute(player: AnyPlayer, args: Args) -> None:
    (player.mute if arguments.switch("mute", args) else player.unmute)()


def _solo(player: AnyPlayer, args: Args) -> None:
    (player.solo if arguments.switch("solo", args) else player.unsolo)()


def _restart(player: AnyPlayer, args: Args) -> None:
    if arguments.switch("restart", args):
        _method(player, "restart")()


def _rewind(player: AnyPlayer, args: Args) -> None:
    _method(player, "rewind")(arguments.count("rewind", args or (1,), 1, 10**6))


def _prompt(player: AnyPlayer, args: Args) -> None:
    _method(player, "prompt")(arguments.word("prompt", args))


def _first_line(player: AnyPlayer, args: Args) -> None:
    _method(player, "first_line")(arguments.word("first_line", args))


def _acrostic(player: AnyPlayer, args: Args) -> None:
    _method(player, "acrostic")(arguments.word("acrostic", args))


def _method(player: AnyPlayer, name: str) -> Callable[..., Any]:
    """What the stream can do.

    Raises:
        ControlError: it cannot.
    """
    if not can(player.stream, name):
        raise ControlError(f"{name}: {player.name!r:.40} has none, it is {player.stream!r:.80}")
    method: Callable[..., Any] = getattr(player.stream, name)
    return method


def kind_of(err: BaseException) -> str:
    """What went wrong, in a word."""
    if isinstance(err, UnknownAddressError):
        return "address"
    if isinstance(err, NoPlayerError):
        return "player"
    return "value" if isinstance(err, LivesketchError) else "failed"
