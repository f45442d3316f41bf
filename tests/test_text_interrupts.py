"""Ctrl-C in text streams: at every line of what a stream does, and at moments of a real signal."""

import contextlib
import gc
import itertools
import sys
from typing import Any

import numpy as np
import pytest
from strikes import Strikes
from test_streams import interrupted_at
from text_streams import history, opened

from livesketch import forms
from livesketch.streams.text import TextStream

CALLS: dict[str, Any] = {
    "next": next,
    "first": lambda s: next(s.restart()),
    "pick": lambda s: s.pick(2),
    "prompt": lambda s: s.prompt("山水"),
    "line and step": lambda s: next(s.first_line("山水")),
    "rewind": lambda s: s.rewind(9),
    "feed": lambda s: s.feed("水云"),
    "finish": lambda s: s.finish(),
    "peek": lambda s: s.peek(3),
    "restart": lambda s: s.restart(),
    "label": lambda s: (setattr(s, "label", "乙"), next(s)),
}


def begun(architecture: str, backend: str, rule: Any) -> TextStream:
    """One piece was left, the other is in its first line, the settings of the next step are new."""
    stream = opened(architecture, backend=backend)
    stream.take(6)
    stream.acrostic("山水云风")
    stream.take(4)
    stream.temperature = 0.7
    return stream.constrain(*rule)


def went_on(stream: TextStream, n: int = 8) -> tuple[list[Any], list[Any]]:
    """What it sends from here, and all that it then remembers."""
    sent = [event for _ in range(n) for event in stream.events()]
    return sent, history(stream)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [(name, "text_lstm") for name in CALLS] + [(name, "text_attention") for name in ("next", "rewind")],
)
def test_ctrl_c_at_any_line_loses_and_doubles_nothing(name, architecture):
    """The interruption comes before the k-th line that a call runs, for every k: all of it happened, or nothing."""
    act, rule = CALLS[name], (forms.without("天"),)
    nothing, everything = begun(architecture, "cpu", rule), begun(architecture, "cpu", rule)
    act(everything)
    ways = [went_on(nothing), went_on(everything)]
    gc.disable()  # as in test_streams.py
    try:
        for line in itertools.count(1):
            stream, error = begun(architecture, "cpu", rule), None
            with interrupted_at(line) as left:
                try:
                    act(stream)
                except KeyboardInterrupt as err:
                    error = err  # as an interpreter keeps its last one, with every frame
            came = went_on(stream)
            made = set(came[1])
            assert len(made) == len(came[1]), "nothing doubled"
            assert any(same(came, way) for way in ways), line
            place, actions = stream._coming(), list(stream.actions)
            del error
            assert (stream._coming(), stream.actions) == (place, actions), "it stays when the error is forgotten"
            if left[0] > 0:  # the call has fewer lines
                break
        assert line > 10
    finally:
        gc.enable()


def test_ctrl_c_behind_a_change_leaves_it_done_for_good():
    """Where the interruption comes as the change is left, nobody closes it, and a REPL keeps the error for long."""
    stream, plain = opened(), opened()
    stream.take(4), plain.take(4)

    def trace(frame, event, _):
        if frame.f_code.co_name == "__exit__" and "contextlib" in frame.f_code.co_filename:
            sys.settrace(None)
            raise KeyboardInterrupt

    error = None
    sys.settrace(trace)
    try:
        stream.prompt("山水云")
    except KeyboardInterrupt as err:
        error = err
    finally:
        sys.settrace(None)
    assert error is not None
    made = stream.take(5)
    del error
    plain.prompt("山水云")
    assert stream.actions == made == plain.take(5)
    assert stream.take(20) == plain.take(20)


def test_ctrl_c_in_a_pick_or_under_a_rule_is_not_remembered():
    """What was about to be chosen or held to is not what the next step is about."""
    rule = forms.grammar("((山|水)(云|风))*")
    for line in itertools.count(1):
        stream = opened()
        before = stream.peek(3)
        with interrupted_at(line) as left, contextlib.suppress(KeyboardInterrupt):
            stream.pick(2)
        if not stream.actions:
            assert stream.peek(3) == before
            assert next(stream.prompt("山")).text == "山"
        other = opened().constrain(rule)
        assert next(other).text in {"山", "水"}
        with interrupted_at(line), contextlib.suppress(KeyboardInterrupt):
            next(other)
        assert next(other.finish()).text in {"山", "水", ""}
        if left[0] > 0:
            break
    assert line > 30


def same(one: Any, other: Any) -> bool:
    """Whether two went the same way; one may have handed out a token more before."""
    (sent, past_), (said, before) = one, other
    short = min(len(past_), len(before))
    return past_[:short] == before[:short] and any(
        sent[skip : skip + 7] == said[more : more + 7] for skip in (0, 1) for more in (0, 1)
    )


def test_ctrl_c_at_any_moment_leaves_the_same_text():
    """Real signals, at many moments of stepping, picking and going back."""
    stream, count = opened(), 0
    with Strikes() as strikes:
        for delay in np.linspace(2e-4, 3e-3, 120):
            try:
                strikes.arm(float(delay))
                while True:
                    strikes.turn += 1
                    next(stream)
                    stream.peek(3)
                    if stream._coming()[1] > 3:
                        stream.rewind(2)
                        stream.take(2)
            except KeyboardInterrupt:
                count += 1
    assert count == 120
    next(stream)
    last = stream.actions[-1]
    plain = opened()
    wanted = next(token for token in plain if (token.piece, token.step) == (last.piece, last.step))
    assert stream.actions == plain.actions
    assert last == wanted
    assert stream.take(30) == plain.take(30)
    assert sys.gettrace() is None
