"""``ls.listen``: OSC in. Closed until asked, and then heard by this machine only."""

import atexit
import contextlib
import os
import threading
import time
from types import TracebackType
from typing import Final, Self

from ..errors import ControlError
from ..inputs.osc_port import OscPort, Sender
from ..inputs.osc_read import Message
from ..outputs.osc_wire import INT_MAX, MAX_DATAGRAM, osc_message
from ..player.playable import AnyPlayer
from ..player.roster import players
from ..values import whole
from .arguments import count
from .board import SILENCES, Board, kind_of, part_of

KINDS: Final = ("packet", "address", "player", "value", "failed")
"""What can be wrong: no OSC; nothing at that address; nothing plays under that name; an argument; anything else."""

ANSWERS: Final = 50
"""Most datagrams that are sent back in a second: whoever forges a sender makes no flood of it."""

_PING: Final = "/livesketch/ping"
_PINGS: Final = 16
_OURS: Final = frozenset({"/livesketch/pong", "/livesketch/error"})
"""What livesketch itself says: never answered, so that two listeners do not talk to each other."""

_HEAD: Final = 32
"""Bytes of a pong without players: address, type tags, their number; padding."""
_EACH: Final = 15
"""Bytes of a player besides its words, at most: their ends and padding, the steps, the type tags."""

_listeners: Final[dict[tuple[str, int], "Listener"]] = {}
_changing = threading.RLock()


class Listener:
    """Hears OSC and does what it says; made by ``livesketch.listen``. Also a context manager that stops it at the end.

    ``heard`` counts messages, ``done`` those that did what they say, ``dropped`` those for which there was no room,
    ``cancelled`` those that waited when everything was stopped. What went wrong is in ``errors``, ``kinds`` and
    ``last_error``; nothing is printed.
    """

    def __init__(self, port: int, host: str, *, answer: int | None, files: bool) -> None:
        self._answer = answer
        self._board = Board(files=files)
        self._kinds = dict.fromkeys(KINDS, 0)
        self.done = self.dropped = self.cancelled = 0
        self.last_error = ""
        self._second, self._answered = 0, 0
        self._counting = threading.Lock()
        self._port = OscPort(port, host, self._urgent, self._do, self._count)

    def __repr__(self) -> str:
        state = "listening" if self.listening else "stopped, listened"
        kinds = ", ".join(f"{kind} {count}" for kind, count in self._kinds.items() if count)
        errors = f"{self.errors} errors" + (f" ({kinds})" if kinds else "")
        last = f"; last error: {self.last_error}" if self.last_error else ""
        return f"<{state} on {self.host}:{self.port}: {self.heard} messages, {errors}, {self.dropped} dropped{last}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def host(self) -> str:
        """The address that is listened on."""
        return str(self._port.host)

    @property
    def port(self) -> int:
        """The port, also where 0 was asked for."""
        return int(self._port.port)

    @property
    def listening(self) -> bool:
        """Whether it hears."""
        return self._port.open

    @property
    def heard(self) -> int:
        """Messages that came."""
        return self._port.heard

    @property
    def errors(self) -> int:
        """How much was wrong."""
        return sum(self._kinds.values())

    @property
    def kinds(self) -> dict[str, int]:
        """Of that, how much of each kind: ``packet``, ``address``, ``player``, ``value``, ``failed``."""
        return dict(self._kinds)

    def start(self) -> Self:
        """Begins to hear; ``livesketch.listen`` does it."""
        self._port.start()
        return self

    def stop(self) -> None:
        """Frees the port; what plays plays on. Twice is harmless."""
        self._port.close()
        with _changing:
            for key in [key for key, listener in _listeners.items() if listener is self]:
                del _listeners[key]

    def abandon(self) -> None:
        """In a forked child: its sockets are closed."""
        self._port.abandon()

    def _urgent(self, message: Message) -> bool:
        """What does not wait for its turn; of pings only so many that the others find room."""
        if message.address in SILENCES:
            return True
        return message.address == _PING and len(self._port.urgent) < _PINGS

    def _do(self, message: Message, sender: Sender) -> None:
        if message.address == _PING:
            self._pong(message, sender)
        elif message.address in _OURS:  # never answered
            self._note("address", f"{message.address}: expected what livesketch understands; see docs/osc.md")
            return
        else:
            before = self._board.silences
            self._board.do(message)
            if message.address in SILENCES and self._board.silences != before:
                self.cancelled += self._port.inbox.clear()
        with self._counting:
            self.done += 1

    def _count(self, kind: str, err: BaseException, sender: Sender | None) -> None:
        if kind == "dropped":
            with self._counting:
                self.dropped += 1
                self.last_error = _plain(str(err))
            return
        kind = kind_of(err) if kind == "asked" else kind
        said = str(err) if kind in {"address", "player", "value"} else f"{type(err).__name__}: {err}"
        self._note(kind, said)
        if self._answer is not None and sender is not None and kind != "packet":
            self._reply(osc_message("/livesketch/error", "s", self.last_error).dgram, sender, self._answer)

    def _note(self, kind: str, said: str) -> None:
        with self._counting:  # several threads count
            self._kinds[kind] += 1
            self.last_error = _plain(said)

    def _pong(self, message: Message, sender: Sender) -> None:
        port = count("ping", message.args, 1, 65535) if message.args else self._answer or 0
        types, running, left = "i", list(players().values()), MAX_DATAGRAM - _HEAD
        values: list[str | int] = []
        for player in running:
            more = (part_of(player.name) or "", _state(player), player.stats().steps & INT_MAX)
            left -= len(more[0]) + len(more[1]) + _EACH
            if left < 0:
                break
            types, values = types + "ssi", [*values, *more]
        self._reply(osc_message("/livesketch/pong", types, len(running), *values).dgram, sender, port)

    def _reply(self, packet: bytes, sender: Sender, port: int) -> None:
        """Sends to a port of the sender's machine, 0: the one it sent from; so many a second."""
        second = int(time.monotonic())
        with self._counting:
            self._answered = self._answered + 1 if second == self._second else 1
            self._second, allowed = second, self._answered <= ANSWERS
        if allowed:
            with contextlib.suppress(OSError, OverflowError):  # whoever asked is away
                self._port.send(packet, (sender[0], port or sender[1], *sender[2:]))


def _state(player: AnyPlayer) -> str:
    return "paused" if player.paused else "muted" if player.muted else "playing"


def _plain(text: str) -> str:
    """One line, short, in which nothing can control a terminal or end an OSC string."""
    return "".join(c if c.isprintable() else " " for c in text[:200])


def listen(port: int = 9001, host: str = "127.0.0.1", *, answer: int | None = None, files: bool = False) -> Listener:
    """Listens to OSC from now on: ``/livesketch/<name>/temperature 0.4`` and the like; see ``docs/osc.md``.

    Nothing listens before this is called. Only this machine is heard unless ``host`` is another of its addresses:
    ``"0.0.0.0"`` lets everybody in the network play along. Listening again on the same port takes the place of what
    listened there before.

    Args:
        port: UDP, 1 to 65535; 0 takes a free one, see ``.port``.
        host: the address to listen on.
        answer: where errors are told, as ``/livesketch/error s``: a port on the sender's machine, 0 for the one that it
            sent from; None: nowhere, they are counted. Also where ``/livesketch/pong`` goes if the ping names no port.
        files: whether ``/swap`` may open any file, and fetch ``magenta:`` models; else bundled models only.

    Raises:
        ControlError: a port out of range.
        OutputError: the port is in use, or the host is none of this machine's.
    """
    port = whole("port", port, 0, 65535)
    if answer is not None:
        whole("answer", answer, 0, 65535)
    if not isinstance(host, str) or not host:
        raise ControlError(f"host {host!r:.60}: expected an address of this machine, such as '127.0.0.1'")
    with _changing:
        before = _listeners.get((host, port))
        if before is not None:
            before.stop()
        listener = Listener(port, host, answer=answer, files=files).start()
        _listeners[host, listener.port] = listener
        return listener


def _stop_all() -> None:
    for listener in list(_listeners.values()):
        listener.stop()


def _forget() -> None:
    """In a forked child nobody listens: the threads stayed with the parent, and so shall the ports."""
    global _changing  # noqa: PLW0603 - the lock may have been held by a thread that is not in this process
    _changing = threading.RLock()
    for listener in list(_listeners.values()):
        listener.abandon()
    _listeners.clear()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
