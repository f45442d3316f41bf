"""The tempo that all go by: changes without a jump, leading, watching; and in the playing process."""

import itertools
import math
import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import livesketch as ls
from livesketch.player.engine import Engine
from livesketch.player.line import Line, Question
from livesketch.player.tempo import LEAP, Tempo


@pytest.mark.parametrize("bpm", [19, 1000, math.nan, "120", None, True])
def test_a_tempo_out_of_range_changes_nothing(bpm: object) -> None:
    tempo = Tempo(100)
    for change in (lambda: tempo.set(bpm, 1.0), lambda: tempo.align(1.0, 1.0, bpm if bpm is not None else 0)):  # type: ignore[arg-type]
        with pytest.raises(ls.ControlError, match="20 to 999"):
            change()
    assert (tempo.bpm, tempo.changes) == (100, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.floats(-3, 3), st.floats(1, 2000), st.booleans()), max_size=30))
def test_a_tempo_that_is_led_never_goes_back_and_comes_there(leads: list[tuple[float, float, float, bool]]) -> None:
    tempo, now, last = Tempo(120), 0.0, 0.0
    for passed, away, bpm, at_once in leads:
        now += passed
        beat = tempo.beat(now)
        assert beat >= last - 1e-9
        tempo.lead(beat + away, now, bpm, at_once=at_once)
        last = tempo.beat(now)
        assert last >= beat - 1e-9
        assert 10 <= tempo.bpm <= 1998
    for _ in range(2000):
        now += 0.01
        tempo.lead(now * 2 + 500, now, 120)
    assert tempo.beat(now) == pytest.approx(now * 2 + 500, abs=1e-3) or tempo.beat(now) > now * 2 + 500


def test_what_is_near_is_met_without_a_leap_and_what_is_far_with_one() -> None:
    tempo = Tempo(120)
    tempo.lead(0.1, 0.0, 120)
    assert tempo.beat(0.0) == 0
    assert tempo.bpm == pytest.approx(144)
    tempo.lead(0.0, 0.0, 120)
    assert tempo.bpm == 120
    tempo.lead(-3.0, 0.0, 120)
    assert (tempo.beat(0.0), tempo.bpm, tempo.leaps) == (0, pytest.approx(60), 0)
    tempo.lead(3.0, 0.0, 120)
    assert (tempo.beat(0.0), tempo.bpm, tempo.leaps) == (3, pytest.approx(120), 1)
    tempo.align(3.0 + LEAP / 2, 0.0)
    assert tempo.leaps == 1
    tempo.align(1.0, 0.0)
    assert tempo.leaps == 2


def test_who_watches_is_told_until_it_does_no_more() -> None:
    tempo, one, other = Tempo(120), threading.Event(), threading.Event()
    tempo.watch(one)
    tempo.watch(other)
    tempo.unwatch(other)
    tempo.unwatch(other)
    tempo.set(100, 1.0)
    assert one.is_set()
    assert not other.is_set()
    assert tempo.line() == (2.0, 1.0, pytest.approx(100))


# The playing process


@pytest.fixture
def engine():
    made = Engine()
    made.ask("playing")
    yield made
    made.close()


def there(engine: Engine) -> tuple[float, float, float]:
    """The tempo there, without telling it anything."""
    told, engine._told = engine._told, ls.clock.tempo.changes
    try:
        return engine.ask("tempo")
    finally:
        engine._told = told


def test_the_playing_process_is_told_of_the_tempo_without_being_asked(engine: Engine) -> None:
    before = ls.clock.bpm
    sent: list[float] = []
    tell = engine._tell

    def noted(line: Line) -> Question | None:
        question = tell(line)
        sent.extend([time.monotonic()] * (question is not None))
        return question

    engine._tell = noted  # type: ignore[method-assign]
    limit = time.monotonic() + 20
    for bpm in (77, 133.5, 240):
        ls.clock.bpm = bpm
        while not sent or engine._told != ls.clock.tempo.changes:
            assert time.monotonic() < limit, "it was not told"
            time.sleep(0.005)
        assert there(engine)[2] == pytest.approx(bpm)
    sent.clear()
    began = time.monotonic()
    for _ in range(400):  # another tempo each millisecond or two
        ls.clock.bpm = 100 + (time.monotonic() - began) * 50
        time.sleep(0.001)
    took = time.monotonic() - began
    told = [*sent]
    assert 2 <= len(told) <= took * 20 + 2
    assert all(after - before > 0.04 for before, after in itertools.pairwise(told))
    while engine._told != ls.clock.tempo.changes:
        assert time.monotonic() < limit, "the last one was not told"
        time.sleep(0.005)
    beat, at, bpm = there(engine)
    assert bpm == pytest.approx(ls.clock.tempo.bpm)
    assert beat == pytest.approx(ls.clock.tempo.beat(at), abs=1e-6)
    ls.clock.bpm = before


def test_questions_and_changes_from_many_threads_at_once(engine: Engine) -> None:
    before, wrong = ls.clock.bpm, []

    def ask() -> None:
        answers = [engine.ask("playing") for _ in range(60)]
        wrong.extend(answer for answer in answers if answer != [])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for k in range(300):
        ls.clock.bpm = 100 + k / 10
    for thread in threads:
        thread.join()
    assert wrong == []
    assert engine.alive
    ls.clock.bpm = before


def test_nobody_is_told_of_a_process_that_is_gone(engine: Engine) -> None:
    before, pid = ls.clock.bpm, engine.pid
    assert pid is not None
    os.kill(pid, 9)
    while engine.alive:
        time.sleep(0.005)
    ls.clock.bpm = 111
    ls.clock.bpm = before
    assert engine.ask("playing") == [], "the next question starts another"
    assert engine.pid != pid
