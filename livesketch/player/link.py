"""Ableton Link: one beat with all programs of a local network that have it, over the package aalink."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..errors import MissingExtraError, OutputError
from .clock import LiveClock
from .tempo import LEAP, Tempo, within

LOOK: Final = 0.02
"""Seconds between two looks at the session."""
SETTLE: Final = 0.5
"""Seconds between making a peer and joining: without them it sometimes sets the session's tempo
(github.com/artfwo/aalink/issues/7)."""
_BLUR: Final = 0.0005
"""Seconds that reading the session's beat may take to count."""
_NEAR: Final = 2e-4
"""Beats: the beat is where it should be."""
_STEADY: Final = 1e-6
"""Of the tempo: it is what it should be."""
_LOG: Final = logging.getLogger("livesketch")


class Peer(Protocol):
    """What is used of ``aalink.Link``."""

    tempo: float
    """Beats a minute, of the whole session; set, it is the session's."""
    quantum: float
    """Beats after which peers are in phase."""
    enabled: bool

    @property
    def beat(self) -> float:
        """The beat now; of the peers' they are the same modulo ``quantum``."""

    @property
    def num_peers(self) -> int:
        """How many others there are."""

    def force_beat(self, beat: float) -> None:
        """Says that the beat now is this."""


class Session:
    """A tempo and a Link session, each following the other: a tempo that is set here is the session's, and back.

    The session's beat is the master, modulo the bar: ours leaps forward to it, or where it is near goes there a little
    faster or slower, and never goes back.
    """

    def __init__(self, peer: Peer, tempo: Tempo, now: Callable[[], float]) -> None:
        """Begins alone, with the tempo and the beat that there are."""
        self._peer, self._tempo, self._now = peer, tempo, now
        self._bar = float(tempo.bar)
        self._wanted: float | None = None
        self.bpm = tempo.bpm
        """The session's, as it was last."""
        self.peers = 0
        peer.quantum = self._bar
        peer.tempo = self.bpm
        peer.force_beat(tempo.beat(now()))

    def set(self, bpm: float) -> None:
        """From the next step on the tempo of the whole session."""
        self._wanted = bpm

    def step(self) -> None:
        """Brings our beat to the session's."""
        peer = self._peer
        if self._tempo.bar != self._bar:
            self._bar = peer.quantum = float(self._tempo.bar)
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            peer.tempo = wanted
        began = self._now()
        beat = peer.beat
        now = self._now()
        self.bpm = within(float(peer.tempo))
        if now - began < _BLUR:
            self._bring(beat, (began + now) / 2, now)
        self._count(int(peer.num_peers))

    def _bring(self, beat: float, at: float, now: float) -> None:
        """Our beat to the session's, which was this at that moment."""
        theirs = beat + (now - at) * self.bpm / 60
        away = (theirs - self._tempo.beat(now) + LEAP) % self._bar - LEAP  # behind by little, or else ahead
        if abs(away) > _NEAR or abs(self.bpm / self._tempo.bpm - 1) > _STEADY:
            self._tempo.lead(self._tempo.beat(now) + away, now, self.bpm, at_once=away > LEAP)

    def _count(self, peers: int) -> None:
        if peers != self.peers:
            self.peers = peers
            _LOG.warning("Link: %d peer%s, %.4g bpm", peers, "" if peers == 1 else "s", self.bpm)


def new_peer(bpm: float) -> Any:
    """An ``aalink.Link`` of the running event loop, not in any session yet.

    Raises:
        MissingExtraError: aalink is not installed, or does not load here.
    """
    try:
        import aalink  # noqa: PLC0415 - an extra, loaded when Link is first asked for
    except ImportError as error:
        raise MissingExtraError(
            f"Ableton Link needs aalink, which does not load here ({error}); try: "
            'pip install "livesketch[link]". ls.clock.follow() and ls.clock.send() do without it'
        ) from error
    return aalink.Link(bpm)


class Linking:
    """A session that is kept by a thread of its own, in which aalink's event loop runs."""

    def __init__(self, tempo: Tempo) -> None:
        self._tempo = tempo
        self._begun, self._done = threading.Event(), threading.Event()
        self._session: Session | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="livesketch-link", daemon=True)

    def __repr__(self) -> str:
        return f"Link, {self.peers} peer{'' if self.peers == 1 else 's'}"

    @property
    def peers(self) -> int:
        """How many others there are."""
        return 0 if self._session is None else self._session.peers

    @property
    def bpm(self) -> float | None:
        """The session's; None: not known yet."""
        return None if self._session is None else self._session.bpm

    def start(self) -> None:
        """Joins, within a second; returns at once.

        Raises:
            MissingExtraError: aalink is not installed, or does not load here.
            OutputError: Link cannot be had here.
        """
        self._thread.start()
        self._begun.wait(5)
        if isinstance(self._error, MissingExtraError):
            raise self._error
        if self._error is not None:
            raise OutputError(f"Ableton Link cannot be had here: {self._error}") from self._error

    def set(self, bpm: float) -> None:
        """The tempo of the whole session; before it has begun, what it begins with."""
        if self._session is not None:
            self._session.set(bpm)

    def close(self) -> None:
        """Leaves the session. Twice is harmless."""
        self._done.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5)

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        except Exception as error:  # noqa: BLE001 - of a library in C++; it is said, and the beat goes on
            self._error = error
            _LOG.error("Link: %s", error)
        finally:
            self._begun.set()

    async def _keep(self) -> None:
        peer = new_peer(self._tempo.bpm)
        self._begun.set()
        await asyncio.sleep(SETTLE)
        if self._done.is_set():
            return
        self._session = Session(peer, self._tempo, LiveClock().now)
        peer.enabled = True
        try:
            while not self._done.is_set():
                self._session.step()
                await asyncio.sleep(LOOK)
        finally:
            peer.enabled = False
            self._session = None
