"""OSC over UDP: a socket, a rate, and when what is said (``osc_speech``) goes out.

Only the types ``i``, ``f`` and ``s`` are sent, in datagrams of at most 1,400 bytes, and always valid ones: some
receivers crash on anything else. python-osc builds the bytes; which bytes is settled here.
"""

import socket
import time
from collections import deque

from ..events import Event
from .base import Stage
from .osc_options import Mode, checked_delay, checked_mode, checked_rate
from .osc_speech import WRONG, Speech
from .osc_wire import resolve
from .pacing import due

_SEND_TIMEOUT = 0.05  # seconds; a full send buffer may not stop the clock for longer
_MAX_QUEUE = 4096  # messages; nobody ticks, so they go without waiting


class OscOutput:
    """Sends events to one receiver over UDP and goes on when it is away.

    ``sent`` and ``datagrams`` count the messages and datagrams handed to the network, ``errors`` what was refused
    or could not be sent, and ``last_error`` says why in words. UDP itself loses without a word; the last number of
    ``/state`` lets a receiver see it.

    Opened by a player it queues, and ``tick`` sends what is queued at most ``rate`` times a second, several messages
    to a datagram. Nothing queued is dropped and nothing stays behind: what does not fit one datagram of 1,400 bytes
    goes in several at once, so ``rate`` is exceeded only when more than ``rate`` x 1,400 bytes a second arrive, and
    by ``lift`` and ``close``, which send at once. Not opened, or closed, every ``send`` goes out at once.
    """

    paces = False
    may_drop = False
    queues = True

    def __init__(
        self, target: str, *, rate: float = 120.0, mode: Mode = "hold", latency: float = 0.0, nudge: float = 0.0
    ) -> None:
        self._target = target
        self._family, self._address = resolve(target)
        self.rate = checked_rate(rate)
        self.mode, self._late = checked_mode(mode), checked_delay(latency, nudge)
        self._held: deque[tuple[float, Event]] = deque()
        self.sent = 0
        self.datagrams = 0
        self.errors = 0
        self.last_error = ""
        self._socket: socket.socket | None = None
        self._opened = False
        self._speech = Speech(self._count)
        self._flushed: float | None = None
        self._now: float | None = None
        """The player's clock at the last tick."""
        self._at = 0.0
        """When the last event was due, on that clock."""

    def __repr__(self) -> str:
        trouble = f", last error: {self.last_error}" if self.last_error else ""
        return f"<osc {self._target} at {self.rate:g}/s: {self.sent} messages sent, {self.errors} errors{trouble}>"

    def open(self, name: str, voices: int, stage: Stage) -> None:  # noqa: ARG002 - the numbers need no stage
        """A player starts; with several voices each has its own address, ``<name>/<k>``. OutputError: a bad name."""
        self._speech.open(name, voices)
        self._opened = True

    def send(self, event: Event) -> None:
        """Queues the event's messages, or sends them at once when no player has opened this output."""
        if self._opened and self.mode == "hold" and self._late:
            self._hold(event)
        else:
            self._take(event)
        if not self._opened or len(self._speech.queue) >= _MAX_QUEUE:
            self._flush()

    def tick(self, now: float) -> None:
        """Adds what is due every second, then sends the queue if ``rate`` allows; ``now`` in seconds."""
        self._now = now
        while self._held and self._held[0][0] <= now:
            self._take(self._held.popleft()[1])
        if self._opened:
            self._speech.regular(now)
        if self._speech.queue and (self.mode == "timetag" or due(self._flushed, now, 1.0 / self.rate)):
            self._flushed = now
            self._flush()

    def lift(self) -> None:
        """Ends the strokes that are open, tells every voice's ``/state``, and sends all that is queued."""
        while self._held:
            self._take(self._held.popleft()[1])
        self._speech.lift()
        self._flush()

    def close(self) -> None:
        """Sends all that is queued and closes the socket. A later ``open`` or ``send`` goes on."""
        self._flush()
        self._opened = False
        self._speech.close()
        self._drop_socket()

    @property
    def next_tick(self) -> float | None:
        """When something that is held is due, on the player's clock; None: nothing is held."""
        return self._held[0][0] if self._held else None

    def _hold(self, event: Event) -> None:
        try:
            self._held.append((event.at + self._late, event))
        except WRONG as error:
            self._count(f"{type(event).__name__} not sent: {error}")

    def _take(self, event: Event) -> None:
        try:
            self._at = event.at
            self._speech.take(event)
        except WRONG as error:
            self._count(f"{type(event).__name__} not sent: {error}")

    def _flush(self) -> None:
        timed = self.mode == "timetag" and self._opened and self._now is not None
        moment = time.time() + self._at + self._late - (self._now or 0.0) if timed else None  # wall time: only here
        for count, packet in self._speech.packets(moment):
            try:
                self._send_datagram(packet)
            except OSError as error:
                self._count(f"{count} messages not sent to {self._target}: {error.strerror or error}")
                self._drop_socket()  # a new one finds its way anew, should the network have changed
            else:
                self.sent += count
                self.datagrams += 1

    def _send_datagram(self, packet: bytes) -> None:
        try:
            self._connected().send(packet)
        except ConnectionRefusedError as error:
            # The kernel reports the refusal of an *earlier* datagram and has not sent this one.
            self._count(f"an earlier datagram was refused by {self._target}: {error.strerror}; is it listening?")
            self._connected().send(packet)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            udp = socket.socket(self._family, socket.SOCK_DGRAM)
            try:
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                udp.settimeout(_SEND_TIMEOUT)
                udp.connect(self._address)  # so that a refusal is reported
            except OSError:
                udp.close()
                raise
            self._socket = udp
        return self._socket

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = reason

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def osc(
    target: str, *, rate: float = 120.0, mode: Mode = "hold", latency: float = 0.0, nudge: float = 0.0
) -> OscOutput:
    """An output that sends OSC over UDP to ``"host:port"``, such as ``ls.osc("127.0.0.1:9000")``.

    ``rate`` is the most datagrams per second; above it several messages share a datagram and none is dropped.
    ``latency`` is by how many seconds everything comes later than it is due, and ``nudge`` what is added to that for
    this receiver alone, also below 0; together 0 to 10. ``mode`` is ``hold``, which sends when it is due there, for any
    receiver; or ``timetag``, which sends at once in bundles that say when they are due, for receivers that wait for
    that, whatever the network does meanwhile (liblo; sclang tells its functions the moment; Pure Data plays at once).
    IPv6 addresses stand in brackets: ``"[::1]:9000"``. The name is resolved once, here. OutputError: a target that
    cannot be read or resolved. ControlError: a rate that is not above 0.
    """
    return OscOutput(target, rate=rate, mode=mode, latency=latency, nudge=nudge)
