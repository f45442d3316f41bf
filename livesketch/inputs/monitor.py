"""Shows OSC as it arrives, to see whether anything is coming.

Whatever can send to the port can send anything, so nothing that arrives raises and nothing hangs. python-osc reads
single messages; bundles are taken apart here, because its own reader loops for ever on an element of negative size.
"""

import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Self

from ..errors import ControlError, OutputError
from .osc_read import unbundled

_BUFFER: Final = 65536  # bytes; no UDP datagram is larger
_QUEUE: Final = 1 << 20  # bytes asked of the kernel for datagrams that wait
_POLL: Final = 0.1  # seconds until a closed monitor notices
_DEEPEST: Final = 16  # bundles within bundles, and arrays within arrays
_KNOWN_TYPES: Final = frozenset("ifsbhdtTFNrm[]")
_SHOWN: Final = 200  # characters of one text


class Received(NamedTuple):
    """One message. ``str()`` is a line for people, in which nothing can control a terminal."""

    seconds: float
    """Since the monitor began to listen."""
    address: str
    """Empty for what could not be read; then the only argument says what came."""
    args: tuple[Any, ...]

    def __str__(self) -> str:
        if not self.address:
            return f"{self.seconds:10.3f}  (not OSC) {_plain(str(self.args[0]))}"
        return f"{self.seconds:10.3f}  {' '.join([_plain(self.address), *map(_word, self.args)])}"


class Monitor(Iterator[Received]):
    """An iterator of messages; ``messages`` and ``malformed`` count what came. ``close()`` ends it from anywhere."""

    def __init__(self, port: int, host: str, timeout: float | None) -> None:
        self._timeout = timeout
        self._socket = _listen(port, host)
        self.host, self.port = self._socket.getsockname()[:2]
        self.messages = 0
        self.malformed = 0
        self._ready: deque[Received] = deque()
        self._closed = False
        self._begun = time.monotonic()
        self._until: float | None = None

    def __repr__(self) -> str:
        return f"<monitor of {self.host}:{self.port}: {self.messages} messages, {self.malformed} malformed packets>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __next__(self) -> Received:
        """Waits for the next message; ends ``timeout`` seconds after the first call, or when closed."""
        if self._until is None and self._timeout is not None:
            self._until = time.monotonic() + self._timeout
        while not self._ready:
            left = _POLL if self._until is None else self._until - time.monotonic()
            if left <= 0:
                self.close()
            if self._closed:
                raise StopIteration
            self._wait(min(left, _POLL))
        return self._ready.popleft()

    def close(self) -> None:
        """Frees the port. Twice is harmless."""
        self._closed = True
        self._socket.close()

    def _wait(self, seconds: float) -> None:
        try:
            self._socket.settimeout(seconds)
            packet, sender = self._socket.recvfrom(_BUFFER)
        except TimeoutError:
            return
        except OSError as error:
            if not self._closed:  # an ICMP error some systems report here; the next packet may be sound
                self._bad(f"receiving failed: {error.strerror or error}")
                time.sleep(_POLL)
            return
        seconds = time.monotonic() - self._begun
        try:
            found = read_packet(packet)
        except ValueError as error:
            self._bad(f"{len(packet)} bytes from {sender[0]}:{sender[1]}: {error}")
        else:
            self.messages += len(found)
            self._ready.extend(Received(seconds, *message) for message in found)

    def _bad(self, reason: str) -> None:
        self.malformed += 1
        self._ready.append(Received(time.monotonic() - self._begun, "", (reason,)))


def monitor(port: int, *, host: str = "127.0.0.1", timeout: float | None = None) -> Monitor:
    """Listens for OSC on a UDP port and yields ``(seconds, address, args)`` of each message, bundles taken apart.

    A packet that is not OSC is counted and yielded with an empty address and the reason as its one argument. Only this
    machine is heard, unless ``host`` is another of its addresses (``"0.0.0.0"`` for all). Port 0 takes a free one; see
    ``.port``. With ``timeout`` it ends that many seconds after the first message was asked for.

    ControlError: a port or timeout outside its range. OutputError: the port is in use, or the host is none of ours.
    """
    if not (isinstance(port, int) and 0 <= port <= 65535):
        raise ControlError(f"port {port!r:.60}: expected 0 to 65535; try 9000")
    if timeout is not None and not timeout >= 0:
        raise ControlError(f"timeout {timeout!r:.60}: expected seconds, 0 or more, or None to listen on")
    return Monitor(port, host, timeout)


def read_packet(packet: bytes) -> list[tuple[str, tuple[Any, ...]]]:
    """The messages of one datagram in order: (address, arguments). ValueError: it is not valid OSC."""
    return [_read_message(data) for data in unbundled(packet, _DEEPEST)]


def _read_message(data: bytes) -> tuple[str, tuple[Any, ...]]:
    from pythonosc.osc_message import OscMessage, ParseError  # noqa: PLC0415 - loaded when first used

    if not data.startswith(b"/") or len(data) % 4:
        raise ValueError("neither a message nor a bundle" if data else "an empty packet")
    _check_types(data)
    try:
        message = OscMessage(data)
        return message.address, tuple(message.params)
    except (ParseError, ArithmeticError, LookupError, ValueError, struct.error) as error:
        raise ValueError(f"a message that does not parse: {error}") from error


def _check_types(data: bytes) -> None:
    """ValueError for type tags that python-osc would only warn about, or nest without bound."""
    end = data.find(b"\0")
    start = (end // 4 + 1) * 4
    tags = data[start : data.find(b"\0", start)].decode("latin-1")
    unknown = set(tags[1:]) - _KNOWN_TYPES
    if unknown:
        raise ValueError(f"unknown types {''.join(sorted(unknown))!r:.40}")
    depth = 0
    for tag in tags:
        depth += (tag == "[") - (tag == "]")
        if depth > _DEEPEST:
            raise ValueError(f"arrays within arrays, more than {_DEEPEST} deep")


def _listen(port: int, host: str) -> socket.socket:
    udp = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE)
        udp.bind(address)
    except (OSError, UnicodeError) as error:
        if udp is not None:
            udp.close()
        raise OutputError(
            f"cannot listen on {host}:{port} ({getattr(error, 'strerror', None) or error}): expected a free UDP port "
            f"of this machine; try another port, or close the program that has {port}"
        ) from error
    return udp


def _plain(text: str) -> str:
    """``text`` on one line, without characters that could control a terminal."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in cut)


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return f'"{_plain(value)}"'
    return _plain(str(value))
