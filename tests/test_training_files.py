"""What stands beside a model in training: whose it is, one training at a time, a log that a kill does not double."""

import json
import os
import platform
import subprocess
import sys

import pytest
from small_models import small_checkpoint

from livesketch import cli
from livesketch.errors import ControlError, OutputError, TrainingError
from livesketch.models.checkpoint import save_checkpoint

torch = pytest.importorskip("torch")

from test_training_edges import train, write_data  # noqa: E402 - after the check for torch

from livesketch.training import train as training  # noqa: E402
from livesketch.training.beside import alone  # noqa: E402
from livesketch.training.settings import SketchSettings  # noqa: E402
from livesketch.training.sketch import SketchRun  # noqa: E402


@pytest.fixture
def cat(tmp_path):
    (tmp_path / "data").mkdir()
    return write_data(tmp_path / "data" / "cat.npz")


# What was not written here is not written over


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("a.md", "# My cats\n\nTo do: livesketch train sketch cat.npz\n"),
        ("a.md", ""),
        ("a.samples.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("a.log.jsonl", '{"rows": [[1, 2, 1]]}\n'),
        ("a.safetensors", "weights of something else"),
    ],
)
def test_a_file_of_somebody_s_own_is_refused_before_anything_is_read(tmp_path, name, holds):
    (tmp_path / name).write_text(holds)
    with pytest.raises(OutputError, match=f"{name}: .*not written by a training.*-o"):
        train([tmp_path / "no.npz"], tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == holds


def test_what_a_training_wrote_is_written_over(cat, tmp_path):
    train([cat], tmp_path / "a.safetensors")
    (tmp_path / "a.training.safetensors").unlink()
    train([cat], tmp_path / "a.safetensors", steps=4)
    assert "| trained | 4 steps" in (tmp_path / "a.md").read_text()


# One training at a time


def test_a_second_training_of_the_same_output_is_refused_and_the_first_keeps_its_files(cat, tmp_path):
    output = tmp_path / "a.safetensors"
    with alone(output):
        with pytest.raises(OutputError, match=rf"another training.*process {os.getpid()}.*-o"):
            train([cat], output)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".a.training.lock", "data"]
        train([cat], tmp_path / "b.safetensors")
    train([cat], output)
    assert not list(tmp_path.glob(".*"))


def test_the_lock_of_another_process_holds_while_it_lives(cat, tmp_path):
    lock, node = tmp_path / ".a.training.lock", platform.node()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        lock.write_text(f"{process.pid} {node}")
        with pytest.raises(OutputError, match=f"process {process.pid}"):
            train([cat], tmp_path / "a.safetensors")
        process.communicate(b"\n")
    train([cat], tmp_path / "a.safetensors")  # it ended without taking its lock away, as one that was killed
    assert not lock.exists()


@pytest.mark.parametrize("holds", ["1 another machine", "", "what", "-1 x", "0 x"])
def test_a_lock_of_which_nothing_can_be_known_is_refused_and_named(cat, tmp_path, holds):
    lock = tmp_path / ".a.training.lock"
    lock.write_text(holds)
    with pytest.raises(OutputError, match=r"delete .*\.a\.training\.lock"):
        train([cat], tmp_path / "a.safetensors")
    assert lock.read_text() == holds


def test_a_lock_with_this_process_s_number_that_is_not_its_own_is_taken_over(cat, tmp_path):
    """After a restart numbers come again, in containers always the same."""
    (tmp_path / ".a.training.lock").write_text(f"{os.getpid()} {platform.node()}")
    train([cat], tmp_path / "a.safetensors")
    assert not list(tmp_path.glob(".*"))


def test_the_lock_goes_where_a_training_fails(cat, tmp_path, monkeypatch):
    spoil(monkeypatch, 0)
    with pytest.raises(TrainingError):
        train([cat], tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


# Killed between the log and the state


def test_a_line_of_the_log_that_came_after_the_state_comes_once(cat, tmp_path):
    log = tmp_path / "a.log.jsonl"
    train([cat], tmp_path / "a.safetensors", steps=4)
    with log.open("a") as stream:
        stream.write(json.dumps({"step": 6, "seconds": 1.0}) + '\n{"step": 8, "sec')
    train([cat], tmp_path / "a.safetensors", steps=8)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert all("valid nats per step" in line for line in lines)


def test_a_log_that_was_removed_begins_again(cat, tmp_path):
    train([cat], tmp_path / "a.safetensors", steps=2)
    (tmp_path / "a.log.jsonl").unlink()
    train([cat], tmp_path / "a.safetensors", steps=4)
    assert json.loads((tmp_path / "a.log.jsonl").read_text())["step"] == 4


# What an error says


def spoil(monkeypatch, step):
    """From this step on a weight is not a number."""
    advance = SketchRun.advance

    def spoiled(run):
        if run.step >= step:
            with torch.no_grad():
                run.net.tensors()["head.b"][0] = float("nan")
        return advance(run)

    monkeypatch.setattr(SketchRun, "advance", spoiled)


def test_an_error_before_anything_was_saved_does_not_send_for_what_was_saved(cat, tmp_path, monkeypatch):
    spoil(monkeypatch, 1)
    with pytest.raises(TrainingError, match=r"step 1: .*nothing was saved yet: begin again with a smaller --rate"):
        train([cat], tmp_path / "a.safetensors")
    assert not (tmp_path / "a.training.safetensors").exists()


@pytest.mark.parametrize("resumed", [False, True])
def test_an_error_after_a_look_sends_for_what_was_saved(cat, tmp_path, monkeypatch, resumed):
    if resumed:
        train([cat], tmp_path / "a.safetensors")
    spoil(monkeypatch, 3 - resumed)
    with pytest.raises(TrainingError, match=r"saved last is sound: go on from it with a smaller --rate"):
        train([cat], tmp_path / "a.safetensors", steps=9)
    assert (tmp_path / "a.training.safetensors").exists()


# Options


def test_a_share_without_a_latent_is_refused_where_there_is_none():
    with pytest.raises(ControlError, match=r"--z-dropout 0\.5 .*--z-size 0"):
        SketchSettings(z_size=0, z_dropout=0.5)
    SketchSettings(z_size=0)


@pytest.mark.parametrize(
    ("optional", "options", "share"),
    [
        (True, [], 0.5),
        (True, ["--z-dropout", "0.2"], 0.2),
        (True, ["--z-dropout", "0"], 0.0),
        (True, ["--z-size", "0"], 0.0),
        (False, [], 0.0),
    ],
)
def test_a_model_that_draws_without_a_latent_goes_on_to_learn_so(tmp_path, monkeypatch, optional, options, share):
    model = tmp_path / "first.safetensors"
    save_checkpoint(small_checkpoint(z_size=6, encoder=("lstm", 7), z_optional=optional), model)
    orders = []
    monkeypatch.setattr(training, "train_sketch", lambda order: orders.append(order) or tmp_path / "none")
    assert cli.main(["train", "sketch", "cat.npz", "--init", str(model), *options]) == 0
    assert orders[0].settings.z_dropout == share
    assert orders[0].settings.hidden == 40
