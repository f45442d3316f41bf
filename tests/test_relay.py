"""When a player gives way to the next of its name, what it leaves to that, and outputs that are set meanwhile."""

import math
import threading

import pytest

import livesketch as ls
from livesketch.events import Pen, PenAction
from livesketch.outputs.base import Stage
from livesketch.player.choice import Choice
from livesketch.player.desk import Desk
from livesketch.player.relay import Relay
from livesketch.player.tempo import Tempo


def action(pen, *, last=False):
    return PenAction(0.0, "cat", 0, 0, 1, 0.5, 0.5, 1.0, 0.0, not last, pen, last, last, "model")


IN_STROKE, STROKE_END, DRAWING_END = action(Pen.DOWN), action(Pen.UP), action(Pen.END, last=True)


def test_nobody_gives_way_unasked():
    relay = Relay(Tempo(120))
    assert not relay.asked
    assert not relay.ready(1e9, DRAWING_END, paused=True)
    assert relay.until == math.inf
    assert not relay.taken(1e9)


@pytest.mark.parametrize(
    ("quant", "ready"),
    [
        ("now", [True, True, True, True]),
        ("step", [True, True, True, True]),
        ("stroke", [True, False, True, True]),
        ("drawing", [True, False, False, True]),
        ("beat", [False] * 4),
        ("bar", [False] * 4),
    ],
)
def test_what_quant_says(quant, ready):
    relay = Relay(Tempo(120))
    relay.give_way(quant, 0.7)
    lasts = [None, IN_STROKE, STROKE_END, DRAWING_END]
    assert [relay.ready(0.75, last, paused=False) for last in lasts] == ready
    assert [relay.ready(0.75, last, paused=True) for last in lasts] == [quant not in ("beat", "bar")] * 4
    until = {"beat": 1.0, "bar": 2.0}.get(quant, math.inf)
    assert relay.until == pytest.approx(until)
    assert relay.ready(until, IN_STROKE, paused=False) is (until < math.inf or quant in ("now", "step"))
    grid = until < math.inf
    moment = until if grid else 1e9
    assert [relay.taken(due) for due in (moment - 1e-3, moment - 1e-12, moment + 1)] == [False, grid, grid]


def test_the_last_word_counts():
    relay = Relay(Tempo(120))
    relay.give_way("bar", 0.1)
    relay.give_way("beat", 0.1)
    assert relay.until == pytest.approx(0.5)
    relay.give_way("now", 0.1)
    assert relay.until == math.inf
    assert relay.ready(0.1, IN_STROKE, paused=False)


@pytest.mark.parametrize(
    ("quant", "last", "paused", "handed"),
    [
        ("stroke", 0.9, False, (0.9, False)),  # the next step comes when its next would have come
        ("stroke", None, False, (0.2, True)),  # it never played: what it got itself
        ("stroke", 0.9, True, (3.0, True)),
        ("beat", 0.9, False, (3.5, True)),
        ("beat", 3.5, False, (3.5, False)),  # the step of that beat is taken already
        ("beat", None, False, (3.5, True)),
        ("beat", 0.9, True, (3.5, True)),
    ],
)
def test_where_in_time_the_next_goes_on(quant, last, paused, handed):
    relay = Relay(Tempo(120))
    relay.begun = (0.2, True)
    relay.give_way(quant, 3.0)
    relay.hand_over(3.0, last, paused=paused)
    assert relay.handed == pytest.approx(handed)


# Outputs that are set while it plays

STAGE = Stage("cat", 1, 1.0)


def test_what_was_set_is_taken_up_at_once_the_last_one_counts_and_the_rest_is_closed():
    first, second, third = (ls.Recorder() for _ in range(3))
    desk = Desk("cat", (first,))
    choice = Choice(desk)
    assert not choice.waits
    choice.take_up()
    for output in (second, third):
        desk.open([output], 1, STAGE)
        choice.want((output,), [output])
    assert choice.waits
    assert (choice.outputs, desk.outputs) == ((third,), (first,))
    choice.take_up()
    assert choice.outputs == desk.outputs == (third,)
    assert [output.closes for output in (first, second, third)] == [1, 1, 0]


def test_a_player_does_not_wait_while_somebody_opens_an_output():
    desk = Desk("cat", (ls.Recorder(),))
    choice = Choice(desk)
    choice.want((), [])
    held, go = threading.Event(), threading.Event()

    def hold():
        with choice.changing:
            held.set()
            go.wait(10)

    opening = threading.Thread(target=hold)
    opening.start()
    assert held.wait(10)
    choice.take_up()
    assert choice.waits
    go.set()
    choice.end(10)
    opening.join()
    assert not choice.waits


def test_who_has_stopped_takes_no_output_and_what_was_opened_is_closed():
    desk, new = Desk("cat", (ls.Recorder(),)), ls.Recorder()
    choice = Choice(desk)
    choice.end(1)
    with pytest.raises(ls.ControlError, match="has stopped"):
        choice.want((new,), [new])
    assert new.closes == 1
    assert new not in choice.outputs
