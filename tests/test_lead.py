"""Steps are taken a moment before they are due: who has them when, what a change still acts on, and swaps on the beat.

The clock is in the test's hands, so that each moment can be looked at.
"""

import threading
import time

import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player.ahead import Ahead
from livesketch.player.desk import Desk

LEAD = 0.001
"""Seconds, as the player has it."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


class Hand:
    """A clock that goes on when the test says so."""

    def __init__(self):
        self._now, self._changed, self._waiting = 0.0, threading.Condition(), {}

    def now(self):
        return self._now

    def wait_until(self, due, woken):
        me = threading.get_ident()
        with self._changed:
            self._waiting[me] = due
            self._changed.notify_all()
            while self._now < due and not woken.is_set():
                self._changed.wait(0.002)  # it may be woken, too
            del self._waiting[me]

    def settled(self):
        """When the first of those that wait goes on; all has been done that there is to do until then."""
        limit = time.monotonic() + 10
        with self._changed:
            while not self._waiting or min(self._waiting.values()) <= self._now:
                assert self._changed.wait(limit - time.monotonic()), "nobody waits for anything"
            return min(self._waiting.values())

    def go(self, moment):
        """There, in as many turns as the players make, and not beyond."""
        while self.settled() <= moment:
            with self._changed:
                self._now = min(self._waiting.values())
                self._changed.notify_all()
        with self._changed:
            self._now = moment
            self._changed.notify_all()
        self.settled()


class Queue(ls.Recorder):
    """Nothing leaves it before the next tick."""

    queues = True


@pytest.fixture
def clock():
    yield Hand()
    ls.panic()
    assert not ls.players()


def actions(recorder):
    return [event for event in recorder.events if isinstance(event, ls.PenAction)]


def steps(recorder):
    return [action.at for action in actions(recorder)]


# The desk


def test_what_is_prepared_is_in_queues_at_once_and_elsewhere_when_it_is_released(model):
    queue, plain = Queue(), ls.Recorder()
    desk = Desk("cat", (plain, queue))
    events = ls.sketch(model, seed=3).take(3)
    for event in events[:2]:
        desk.prepare(event, 0.5)
    assert [event.at for event in queue.events] == [0.5] * len(queue.events)
    assert [type(event).__name__ for event in queue.events].count("PenAction") == 2
    assert len(queue.events) > 2, "with their cues"
    assert plain.events == queue.ticks == []
    desk.release()
    desk.release()
    assert plain.events == queue.events
    desk.send(events[2], 0.75)
    assert plain.events == queue.events
    assert plain.events[-1].at == 0.75


def test_an_output_that_fails_while_it_queues_keeps_nothing_from_the_others(model):
    class Bad(Queue):
        def send(self, event):
            raise OSError("full")

    bad, queue, plain = Bad(), Queue(), ls.Recorder()
    desk = Desk("cat", (bad, queue, plain))
    desk.prepare(ls.sketch(model, seed=3).take(1)[0], 0.5)
    desk.release()
    assert plain.events == queue.events != []
    assert desk.troubles[id(bad)].count == len(queue.events)


def test_what_is_prepared_while_muted_goes_nowhere(model):
    queue, plain = Queue(), ls.Recorder()
    desk = Desk("cat", (queue, plain), muted=True)
    desk.prepare(ls.sketch(model, seed=3).take(1)[0], 0.5)
    desk.release()
    assert queue.events == plain.events == []


# The player


def test_queues_have_a_step_before_it_is_due_others_when_it_is_and_nothing_leaves_before(model, clock):
    queue, plain = Queue(), ls.Recorder()
    ls.play(ls.sketch(model, seed=3), [queue, plain], rate=10, clock=clock)
    clock.go(0.05)
    assert steps(queue) == steps(plain) == [0.0]
    clock.go(0.1 - LEAD - 1e-5)
    assert len(steps(queue)) == 1, "too early"
    ticks = len(queue.ticks)
    clock.go(0.1 - LEAD / 2)
    assert steps(queue) == pytest.approx([0.0, 0.1])
    assert steps(plain) == [0.0]
    assert len(queue.ticks) == ticks, "it would leave now"
    clock.go(0.1)
    assert steps(plain) == steps(queue) == pytest.approx([0.0, 0.1])
    assert queue.ticks[ticks:] == [0.1]
    clock.go(1.05)
    assert plain.events == queue.events
    assert steps(plain) == pytest.approx([k / 10 for k in range(11)])


def test_a_plotter_is_given_nothing_early(model, clock):
    class Plotter(Queue):
        paces = True

    plotter = Plotter()
    ls.play(ls.sketch(model, seed=3), plotter, rate=10, clock=clock)
    clock.go(0.1 - LEAD / 2)
    assert steps(plotter) == [0.0]
    clock.go(0.1)
    assert len(steps(plotter)) == 2


@pytest.mark.parametrize("lookahead", [0.0, 0.5])
def test_a_change_acts_on_the_step_that_is_not_taken_yet(model, clock, lookahead):
    stream, plain, recorder = ls.sketch(model, seed=3), ls.sketch(model, seed=3), ls.Recorder()
    ls.play(stream, recorder, rate=10, clock=clock, lookahead=lookahead)
    clock.go(0.1 - LEAD - 1e-5)
    wanted = plain.take(1)
    stream.temperature = plain.temperature = 0.02
    clock.go(0.1)
    wanted += plain.take(1)
    assert [a.x for a in actions(recorder)] == [a.x for a in wanted]
    clock.go(0.2 - LEAD / 2)
    wanted += plain.take(1)
    stream.temperature = plain.temperature = 1.5  # that step is taken: the next one
    clock.go(0.45)
    wanted += plain.take(2)
    assert [a.x for a in actions(recorder)] == [a.x for a in wanted]


def test_stopped_between_the_take_and_the_moment_the_step_goes_out_everywhere(model, clock):
    queue, plain = Queue(), ls.Recorder()
    player = ls.play(ls.sketch(model, seed=3), [queue, plain], rate=10, clock=clock)
    clock.go(0.1 - LEAD / 2)
    player.stop()
    assert plain.events == queue.events
    assert len(steps(plain)) == 2
    assert (plain.closes, queue.closes) == (1, 1)


@pytest.mark.parametrize("quant", ["beat", "bar"])
@pytest.mark.parametrize("early", [0.3, LEAD * 1.5, LEAD / 2, 0.0])
def test_the_next_player_on_the_beat_doubles_no_moment_and_leaves_none_out(model, clock, early, quant):
    """120 beats a minute, four steps a beat; the swap comes long before the step of a beat is taken, or just then."""
    queue, plain = Queue(), ls.Recorder()
    ls.play(ls.sketch(model, seed=3), [queue, plain], beat=1 / 4, name="cat", clock=clock)
    clock.go(2.0 - early)
    second = ls.play(ls.sketch(model, seed=4), beat=1 / 4, name="cat", clock=clock, quant=quant)
    swapped = 2.0 if early else 2.5 if quant == "beat" else 4.0
    clock.go(swapped + 0.6)
    assert second.stats().steps > 0
    assert steps(plain) == pytest.approx([k / 8 for k in range(len(steps(plain)))])
    assert steps(plain)[-1] == pytest.approx(swapped + 0.5)
    assert plain.events == queue.events
    (swap,) = [event for event in plain.events if isinstance(event, ls.Cue) and event.kind == "swap"]
    count = round(8 * swapped) + (
        early == LEAD / 2
    )  # then the step of that beat is the first one's, which has taken it
    xs = [event.x for event in actions(plain)]
    assert xs[:count] == [a.x for a in ls.sketch(model, seed=3).take(count)]
    assert xs[count:] == [a.x for a in ls.sketch(model, seed=4).take(len(xs) - count)]
    assert swap.at == pytest.approx(swapped)


@pytest.mark.parametrize("model", ["cat", "shakespeare"])
def test_a_change_while_voices_take_a_step_is_noted_with_the_next(model, monkeypatch):
    """Whoever sets a control from another thread waits for the step, or a recording says it one step too early."""
    stream = ls.voices(model, 2, seed=1)
    ahead, kind, setting = Ahead(stream), type(stream), []
    real = kind.events

    def events(self):
        found = real(self)
        if not setting:
            setting.append(threading.Thread(target=setattr, args=(stream, "temperature", 0.3)))
            setting[0].start()
            setting[0].join(0.2)
        return found

    monkeypatch.setattr(kind, "events", events)
    assert ahead.make()
    setting[0].join(20)
    first = ahead.first()
    assert ("temperature", 0.3) not in first.changes
    assert ahead.take(first)
    assert ahead.make()
    assert ("temperature", 0.3) in ahead.first().changes
    ahead.close()
