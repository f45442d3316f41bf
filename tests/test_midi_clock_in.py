"""MIDI clock in: a beat that follows pulses, early and late ones, new tempos, silences, starts and stops."""

import itertools
import math
import threading
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from midi_fakes import FakeSource

import livesketch as ls
from livesketch.inputs.midi import MidiIn
from livesketch.player.conductor import Conductor
from livesketch.player.follow import Follower, Following
from livesketch.player.pulses import Pulses
from livesketch.player.tempo import Tempo

MS = 0.001


class Song:
    """Pulses of a piecewise constant tempo from moment 100 on, and where its beat is."""

    def __init__(self, *parts: tuple[float, float]) -> None:
        """(beats, bpm), one after the other; the last goes on."""
        self.parts = parts

    def time(self, beat: float) -> float:
        at = 100.0
        for beats, bpm in self.parts[:-1]:
            part = min(beat, beats)
            at, beat = at + part * 60 / bpm, beat - part
        return at + beat * 60 / self.parts[-1][1]

    def pulses(self, beats: float, jitter: float = 0.0, seed: int = 0) -> list[float]:
        noise = np.random.default_rng(seed).uniform(-jitter, jitter, int(beats * 24))
        return [self.time(k / 24) + float(noise[k]) for k in range(int(beats * 24))]


def follow(follower: Follower, moments: list[float], tempo: Tempo) -> list[tuple[float, float]]:
    """Gives the pulses, each as it comes; (moment, beat) right after each."""
    seen = []
    for at in sorted(moments):
        follower.heard("pulse", at)
        follower.step(at + 0.0004)
        seen.append((at + 0.0004, tempo.beat(at + 0.0004)))
    return seen


def followed(song: Song, beats: float, jitter: float = 0.0, seed: int = 0) -> tuple[Tempo, Follower, list[float]]:
    """A song from its start; the beat's error after each pulse, seconds of the song's last tempo, modulo the bar."""
    tempo = Tempo(120, at=37.0)
    follower = Follower(tempo)
    follower.heard("start", 99.9)
    moments = song.pulses(beats, jitter, seed)
    seen = follow(follower, moments, tempo)
    assert all(after[1] >= before[1] for before, after in itertools.pairwise(seen)), "a beat came twice"
    errors = []
    for k, (at, beat) in enumerate(seen):
        true = k / 24 + (at - song.time(k / 24)) / (song.time((k + 1) / 24) - song.time(k / 24)) / 24
        errors.append(((beat - true + 2) % 4 - 2) * 60 / song.parts[-1][1])
    return tempo, follower, errors


# Bad input


@pytest.mark.parametrize("nudge", ["0", math.nan, 2, -1.5, None, True])
def test_a_nudge_out_of_range(nudge: object) -> None:
    with pytest.raises(ls.ControlError, match="-1 to 1"):
        Conductor().follow(MidiIn(FakeSource()), nudge=nudge)  # type: ignore[arg-type]


def test_an_input_that_is_closed_and_a_port_that_is_none() -> None:
    clock, keys = Conductor(), MidiIn(FakeSource()).start()
    clock.follow(keys)
    closed = MidiIn(FakeSource())
    closed.close()
    with pytest.raises(ls.ControlError, match="open"):
        clock.follow(closed)
    with pytest.raises(ls.ControlError, match="name of a MIDI input"):
        clock.follow(5)  # type: ignore[arg-type]
    assert "knobs" in repr(clock), "all stays as it was"
    clock.free()
    clock.free()
    keys.close()


@pytest.mark.parametrize("moments", [[1.0] * 100, [0.0001 * k for k in range(100)], [0.2 * k for k in range(60)]])
def test_pulses_of_no_tempo_leave_it_and_are_said_once(moments: list[float], caplog: pytest.LogCaptureFixture) -> None:
    tempo = Tempo(97)
    follow(Follower(tempo), moments, tempo)
    assert tempo.bpm == pytest.approx(97)
    assert sum("less than 20 or more than 999" in record.getMessage() for record in caplog.records) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pulse"] * 8 + ["start", "continue", "stop", "position", "nonsense"]),
            st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.021, 0.05, 0.3, 3.0, -1.0]), st.integers(0, 16383),
        ),
        max_size=120,
    )
)  # fmt: skip
def test_whatever_comes_the_beat_grows_and_the_tempo_is_one(told: list[tuple[str, float, int]]) -> None:
    tempo = Tempo(120)
    follower = Follower(tempo)
    now = last = 0.0
    for kind, passed, place in told:
        follower.heard(kind, now + passed, place)
        now += max(0.0, passed)
        for _ in range(2):
            now += 0.0001
            follower.step(now)
            beat = tempo.beat(now)
            assert math.isfinite(beat)
            assert beat >= last
            assert 10 <= tempo.bpm <= 1998
            last = beat


# The line through the pulses


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(40, 220))
def test_the_line_ends_where_the_pulses_are_on_average(seed: int, bpm: float) -> None:
    """Deviation of jitter +-3 ms: 1.73 ms; of the line's end 0.45 ms, of its period 0.013 ms (least squares)."""
    pulses, song = Pulses(), Song((1, bpm))
    for at in song.pulses(16, 3 * MS, seed):
        pulses.pulse(at)
    at = song.time(15.9)
    assert pulses.period == pytest.approx(60 / bpm / 24, abs=0.09 * MS)
    place = pulses.at(at)
    assert place is not None
    assert abs(place / 24 - 15.9) * 60 / bpm < 2.5 * MS


def test_one_lost_pulse_is_counted_and_a_slower_tempo_is_none() -> None:
    pulses, moments = Pulses(), Song((1, 120)).pulses(4)
    for at in [*moments[:40], *moments[41:60], *moments[62:]]:
        pulses.pulse(at)
    assert pulses.number == len(moments) - 1
    slower = Pulses()
    moments = Song((2, 120), (1, 60)).pulses(4)
    for at in moments:
        slower.pulse(at)
    assert slower.number == len(moments) - 1
    assert slower.period == pytest.approx(60 / 60 / 24)


def test_a_pulse_that_is_late_alone_changes_little() -> None:
    pulses, song = Pulses(), Song((1, 120))
    moments = song.pulses(4)
    moments[80] += 12 * MS
    for k, at in enumerate(moments):
        pulses.pulse(at)
        if k > 50:
            assert abs((pulses.at(song.time(k / 24)) or 0.0) - k) / 24 * 500 < 0.5  # ms; it is 12 late
    assert pulses.number == 95


# The beat


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(60, 180))
@example(0, 120.0)
def test_pulses_early_and_late_by_3_ms_give_a_beat_that_is_right_within_2(seed: int, bpm: float) -> None:
    _, follower, errors = followed(Song((1, bpm)), 16, 3 * MS, seed)
    late = [abs(error) for error in errors[4 * 24 :]]
    assert max(late) < 2 * MS
    assert follower.bpm == pytest.approx(bpm, rel=0.006)
    assert follower.state == "running"


@pytest.mark.parametrize(("before", "after"), [(120, 126), (120, 140), (140, 120), (90, 180), (160, 80)])
@pytest.mark.parametrize("jitter", [0.0, 1 * MS])
def test_a_new_tempo_is_followed_within_two_beats(before: float, after: float, jitter: float) -> None:
    worst = 0.0
    for seed in range(6):
        tempo, follower, errors = followed(Song((8, before), (1, after)), 14, jitter, seed)
        changed = 8 * 24
        worst = max(worst, *(abs(error) for error in errors[changed + 48 :]))
        assert tempo.bpm == pytest.approx(after, rel=0.02)
        assert follower.bpm == pytest.approx(after, rel=0.01)
    print(f"{before} to {after}, jitter {jitter / MS:g} ms: worst error after two beats {worst / MS:.2f} ms")
    assert worst < 4 * MS


@pytest.mark.parametrize(("growth", "most"), [(0.25, 6 * MS), (1, 14 * MS)])
def test_a_tempo_that_grows_is_followed_all_the_way(growth: float, most: float) -> None:
    """By ``growth`` beats a minute each quarter of a beat."""
    song = Song(*[(0.25, 100 + growth * k) for k in range(60)], (1, 100 + growth * 60))
    tempo, _, errors = followed(song, 20)
    assert max(abs(error) for error in errors[48:]) < most
    assert max(abs(error) for error in errors[-24:]) < 1 * MS
    assert tempo.bpm == pytest.approx(100 + growth * 60, rel=0.002)


def test_a_cable_that_is_out_is_said_and_the_beat_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    tempo = Tempo(120)
    follower, song = Follower(tempo), Song((1, 100))
    moments = song.pulses(30)
    follow(follower, moments[:200], tempo)
    beat, at = tempo.beat(moments[199]), moments[199]
    for k in range(1, 40):
        follower.step(at + k / 10)
    assert follower.state == "no pulses"
    assert tempo.beat(at + 4) - beat == pytest.approx(4 * 100 / 60, abs=0.02)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "MIDI clock: no more pulses; the beat goes on at 100 bpm"
    before = tempo.beat(moments[400]) - 400 / 24
    seen = follow(follower, moments[400:], tempo)  # five seconds later it is in again
    assert follower.state == "running"
    assert "pulses again" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2
    after = seen[-1][1] - (seen[-1][0] - song.time(0)) * 100 / 60
    assert after - before == pytest.approx(0, abs=1 / 40), "the pulses that were not heard are counted"
    steps = [after[1] - before[1] for before, after in itertools.pairwise(seen)]
    assert min(steps) > 0
    assert max(steps) < 3 / 24


def test_where_pulses_cease_the_tempo_is_theirs_and_no_correction() -> None:
    tempo = Tempo(120)
    follower, moments = Follower(tempo), Song((1, 100)).pulses(5, 3 * MS, 4)
    follow(follower, moments, tempo)
    assert tempo.bpm != pytest.approx(follower.bpm, rel=1e-5)
    follower.step(moments[-1] + 1)
    assert tempo.bpm == pytest.approx(follower.bpm, rel=1e-9)


@pytest.mark.parametrize("silence", [0.013, 0.1, 2.013])
def test_a_start_after_a_stop_begins_another_grid(silence: float) -> None:
    """At once, from its first pulse on, whether pulses went on meanwhile or not."""
    tempo, song = Tempo(120), Song((1, 120))
    follower, moments = Follower(tempo), song.pulses(8)
    follow(follower, moments, tempo)
    follower.heard("stop", moments[-1])
    begun = moments[-1] + silence
    follower.heard("start", begun - 0.001)
    seen = follow(follower, [begun + k / 48 for k in range(12)], tempo)
    away = (seen[-1][1] - 11 / 24 + 2) % 4 - 2
    assert abs(away) < 0.004
    assert tempo.bpm == pytest.approx(120, rel=0.03)


def test_without_a_start_only_the_pulses_are_the_senders() -> None:
    tempo, song = Tempo(120, at=99.3), Song((1, 90))
    follower = Follower(tempo)
    seen = follow(follower, song.pulses(8), tempo)
    assert seen[6][1] == pytest.approx(1.4 + 6 * 120 / 90 / 24, abs=0.03), "no leap"
    assert max(after[1] - before[1] for before, after in itertools.pairwise(seen)) < 0.1
    pulse = tempo.beat(song.time(100 / 24)) * 24
    assert tempo.beat(song.time(191 / 24)) * 24 == pytest.approx(round(tempo.beat(song.time(191 / 24)) * 24), abs=0.05)
    assert tempo.bpm == pytest.approx(90, rel=1e-3)
    assert pulse > 0


def test_start_stop_position_and_continue_bring_the_beat_to_the_same_place_in_the_bar() -> None:
    tempo, song = Tempo(120, at=60.2), Song((1, 120))
    follower, moments = Follower(tempo), song.pulses(40)
    follow(follower, moments[:100], tempo)
    follower.heard("start", moments[100] - 0.001)
    follow(follower, moments[100:190], tempo)
    assert tempo.beat(moments[189]) % 4 == pytest.approx(89 / 24, abs=0.002), "the start was beat 0 of a bar"
    assert tempo.leaps == 1
    follower.heard("stop", moments[189] + 0.001)
    follow(follower, moments[190:300], tempo)  # it goes on with its pulses
    assert follower.state == "stopped"
    assert tempo.beat(moments[299]) - tempo.beat(moments[189]) == pytest.approx(110 / 24, abs=0.002)
    follower.heard("position", moments[299] + 0.001, 10)
    follower.heard("continue", moments[299] + 0.002)
    seen = follow(follower, moments[300:400], tempo)
    assert seen[-1][1] % 4 == pytest.approx((10 / 4 + 99 / 24) % 4, abs=0.01)
    follower.heard("stop", moments[399])
    follower.heard("continue", moments[399] + 0.01)
    seen = follow(follower, moments[400:500], tempo)
    assert seen[-1][1] % 4 == pytest.approx((10 / 4 + 199 / 24) % 4, abs=0.01), "from where it stopped"
    assert follower.state == "running"


def test_a_start_while_its_beat_is_near_leaps_nowhere() -> None:
    tempo, song = Tempo(120, at=100.02 - 2), Song((1, 120))  # our bar begins 20 ms after its start
    follower = Follower(tempo)
    follower.heard("start", 99.99)
    seen = follow(follower, song.pulses(4), tempo)
    assert tempo.leaps == 0
    assert seen[-1][1] % 4 == pytest.approx(95 / 24, abs=0.01)


def test_a_nudge_puts_the_beat_elsewhere() -> None:
    tempo, song = Tempo(120), Song((1, 120))
    follower = Follower(tempo, -0.01)
    follower.heard("start", 99.99)
    follow(follower, song.pulses(8), tempo)
    assert tempo.beat(song.time(7.5) - 0.01) % 4 == pytest.approx(3.5, abs=0.002)


# With a port and the clock of all players


def test_the_clock_follows_an_input_and_is_free_again() -> None:
    clock, source = Conductor(), FakeSource()
    keys = MidiIn(source).start()
    told = threading.Event()
    clock.tempo.watch(told)
    clock.follow(keys)
    clock.follow(keys)  # twice follows once
    assert source.hear is not None
    follower = clock._following.follower  # type: ignore[union-attr]
    begun = time.monotonic() - 48 * 60 / 96 / 24
    for k in range(48):  # moments as they are given, whatever the machine does
        follower.heard("pulse", begun + k * 60 / 96 / 24)
        follower.step(begun + k * 60 / 96 / 24)
    assert clock.bpm == pytest.approx(96)
    with pytest.raises(ls.ControlError, match="free"):
        clock.bpm = 120
    source.hear(b"\xf8")
    assert told.wait(5)
    assert "MIDI clock of 'knobs'" in repr(clock)
    clock.free()
    clock.free()
    assert clock.bpm == clock.tempo.bpm == pytest.approx(96, rel=0.02)
    clock.bpm = 120
    assert clock.bpm == 120
    assert not keys.closed, "it was not ours"
    source.hear(b"\xf8")
    assert keys.unmapped == 1
    keys.close()


def test_it_is_followed_in_time() -> None:
    """Through a port's thread: what is heard moves the tempo without anybody's asking."""
    tempo, source = Tempo(120), FakeSource()
    keys = MidiIn(source).start()
    following = Following(keys, Follower(tempo), own=True)
    following.start()
    changed = threading.Event()
    tempo.watch(changed)
    assert source.hear is not None
    for _ in range(400):
        source.hear(b"\xf8")
        if changed.wait(0.01):
            break
    assert changed.is_set()
    following.close()
    following.close()
    assert keys.closed


def test_a_walk_does_not_make_up_for_beats_that_were_leaped_over() -> None:
    from livesketch.player.pace import beats
    from livesketch.player.walk import Walk

    tempo = Tempo(120)
    walk = Walk(beats(1 / 4), tempo, 1, 0.0)
    due = walk.due((), 1)
    walk.took((), 1, due)
    tempo.lead(3.1, 0.01, 120, at_once=True)
    due = walk.due((), 1)
    assert due > 0
    assert tempo.beat(due) == pytest.approx(3.25)
    walk.took((), 1, due)
    assert tempo.beat(walk.due((), 1)) == pytest.approx(3.5)
