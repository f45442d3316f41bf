"""``engine="process"``: the same performance in a process of its own, whatever the prompt's process does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.data.json_lines import json_lines
from livesketch.models.checkpoint import save_checkpoint
from livesketch.player.engine import engine
from livesketch.streams.packing import pack, unpack


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()
    assert not ls.players()


@pytest.fixture(scope="module", autouse=True)
def ended():
    engine.ask("playing")  # so that it is there before the first test
    yield
    engine.close()


def pens(path):
    return [row for _, row in json_lines(path) if isinstance(row, dict) and row.get("event") == "pen"]


def wait_for(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)


def play(stream, to=None, **how):
    return ls.play(stream, to, engine="process", **how)


# Bad input


def test_what_cannot_go_is_refused_and_nothing_plays(model, tmp_path):
    stream = ls.sketch(model, seed=1)
    stream.temperature = lambda beat: 0.5
    with pytest.raises(ls.ControlError, match="cannot go to another process"):
        play(stream, ls.trace(tmp_path / "a.jsonl"))
    stream.temperature = 0.5
    with pytest.raises(ls.ControlError, match="clock"):
        play(stream, ls.trace(tmp_path / "a.jsonl"), clock=ls.OfflineClock())
    with pytest.raises(ls.ControlError, match="engine"):
        ls.play(stream, ls.trace(tmp_path / "a.jsonl"), engine="moon")
    with pytest.raises(ls.ControlError, match="steps per second"):
        play(stream, ls.trace(tmp_path / "a.jsonl"), rate=-1)
    assert not ls.players()
    assert stream.take(3)


def test_outputs_come_and_go_there_too(model, tmp_path):
    first, second = ls.trace(tmp_path / "a.jsonl"), ls.trace(tmp_path / "b.jsonl")
    player = play(ls.sketch(model, seed=3), first, rate=400)
    wait_for(lambda: player.stats().steps > 5)
    for bad in ((), ("osc",)):
        with pytest.raises(ls.ControlError):
            player.to = bad
    player.to = (first, second)
    steps = player.stats().steps
    wait_for(lambda: player.stats().steps > steps + 20)
    player.to = second
    assert player.to == (second,)
    steps = player.stats().steps
    wait_for(lambda: player.stats().steps > steps + 20)
    player.stop()
    one, two = pens(first.path), pens(second.path)
    assert len(one) > 20
    assert two[-1]["drawing"] * 1000 + two[-1]["step"] > one[-1]["drawing"] * 1000 + one[-1]["step"]


# Packing


@pytest.mark.parametrize("steps", [0, 7, 60])
@pytest.mark.parametrize("kind", ["sketch", "voices", "text", "choir"])
def test_a_stream_that_was_packed_goes_on_as_it_would_have(model, kind, steps):
    def made():
        if kind == "sketch":
            stream = ls.sketch(model, seed=3, temperature=0.9, voice=2)
            stream.z = np.ones(len(stream.z))
        elif kind == "voices":
            stream = ls.voices(model, 3, seed=3, temperature=0.9)
            stream.label = ["cat", "pig", "cat"]
        elif kind == "text":
            stream = ls.text("wuyan", seed=3, form="五绝", top_k=50)
            stream.first_line("山为斜好几")
        else:
            stream = ls.voices("wuyan", 2, seed=3, temperature=0.7)
        for _ in range(steps):
            stream.events()
        return stream

    one, other = made(), unpack(pack(made()))
    for _ in range(40):
        assert [*one.events()] == [*other.events()]


# Playing


def test_it_plays_the_same_and_comes_back_where_it_was_heard(model, tmp_path):
    stream = ls.sketch(model, seed=3)
    stream.take(4)
    player = play(stream, ls.trace(tmp_path / "a.jsonl"), rate=400)
    wait_for(lambda: player.stats().steps > 40)
    assert player.playing
    assert ls.players() == {"cat": player}
    player.stop()
    player.stop()
    rows = pens(tmp_path / "a.jsonl")
    plain = ls.sketch(model, seed=3)
    plain.take(4)
    wanted = plain.take(len(rows))
    assert [(row["drawing"], row["step"], row["x"]) for row in rows] == [(a.drawing, a.step, a.x) for a in wanted]
    assert stream.take(20) == plain.take(20)


def test_controls_of_the_stream_and_of_the_player_go_there(model, tmp_path):
    stream = ls.sketch(model, seed=3)
    player = play(stream, ls.trace(tmp_path / "a.jsonl"), rate=200, lookahead=0.5)
    wait_for(lambda: player.stats().steps > 5)
    stream.temperature = 0.11
    stream.label = "pig"
    player.stream.z = np.zeros(len(KINDS) and stream.checkpoint.z_size)
    player.stream.feed([[[0, 0], [10, 10]]])
    assert player.stream.temperature == 0.11
    assert player.stream.label == "pig"
    player.stream.temperature = ls.lfo(0.2, 0.4)
    with pytest.raises(ls.ControlError, match="0"):
        stream.temperature = -3
    with pytest.raises(ls.ControlError, match="another process"):
        stream.take(1)
    with pytest.raises(ls.ControlError, match="no control"):
        player.stream.colour = "red"
    player.rate = 300
    player.pace = ls.pace.speed(3)
    assert player.rate is None
    assert player.pause().paused
    assert not player.resume().paused
    assert player.mute().muted
    player.unmute()
    steps = player.stats().steps
    wait_for(lambda: player.stats().steps > steps + 10)
    assert "process" in repr(player)
    player.stop()
    found = {row["control"] for _, row in json_lines(tmp_path / "a.jsonl") if row.get("event") == "control"}
    assert {"temperature", "label", "z"} <= found
    assert any(row["source"] == "human" for row in pens(tmp_path / "a.jsonl"))


def test_a_latent_is_read_and_set_there(model, tmp_path):
    player = play(ls.sketch(model, seed=3), ls.trace(tmp_path / "a.jsonl"), rate=200)
    assert player.stream.z.shape == (6,)
    player.stream.z = np.arange(6.0)
    assert player.stream.z.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    z = player.stream.z
    z[2] = -1.0
    player.stream.z = z
    assert player.stream.z.tolist() == [0.0, 1.0, -1.0, 3.0, 4.0, 5.0]
    with pytest.raises(ls.ControlError):
        player.stream.z = np.full(6, np.nan)


def test_a_list_of_streams_follows_there_as_here(model, tmp_path):
    """What ``then`` names goes there too, from the place where it is."""
    played = {}
    for where in ("thread", "process"):
        coming = [ls.sketch(model, seed=seed) for seed in (4, 5)]
        coming[1].take(3)
        path = tmp_path / f"{where}.jsonl"
        player = ls.play(
            ls.sketch(model, seed=3), ls.trace(path), rate=500, name="cat", then=coming, engine=where
        )  # fmt: skip
        assert player.wait(30)
        played[where] = [(row["drawing"], row["step"], row["dx"]) for row in pens(path)]
    assert played["process"] == played["thread"]
    assert [step for _, step, _ in played["thread"]].count(0) == 2  # the third goes on from its step 3


def test_actions_are_what_was_played_there(model, tmp_path):
    stream = ls.sketch(model, seed=3)
    player = play(stream, ls.trace(tmp_path / "a.jsonl"), rate=200, lookahead=0.5)
    wait_for(lambda: player.stats().steps > 5)
    player.pause()
    wait_for(lambda: len({len(stream.actions) for _ in range(9)}) == 1)
    there = stream.actions
    assert there == player.stream.actions != []
    player.stop()
    rows = pens(tmp_path / "a.jsonl")
    assert [(row["step"], row["x"]) for row in rows if row["drawing"] == rows[-1]["drawing"]] == [
        (action.step, action.x) for action in there
    ]


def test_a_swap_happens_there_and_between_engines(model, tmp_path):
    play(ls.sketch(model, seed=1), ls.trace(tmp_path / "a.jsonl"), rate=400, name="cat")
    player = play(ls.sketch(model, seed=2), name="cat", rate=400)
    wait_for(lambda: player.stats().steps > 20)
    recorder = ls.Recorder()
    here = ls.play(ls.sketch(model, seed=3), recorder, name="cat", rate=400)
    wait_for(lambda: here.stats().steps > 5)
    assert list(ls.players()) == ["cat"]
    there = play(ls.sketch(model, seed=4), ls.trace(tmp_path / "b.jsonl"), name="cat", rate=400)
    wait_for(lambda: there.stats().steps > 5)
    assert not here.playing
    ls.hush()
    assert not ls.players()
    kinds = [row.get("kind") for _, row in json_lines(tmp_path / "a.jsonl") if isinstance(row, dict)]
    assert next(kind for kind in kinds if kind in ("swap", "hush")) == "swap"


def test_a_script_that_is_run_again_there_leaves_its_outputs_whole(model, tmp_path):
    out = ls.trace(tmp_path / "a.jsonl")
    play(ls.sketch(model, seed=1), out, rate=400, name="cat")
    wait_for(lambda: ls.players()["cat"].stats().steps > 20)
    player = play(ls.sketch(model, seed=2), [out], rate=400, name="cat", quant="now")
    wait_for(lambda: player.stats().steps > 20)
    player.stop()
    rows = [row for _, row in json_lines(out.path)]
    assert all(isinstance(row, dict) for row in rows)
    assert [row["seed"] for row in rows if "trace" in row] == [1, 2]


def test_what_is_soloed_there_and_stops_leaves_the_others_heard(model, tmp_path):
    player = play(ls.sketch(model, seed=1), ls.trace(tmp_path / "a.jsonl"), rate=400, name="there")
    here = ls.play(ls.sketch(model, seed=2), ls.Recorder(), rate=400, name="here")
    player.solo()
    assert here.muted
    player.stop()
    wait_for(lambda: not here.muted)


@pytest.mark.parametrize("engines", [("thread", "process"), ("process", "thread"), ("process", "process")])
def test_muted_is_a_name_whichever_engine_it_swaps_to(model, tmp_path, engines):
    ls.play(ls.sketch(model, seed=1), ls.trace(tmp_path / "a.jsonl"), name="cat", engine=engines[0]).mute()
    other = ls.play(ls.sketch(model, seed=2), ls.Recorder(), name="other")
    other.solo()
    player = ls.play(ls.sketch(model, seed=3), name="cat", engine=engines[1])
    other.unsolo()
    assert player.muted
    player.unmute()
    assert not player.muted


def test_a_swap_to_another_engine_that_cannot_be_leaves_what_plays(model, tmp_path):
    output, other = ls.trace(tmp_path / "a.jsonl"), ls.Recorder()
    here = ls.play(ls.sketch(model, seed=1), output, name="cat")
    ls.play(ls.sketch(model, seed=2), other, name="other")
    stream = ls.sketch(model, seed=3)
    stream.temperature = lambda beat: 0.5
    with pytest.raises(ls.ControlError, match="cannot go to another process"):
        play(stream, name="cat")
    with pytest.raises(ls.ControlError, match="cannot go to another process"):
        play(ls.sketch(model, seed=4), name="cat", then=lambda stream: stream)
    with pytest.raises(ls.ControlError, match="in use by the player 'other'"):
        play(ls.sketch(model, seed=4), other, name="cat")
    assert here.playing
    there = play(ls.sketch(model, seed=5), output, name="cat")
    assert not here.playing
    with pytest.raises(ls.ControlError, match="in use by the player 'other'"):
        ls.play(stream, other, name="cat")
    assert there.playing


def test_the_same_line_again_goes_on_there(model, tmp_path):
    stream, out = ls.sketch(model, seed=1), ls.trace(tmp_path / "a.jsonl")
    play(stream, out, rate=400, name="cat").mute()
    player = play(stream, out, rate=400, name="cat").unmute()
    wait_for(lambda: player.stats().steps > 20)
    player.stop()
    assert stream.take(2)
    assert [row["seed"] for _, row in json_lines(out.path) if "trace" in row] == [1, 1]


def test_a_stream_that_is_played_here_stays_here(model):
    stream = ls.sketch(model, seed=1)
    here = ls.play(stream, ls.Recorder(), name="here")
    with pytest.raises(ls.ControlError, match="is played by 'here'"):
        play(stream, ls.osc("127.0.0.1:9"), name="there")
    assert here.playing


def test_a_mistake_there_is_told_here(model, tmp_path):
    player = play(ls.sketch(model, seed=1), ls.trace(tmp_path / "a.jsonl"), rate=100)
    with pytest.raises(ls.ControlError, match="one of livesketch"):
        player.pace = "fast"
    with pytest.raises(ls.StrokesError):
        player.stream.feed([])
    with pytest.raises((ls.ControlError, AttributeError)):
        player.stream.dance()
    assert player.playing


def test_it_goes_when_its_process_is_killed_and_the_next_play_starts_another(model, tmp_path):
    stream = ls.sketch(model, seed=1)
    player = play(stream, ls.trace(tmp_path / "a.jsonl"), rate=100)
    os.kill(engine.pid, signal.SIGKILL)
    wait_for(lambda: not engine.alive)
    assert not player.playing
    assert not ls.players()
    player.stop()
    assert stream.take(2)
    again = play(stream, ls.trace(tmp_path / "b.jsonl"), rate=100)
    wait_for(lambda: again.stats().steps > 3)
    engine.close()


PROGRAM = """
import sys, time, livesketch as ls
stream = ls.sketch(sys.argv[1], seed=3)
player = ls.play(stream, ls.trace(sys.argv[2]), rate=300, engine="process")
from livesketch.player.engine import engine
print(engine.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGTERM, signal.SIGINT))],
)
def test_where_the_prompt_dies_the_pen_is_lifted_and_the_process_gone_within_a_second(model, tmp_path, number):
    path = tmp_path / "a.jsonl"
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, model, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pid = int(parent.stdout.readline())
    wait_for(lambda: path.exists() and len(pens(path)) > 20)
    parent.send_signal(number)
    killed = time.monotonic()
    parent.wait(10)
    while Path(f"/proc/{pid}").exists() and time.monotonic() < killed + 5:
        time.sleep(0.01)
    assert time.monotonic() - killed < 6  # within a second on a machine that is not busy with tests
    last = [row for _, row in json_lines(path) if isinstance(row, dict)][-1]
    assert last["kind"] == "hush"
    parent.stdout.close()
