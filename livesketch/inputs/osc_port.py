"""A UDP port that is listened to: one thread hears and never waits, two others do what was asked, each in order."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ..errors import OutputError
from .inbox import MOST, Inbox
from .osc_read import Message, read

Sender: TypeAlias = tuple[Any, ...]
"""The address of a socket that sent something."""

THREADS: Final = "livesketch-listen-"
"""What the names of its threads begin with."""
STOP_LIMIT: Final = 5.0
"""Longest wait for what is being done when the port is closed, seconds."""
_LARGEST: Final = 65536
"""Bytes; no UDP datagram is larger."""
_KERNEL: Final = 1 << 20
"""Bytes asked of the system for datagrams that were not read yet."""
_TURN: Final = 64
"""Datagrams that are read in one go."""
_REST: Final = 0.001
"""Seconds behind a full turn: under a flood the players' threads come first."""
_PAUSE: Final = 0.05
"""Seconds to wait where receiving itself fails."""
_URGENT: Final = 64
"""Urgent messages that may wait."""


class OscPort:
    """Hands each message to ``do``, in a thread of its own: one after the other, the urgent ones in another thread.

    ``count(kind, error, sender)`` is told what went wrong: ``packet`` (not OSC), ``dropped`` (too many wait), and, as
    ``asked``, whatever ``do`` raises.
    """

    def __init__(
        self,
        port: int,
        host: str,
        urgent: Callable[[Message], bool],
        do: Callable[[Message, Sender], None],
        count: Callable[[str, Exception | SystemExit, Sender | None], None],
    ) -> None:
        self._udp = _bound(port, host)
        self.host, self.port = self._udp.getsockname()[:2]
        self._is_urgent, self._do, self._count = urgent, do, count
        self.inbox: Inbox[tuple[Message, Sender]] = Inbox(MOST)
        self.urgent: Inbox[tuple[Message, Sender]] = Inbox(_URGENT)
        self.heard = 0
        """Messages."""
        self._closed = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._threads = [self._thread("", self._hear)]
        self._threads += [self._thread("-do", self._work, self.inbox), self._thread("-urgent", self._work, self.urgent)]

    def _thread(self, what: str, run: Callable[..., None], *of: Any) -> threading.Thread:
        return threading.Thread(target=run, args=of, name=f"{THREADS}{self.port}{what}", daemon=True)

    def start(self) -> None:
        """Begins to hear."""
        for thread in self._threads:
            thread.start()

    @property
    def open(self) -> bool:
        """Whether it hears."""
        return not self._closed.is_set()

    def send(self, packet: bytes, to: Sender) -> None:
        """A datagram from this very port. OSError: it could not be sent."""
        self._udp.sendto(packet, to)

    def close(self) -> None:
        """Frees the port and ends the threads; what waits is not done. Twice is harmless.

        Returns when that is so, or after 5 s where something that is being done does not come back.
        """
        if not self._closed.is_set():
            self._closed.set()
            self.inbox.close()
            self.urgent.close()
            with contextlib.suppress(OSError):  # it may have seen that already, and be gone
                self._waker.send(b"\0")
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(STOP_LIMIT)

    def abandon(self) -> None:
        """In a forked child, which has the sockets and not the threads."""
        self._closed.set()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for one in (self._udp, self._wake, self._waker):
            one.close()

    def _hear(self) -> None:
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(self._udp, selectors.EVENT_READ)
                ready.register(self._wake, selectors.EVENT_READ)
                while not self._closed.is_set():
                    ready.select()
                    self._read_all()
        finally:
            self._close_sockets()

    def _read_all(self) -> None:
        for _ in range(_TURN):
            if self._closed.is_set():
                return
            try:
                packet, sender = self._udp.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError as err:  # some systems report here that an answer did not arrive
                self._count("packet", err, None)
                time.sleep(_PAUSE)
                return
            self._take(packet, sender)
        time.sleep(_REST)

    def _take(self, packet: bytes, sender: Sender) -> None:
        try:
            messages = read(packet)
        except ValueError as err:
            self._count("packet", err, sender)
            return
        self.heard += len(messages)
        for message in messages:
            box = self.urgent if self._is_urgent(message) else self.inbox
            if not box.put((message, sender), message.size):
                full = f"{message.address}: {len(box)} messages wait to be done; send fewer"
                self._count("dropped", OverflowError(full), sender)

    def _work(self, box: Inbox[tuple[Message, Sender]]) -> None:
        while (item := box.get()) is not None:
            try:
                self._do(*item)
            except (Exception, SystemExit) as err:  # noqa: BLE001 - whatever a stream of a person's raises
                self._count("asked", err, item[1])


def _bound(port: int, host: str) -> socket.socket:
    udp = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL)
        udp.setblocking(False)
        udp.bind(address)
    except (OSError, UnicodeError) as err:
        if udp is not None:
            udp.close()
        raise OutputError(
            f"cannot listen on {host}:{port} ({getattr(err, 'strerror', None) or err}): expected a free UDP port of "
            f"this machine; try port {port % 65535 + 1}, or 0 for a free one, or close the program that has {port}"
        ) from err
    return udp
