"""Ableton Link: one beat with others, over a fake session, and over a real one where multicast serves."""

import itertools
import math
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import livesketch as ls
from livesketch.player import link as link_module
from livesketch.player.conductor import Conductor
from livesketch.player.link import Session
from livesketch.player.tempo import Tempo


class FakePeer:
    """Stands for ``aalink.Link``: a line of its own, on a clock that a test moves, or the machine's."""

    def __init__(self, bpm: float = 120.0, now=None) -> None:
        self._now = now or time.monotonic
        self._bpm, self._beat, self._at = bpm, 0.0, self._now()
        self.quantum = 4.0
        self.enabled = False
        self.num_peers = 0
        self.forced: list[float] = []

    @property
    def beat(self) -> float:
        return self._beat + (self._now() - self._at) * self._bpm / 60

    @property
    def tempo(self) -> float:
        return self._bpm

    @tempo.setter
    def tempo(self, bpm: float) -> None:
        self._beat, self._at, self._bpm = self.beat, self._now(), bpm

    def force_beat(self, beat: float) -> None:
        self.forced.append(beat)
        self._beat, self._at = beat, self._now()

    def jump(self, beats: float) -> None:
        self._beat += beats


class Time:
    def __init__(self) -> None:
        self.at = 50.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakePeer]:
    """Peers that ``ls.clock.link`` makes."""
    peers: list[FakePeer] = []

    def make(bpm: float) -> FakePeer:
        peers.append(FakePeer(bpm))
        return peers[-1]

    monkeypatch.setattr(link_module, "new_peer", make)
    monkeypatch.setattr(link_module, "SETTLE", 0.0)
    return peers


def wait_for(true, seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.005)


# Bad input


def test_without_aalink_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aalink", None)
    clock = Conductor()
    with pytest.raises(ls.MissingExtraError, match=r'pip install "livesketch\[link\]"'):
        clock.link()
    assert clock.peers == 0
    clock.unlink()
    clock.bpm = 100
    assert clock.bpm == 100


def test_a_library_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no socket")

    monkeypatch.setattr(link_module, "new_peer", fails)
    clock = Conductor()
    with pytest.raises(ls.OutputError, match="no socket"):
        clock.link()
    assert "Link" not in repr(clock)


@pytest.mark.parametrize("bpm", [19, 1000, math.nan, "fast"])
def test_a_tempo_out_of_range_reaches_nobody(bpm: object, made: list[FakePeer]) -> None:
    clock = Conductor()
    clock.link()
    wait_for(lambda: made[0].enabled)
    with pytest.raises(ls.ControlError):
        clock.bpm = bpm  # type: ignore[assignment]
    assert made[0].tempo == 120
    clock.unlink()


# A session, on a clock of the test's


def test_it_begins_with_our_tempo_beat_and_bar() -> None:
    now = Time()
    tempo, peer = Tempo(96, at=20.0), FakePeer(now=now)
    tempo.bar = 3
    Session(peer, tempo, now)
    assert (peer.tempo, peer.quantum, peer.forced) == (96, 3.0, [tempo.beat(50.0)])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["theirs", "ours", "jump", "wait", "bar", "peers"]), st.floats(20, 999), st.floats(-9, 9)
        ),
        max_size=15,
    )
)
def test_whatever_others_do_the_beat_grows_and_comes_where_the_sessions_is(told) -> None:
    now = Time()
    tempo, peer = Tempo(120, at=20.0), FakePeer(now=now)
    session = Session(peer, tempo, now)
    last = tempo.beat(now())
    for kind, bpm, beats in [*told, ("wait", 0.0, 0.0)]:
        if kind == "theirs":
            peer.tempo = bpm
        elif kind == "ours":
            session.set(bpm)
        elif kind == "jump":
            peer.jump(beats)
        elif kind == "bar":
            tempo.bar = 1 + int(abs(beats))
        elif kind == "peers":
            peer.num_peers = int(abs(beats))
        for _ in range(5):
            now.at += 0.02
            assert tempo.beat(now()) >= last
            session.step()
            assert tempo.beat(now()) >= last
            last = tempo.beat(now())
    for _ in range(2000):
        now.at += 0.02
        session.step()
    away = (tempo.beat(now()) - peer.beat + tempo.bar / 2) % tempo.bar - tempo.bar / 2
    assert abs(away) < 0.001
    assert tempo.bpm == pytest.approx(peer.tempo, rel=1e-3)
    assert session.bpm == peer.tempo
    assert peer.quantum == tempo.bar


def test_a_tempo_of_theirs_is_ours_within_a_beat_to_a_millisecond() -> None:
    now = Time()
    tempo, peer = Tempo(120, at=50.0), FakePeer(now=now)
    session = Session(peer, tempo, now)
    peer.tempo = 140
    now.at += 0.019
    peer.beat  # noqa: B018
    for _ in range(60):
        session.step()
        now.at += 0.02
    assert tempo.bpm == pytest.approx(140, rel=1e-3)
    assert abs(tempo.beat(now()) - peer.beat) * 60 / 140 < 0.001
    changes = tempo.changes
    for _ in range(200):
        session.step()
        now.at += 0.02
    assert tempo.changes - changes < 60, "where all is well nothing is changed"


def test_a_reading_that_took_long_does_not_count() -> None:
    now = Time()
    tempo, peer = Tempo(120, at=50.0), FakePeer(now=now)
    session = Session(peer, tempo, now)
    slow = iter([50.0, 50.5])
    session._now = lambda: next(slow)
    session.step()
    assert tempo.changes == 0


# The clock of all players


def test_the_clock_joins_is_read_and_leaves(made: list[FakePeer], caplog: pytest.LogCaptureFixture) -> None:
    clock = Conductor()
    clock.bpm = 97
    clock.link()
    clock.link()
    assert len(made) == 1
    peer = made[0]
    wait_for(lambda: peer.enabled)
    peer.num_peers = 2
    peer.tempo = 132
    wait_for(lambda: clock.peers == 2 and clock.bpm == 132)
    assert "Link, 2 peers" in repr(clock)
    assert any("2 peers" in record.getMessage() for record in caplog.records)
    clock.bpm = 88
    assert clock.tempo.bpm == pytest.approx(88, rel=0.5)
    wait_for(lambda: peer.tempo == 88)
    clock.unlink()
    clock.unlink()
    assert not peer.enabled
    assert clock.peers == 0
    assert clock.tempo.bpm == 88
    assert not [thread for thread in threading.enumerate() if thread.name == "livesketch-link"]


def test_following_midi_and_linking_take_turns(made: list[FakePeer]) -> None:
    from midi_fakes import FakeSource

    from livesketch.inputs.midi import MidiIn

    clock, keys = Conductor(), MidiIn(FakeSource()).start()
    clock.follow(keys)
    clock.link()
    assert "MIDI clock" not in repr(clock)
    clock.follow(keys)
    assert "Link" not in repr(clock)
    clock.release()
    keys.close()


# Real ones

PEER = """
import asyncio, sys, time
from aalink import Link
async def main():
    link = Link(float(sys.argv[1]))
    await asyncio.sleep(float(sys.argv[2]))
    link.quantum = 4
    link.enabled = True
    print("there", flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = (await loop.run_in_executor(None, sys.stdin.readline)).split()
        if not line:
            return
        if line[0] == "tempo":
            link.tempo = float(line[1])
        before = time.monotonic()
        beat = link.beat
        after = time.monotonic()
        print(link.num_peers, link.tempo, beat, (before + after) / 2, flush=True)
asyncio.run(main())
"""


class RealPeer:
    """Another process with a Link of its own."""

    def __init__(self, bpm: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PEER, str(bpm), "0.6"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "there\n"

    def ask(self, said: str = "state") -> tuple[int, float, float, float]:
        """Peers, tempo, beat, and its moment."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{said}\n")
        self.process.stdin.flush()
        peers, bpm, beat, at = self.process.stdout.readline().split()
        return int(peers), float(bpm), float(beat), float(at)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def real(peer_module):
    peer_module("aalink")
    made = RealPeer(133)
    yield made
    made.close()


@pytest.mark.slow
def test_two_processes_share_tempo_and_beat(real: RealPeer) -> None:
    from conftest import skip_or_fail

    clock = Conductor()
    clock.bpm = 90
    clock.link()
    try:
        limit = time.monotonic() + 10
        while not clock.peers and time.monotonic() < limit:
            time.sleep(0.02)
        if not clock.peers:
            skip_or_fail("peers", "two Link peers on this machine do not find each other: no multicast here?")
        wait_for(lambda: clock.bpm == pytest.approx(133, abs=0.01))
        time.sleep(1.5)
        assert apart(real, clock) < 0.003
        clock.bpm = 101
        wait_for(lambda: real.ask()[1] == pytest.approx(101, abs=0.01))
        real.ask("tempo 144")
        wait_for(lambda: clock.bpm == pytest.approx(144, abs=0.01))
        time.sleep(1.5)
        worst = max(apart(real, clock) for _ in range(20))
        print(f"Link: at most {worst * 1e6:.0f} us apart")
        assert worst < 0.003
        assert real.ask()[0] == 1
    finally:
        clock.unlink()
    wait_for(lambda: real.ask()[0] == 0)


def apart(real: RealPeer, clock: Conductor) -> float:
    """Seconds between the two beats, modulo the bar."""
    _, bpm, beat, at = real.ask()
    away = (clock.beat_at(at) - beat + 2) % 4 - 2
    return abs(away) * 60 / bpm


def test_the_fake_session_goes_on_where_its_tempo_changes() -> None:
    now = Time()
    peer = FakePeer(now=now)
    seen = []
    for bpm in (60, 240, 20):
        peer.tempo = bpm
        now.at += 1
        seen.append(peer.beat)
    assert seen == pytest.approx([1, 5, 5 + 1 / 3])
    assert all(after > before for before, after in itertools.pairwise(seen))
