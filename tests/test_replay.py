"""Recordings played again, and made again from their seeds and controls."""

import json

import numpy as np
import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.cli import main
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player.remake import remake


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


def recorded(model, path, seed=3, **how):
    """A minute of a performance in which all sorts of things are changed; the events that a recorder got."""
    stream, recorder = ls.sketch(model, seed=seed), ls.Recorder()
    changes = {
        12: lambda: setattr(stream, "temperature", 0.2),
        20: lambda: stream.feed([[[0, 0], [20, 0], [20, 20]]]),
        31: lambda: setattr(stream, "label", {"cat": 0.3, "pig": 0.7}),
        45: lambda: setattr(stream, "z", np.linspace(-1, 1, len(stream.z))),
        52: lambda: setattr(stream, "temperature", ls.lfo(0.1, 1.2, beats=3)),
        70: lambda: setattr(stream, "z", None),
        77: lambda: setattr(stream, "convention", "paper"),
        90: lambda: setattr(stream, "temperature", 0.7),
        130: lambda: player.ask_to_stop(),  # noqa: PLW0108 - there is no player yet
    }

    class Hand(ls.Recorder):
        """Changes things from within, so that it is always at the same step."""

        def send(self, event):
            super().send(event)
            if isinstance(event, ls.PenAction) and event.source == "model":
                act = changes.pop(sum(isinstance(e, ls.PenAction) for e in self.events), None)
                if act:
                    act()

    player = ls.play(stream, [Hand(), recorder, ls.trace(path)], clock=ls.OfflineClock(), **({"rate": 30} | how))
    assert player.wait(20)
    assert player.error is None
    return [event for event in recorder.events if isinstance(event, ls.PenAction)]


# Bad input


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["not json"],
        [{"event": "pen"}],
        [{"trace": 2, "name": "a"}],
        [{"trace": 1, "name": "", "voices": 1, "stage_units": 1, "model": "a", "seed": 1}],
        [{"trace": 1, "name": "a", "voices": 10**9, "stage_units": 1, "model": "a", "seed": 1}],
        [{"trace": 1, "name": "a", "voices": 1, "stage_units": 0, "model": "a", "seed": 1}],
        [{"trace": 1, "name": "a", "voices": 1, "stage_units": 1, "model": "a", "seed": 2**64}],
        [{"trace": 1, "name": "a", "voices": 1, "stage_units": 1, "model": "a", "seed": 1}],
        [{"trace": 1, "name": "a", "voices": 1, "stage_units": 1, "model": "a", "seed": 1}, {"event": "pen", "at": 0}],
        [
            {"trace": 1, "name": "a", "voices": 1, "stage_units": 1, "model": "a", "seed": 1},
            {"event": "token", "at": "now", "name": "a", "voice": 0, "step": 0, "text": "x"},
        ],
    ],
)
def test_what_is_no_trace_is_refused(tmp_path, lines):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ls.DataError):
        ls.replay(path)


def test_a_file_that_is_missing_and_a_name_that_is_not_in_it_are_told(model, tmp_path):
    with pytest.raises(ls.DataError):
        ls.replay(tmp_path / "none.jsonl")
    recorded(model, tmp_path / "a.jsonl")
    with pytest.raises(ls.DataError, match="dog"):
        ls.replay(tmp_path / "a.jsonl", name="dog")
    with pytest.raises(ls.DataError, match="dog"):
        remake(tmp_path / "a.jsonl", model, name="dog")


# Played again


@pytest.mark.parametrize(
    "how", [{"rate": 30}, {"rate": None, "pace": ls.pace.human()}, {"rate": None, "pace": ls.pace.speed(0.4)}]
)
def test_played_again_it_is_the_same_at_the_same_times(model, tmp_path, how):
    events = recorded(model, tmp_path / "a.jsonl", **how)
    recorder, stream = ls.Recorder(), ls.replay(tmp_path / "a.jsonl")
    player = ls.play(stream, recorder, clock=ls.OfflineClock())
    assert player.wait(10)
    again = [event for event in recorder.events if isinstance(event, ls.PenAction)]
    assert [(e.drawing, e.step, e.x, e.y, e.dx, e.ink, e.pen, e.source) for e in again] == [
        (e.drawing, e.step, e.x, e.y, e.dx, e.ink, e.pen, e.source) for e in events
    ]
    start = events[0].at
    assert [e.at - again[0].at for e in again] == pytest.approx([e.at - start for e in events], abs=1e-9)
    assert {e.name for e in again} == {"cat"}


def test_twice_as_fast_and_through_the_command_line(model, tmp_path, capsys):
    events = recorded(model, tmp_path / "a.jsonl", rate=5000)
    path, page = str(tmp_path / "a.jsonl"), str(tmp_path / "a.svg")
    assert main(["replay", path, "--quiet", "-o", page, "--times", "2"]) == 0
    assert "steps" in capsys.readouterr().out
    assert (tmp_path / "a.svg").read_text().count("<path") > 1
    assert len(events) > 100
    assert main(["replay", path, "--check", "--model", model]) == 0
    assert "all the same" in capsys.readouterr().out


def test_two_plays_and_many_voices_in_one_file(model, tmp_path):
    out = ls.trace(tmp_path / "a.jsonl")
    for name, stream in (("one", ls.sketch(model, seed=1)), ("two", ls.voices(model, 3, seed=2))):
        ls.play(stream, out, name=name, rate=1000, then="stop", clock=ls.OfflineClock()).wait(10)
    two, recorder = ls.replay(tmp_path / "a.jsonl", name="two"), ls.Recorder()
    assert len(two) == 3
    ls.play(two, recorder, clock=ls.OfflineClock()).wait(10)
    for k in range(3):
        wanted = [(a.step, a.x) for a in ls.sketch(model, seed=2, voice=k).drawing()]
        assert [(a.step, a.x) for a in recorder.events if isinstance(a, ls.PenAction) and a.voice == k] == wanted
    assert [len(one) for one in ls.replays(tmp_path / "a.jsonl").values()] == [1, 3]


# Made again


@pytest.mark.parametrize("lookahead", [0.0, 0.1, 2.0])
def test_seed_and_controls_make_the_same_events_bit_for_bit(model, tmp_path, lookahead):
    events = recorded(model, tmp_path / "a.jsonl", lookahead=lookahead)
    (found,) = remake(tmp_path / "a.jsonl", model)
    assert found.first_difference == ""
    assert found.events == len(events)
    assert found.given == 2


def test_a_control_that_was_lost_makes_a_difference(model, tmp_path):
    recorded(model, tmp_path / "a.jsonl")
    path = tmp_path / "a.jsonl"
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"temperature","value":0.2}' in line or '"value":0.2' in line)
    path.write_text("\n".join(lines[:at] + lines[at + 1 :]))
    assert "recorded" in remake(path, model)[0].first_difference


def test_another_kind_of_event_is_a_difference(model, tmp_path):
    path = tmp_path / "a.jsonl"
    recorded(model, path)
    text = {"event": "token", "at": 0.0, "name": "cat", "voice": 0, "piece": 0, "step": 1, "text": "a", "given": False,
            "log_prob": -1.0, "entropy": 1.0}  # fmt: skip
    lines = path.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if '"event":"pen"' in line)
    path.write_text("\n".join([*lines[: at + 1], json.dumps(text), *lines[at + 1 :]]))
    assert "recorded 'token', made again 'pen'" in remake(path, model)[0].first_difference


def test_texts_are_made_again_too(tmp_path):
    stream = ls.text("wuyan", seed=5)
    player = ls.play(stream, ls.trace(tmp_path / "a.jsonl"), rate=1000, clock=ls.OfflineClock(), then=lambda s: None)
    assert player.wait(10)
    assert remake(tmp_path / "a.jsonl")[0].first_difference == ""
    poem = ls.text("wuyan", seed=5)
    poem.first_line("山为斜好几")
    player = ls.play(poem, ls.trace(tmp_path / "b.jsonl"), rate=1000, clock=ls.OfflineClock(), then="stop")
    assert player.wait(10)
    (found,) = remake(tmp_path / "b.jsonl")
    assert (found.first_difference, found.given) == ("", 5)


def test_what_began_in_the_middle_and_ended_before_the_next_drawing_is_told(model, tmp_path):
    stream = ls.sketch(model, seed=1)
    stream.take(3)
    ls.play(stream, ls.trace(tmp_path / "a.jsonl"), rate=1000, then="stop", clock=ls.OfflineClock()).wait(10)
    (found,) = remake(tmp_path / "a.jsonl", model)
    assert found.events == 0
    assert "beginning" in found.unchecked


def test_due_and_sent_times_are_recorded(model, tmp_path):
    recorded(model, tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    pens = [row for row in rows if row.get("event") == "pen"]
    assert all(row["sent"] >= row["at"] for row in pens[:-1])
    controls = [(row["control"], row["drawing"], row["step"]) for row in rows if row.get("event") == "control"]
    assert ("convention", *controls[-1][1:]) != controls[0]
    assert {"temperature", "label", "z", "convention"} <= {name for name, _, _ in controls}
