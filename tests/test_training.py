"""``livesketch train sketch`` and ``livesketch eval``: from drawings to a model that draws, stopped at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import livesketch as ls
from livesketch.errors import CheckpointError, ControlError, DataError, OutputError, TrainingError

torch = pytest.importorskip("torch")

from interrupted import assert_killed_goes_on, assert_two_do_what_one_does, same  # noqa: E402 - after the check for torch

from livesketch.data.drawings import load_drawings  # noqa: E402
from livesketch.models.checkpoint import load_checkpoint  # noqa: E402
from livesketch.training.batches import Sketches, drop_points, place_in  # noqa: E402
from livesketch.training.evaluation import evaluate, figures, total  # noqa: E402
from livesketch.training.export import checkpoint_of  # noqa: E402
from livesketch.training.measure import measure, network_of  # noqa: E402
from livesketch.training.settings import SketchSettings  # noqa: E402
from livesketch.training.sketch import SketchRun  # noqa: E402
from livesketch.training.state import load_state, save_state  # noqa: E402
from livesketch.training.train import Order, train_sketch  # noqa: E402
from livesketch.training.workers import Workers  # noqa: E402

SMALL = {
    "hidden": 24, "encoder_hidden": 12, "z_size": 6, "label_size": 4, "mixtures": 3, "batch": 16, "eval_every": 10,
    "precision": "fp32",
}  # fmt: skip
ALONE = Workers(0, 1, torch.device("cpu"))


def write_data(path, turn, count=100, seed=1):
    """Zigzags that turn one way: easily learnt."""
    rng = np.random.default_rng(seed)
    drawings = np.empty(count, object)
    for i in range(count):
        n = int(rng.integers(4, 9))
        rows = np.array([[20, turn * (15 if k % 2 else -15), 0] for k in range(n)], np.int16)
        rows[-1, 2] = 1
        drawings[i] = np.vstack([[0, 0, 0], rows]).astype(np.int16)
    tenth = max(1, count // 10)
    np.savez(path, train=drawings[: -2 * tenth], valid=drawings[-2 * tenth : -tenth], test=drawings[-tenth:])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zigzags")
    return [write_data(folder / "zig.npz", 1), write_data(folder / "zag.npz", -1)]


def run_of(data, **options):
    return SketchRun(SketchSettings(**(SMALL | options)), load_drawings(data), ALONE, "zigzag")


def weights_of(run):
    return {name: value.detach().clone() for name, value in run.net.tensors().items()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden": 0}, "--hidden 0"),
        ({"z_size": -1}, "--z-size -1"),
        ({"cell": "gru"}, "lstm, layer_norm, hyper"),
        ({"rate": float("nan")}, "--rate nan"),
        ({"recurrent_dropout": 1.0}, "--recurrent-dropout"),
        ({"batch": 2.5}, "--batch 2.5"),
        ({"precision": "fp8"}, "auto, fp32, bf16"),
    ],
)
def test_bad_settings_are_refused_with_the_legal_range(options, words):
    with pytest.raises(ControlError, match=words):
        SketchSettings(**options)


def test_a_device_that_is_not_there_is_refused(data, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    order = Order(sources=data, output=tmp_path / "a.safetensors", settings=SketchSettings(device="cuda"), name="a")
    with pytest.raises(ControlError, match="--device 'cuda'"):
        train_sketch(order)
    assert not list(tmp_path.iterdir())


def test_a_model_needs_its_ending_before_anything_is_read(tmp_path):
    with pytest.raises(OutputError, match=r"cat\.safetensors"):
        train_sketch(Order(sources=[], output=tmp_path / "a.pt", settings=SketchSettings(), name="a"))


def test_no_data_is_an_error(tmp_path):
    with pytest.raises(DataError):
        train_sketch(
            Order(sources=[tmp_path / "no.npz"], output=tmp_path / "a.safetensors", settings=SketchSettings(), name="a")
        )
    assert not list(tmp_path.iterdir())


def test_a_damaged_training_file_is_an_error_and_stays(tmp_path, data):
    state = tmp_path / "a.training.safetensors"
    state.write_bytes(b"\0" * 100)
    order = Order(sources=data, output=tmp_path / "a.safetensors", settings=SketchSettings(**SMALL), name="a")
    with pytest.raises(CheckpointError, match="--fresh"):
        train_sketch(order)
    assert state.read_bytes() == b"\0" * 100


def test_not_a_number_is_said_and_the_weights_stay(data):
    run = run_of(data)
    run.advance()
    before = weights_of(run)
    with torch.no_grad():
        run.net.tensors()["head.b"][0] = float("nan")
    with pytest.raises(TrainingError, match="smaller --rate"):
        run.advance()
    after = weights_of(run)
    assert same({k: v for k, v in before.items() if k != "head.b"}, {k: v for k, v in after.items() if k != "head.b"})


def test_other_data_or_another_network_cannot_go_on(data):
    run = run_of(data)
    run.advance()
    state = run.state()
    with pytest.raises(TrainingError, match="hidden was 24, is 32"):
        run_of(data, hidden=32).resume(state)
    with pytest.raises(TrainingError, match="labels"):
        run_of(data[:1]).resume(state)


@pytest.mark.parametrize("cell", ["lstm", "layer_norm", "hyper"])
def test_stopped_and_gone_on_is_the_same_as_never_stopped(data, tmp_path, cell):
    options = {"cell": cell, "encoder_cell": "layer_norm" if cell == "hyper" else cell, "z_dropout": 0.3}
    whole = run_of(data, **options)
    for _ in range(14):  # over the end of an epoch
        whole.advance()
    part = run_of(data, **options)
    for _ in range(6):
        part.advance()
    save_state(part.state(), tmp_path / "state.safetensors")
    again = run_of(data, **options)
    again.resume(load_state(tmp_path / "state.safetensors"))
    for _ in range(8):
        again.advance()
    assert again.step == whole.step == 14
    assert again.epoch == whole.epoch == 1
    assert same(weights_of(whole), weights_of(again))
    assert same(whole.average, again.average)


def test_the_loss_falls_and_both_ways_are_told_apart(data):
    run = run_of(data, z_size=0, rate=5e-3)
    first = total(evaluate(run.net, run.splits["valid"], run.longest)).nats_per_step
    for _ in range(60):
        run.advance()
    assert total(evaluate(run.net, run.splits["valid"], run.longest)).nats_per_step < first - 0.5


def test_schedules_are_magentas(data):
    run = run_of(data)
    assert run.rate() == pytest.approx(1e-3)
    assert run.kl_weight() == pytest.approx(0.01)
    run.step = 1000
    assert run.rate() == pytest.approx((1e-3 - 1e-5) * 0.9999**1000 + 1e-5)
    assert run.kl_weight() == pytest.approx(0.5 - 0.49 * 0.99995**1000)


def test_nats_in_training_are_those_of_the_stream(data):
    """Teacher-forced, dropout off, END counted once: training code and reference backend."""
    for z_size in (0, 6):
        run = run_of(data, z_size=z_size)
        for _ in range(5):
            run.advance()
        facts = run.facts() | {"licence": "", "attribution": "", "data": ""}
        arrays = {name: value.detach().numpy() for name, value in run.net.tensors().items()}
        checkpoint = checkpoint_of(run.net.spec, arrays, facts, exact=True)
        stream = ls.streams.sketch.SketchStream(checkpoint, "zag", ls.controls.Controls(0.65, "js"), 1, "reference", 0)
        rows = load_drawings(data[1:]).test.drawings[0]
        if z_size:
            stream.z = stream.encode(rows)
        sketches = Sketches([rows], np.array([1]), checkpoint.scale_factor)
        scores = evaluate(run.net, sketches, run.longest)[1]
        assert float(scores.nats_per_step) == pytest.approx(stream.log_prob(rows).unmasked, abs=1e-4)
        assert float(scores.offset + scores.pen) / len(rows) == pytest.approx(stream.log_prob(rows).masked, abs=1e-4)


def test_figures_of_a_hand_made_case(data):
    run = run_of(data, z_size=0)
    sketches = run.splits["test"]
    longest = run.longest
    scores = total(evaluate(run.net, sketches, longest, padded=True))
    values = figures(scores, padded=True)
    assert values["L_R masked"] == pytest.approx(values["L_s"] + values["L_p masked"])
    assert values["L_R unmasked"] == pytest.approx(values["L_s"] + values["L_p unmasked"])
    assert values["L_p unmasked"] > values["L_p masked"]
    steps = scores.rows + scores.drawings
    assert values["nats per step"] == pytest.approx(float(scores.offset + scores.pen + scores.end) / steps)
    twice = figures(total(evaluate(run.net, sketches, 2 * longest)), padded=False)
    assert twice["L_R masked"] == pytest.approx(values["L_R masked"] / 2)  # what it is divided by
    assert "L_p unmasked" not in twice  # not run


def test_point_dropping_keeps_the_ends_of_strokes_and_the_whole_move():
    one = np.array([[1, 0, 0]] * 8 + [[1, 0, 1]] + [[0, 2, 0]] * 3 + [[0, 2, 1]], np.float32)
    rows, owner = np.concatenate([one, one]), np.repeat([0, 1], len(one))
    fewer, of = drop_points(rows, owner, np.ones(len(rows), bool))
    assert len(fewer) < len(rows)
    for drawing in (0, 1):
        np.testing.assert_allclose(fewer[of == drawing, :2].sum(0), one[:, :2].sum(0))
        assert fewer[of == drawing, 2].sum() == 2
    np.testing.assert_array_equal(drop_points(rows, owner, np.zeros(len(rows), bool))[0], rows)


def plain_drop(rows, drop):
    """magenta's loop, ``utils.py`` augment_strokes."""
    out, inner = [], 0
    for (dx, dy, lift), chance in zip(rows.tolist(), drop.tolist(), strict=True):
        inner = 0 if lift else inner + 1
        if chance and inner > 2:
            out[-1][0] += dx
            out[-1][1] += dy
        else:
            out.append([dx, dy, lift])
    return np.array(out)


def test_point_dropping_is_magentas():
    rng = np.random.default_rng(1)
    drawings = [
        np.column_stack([rng.normal(size=(n, 2)), rng.random(n) < 0.2]).astype(np.float32) for n in (1, 2, 9, 30, 4)
    ]
    rows, owner = np.concatenate(drawings), np.repeat(np.arange(5), [len(d) for d in drawings])
    drop = rng.random(len(rows)) < 0.4
    fewer, of = drop_points(rows, owner, drop)
    for k in range(5):
        np.testing.assert_allclose(fewer[of == k], plain_drop(drawings[k], drop[owner == k]), atol=1e-5)


def test_batches_hold_start_rows_and_end():
    drawings = [np.array([[3, 4, 0], [6, 8, 1]], np.float32), np.array([[3, 0, 1]], np.float32)]
    batch = Sketches(drawings, np.array([5, 7]), 3.0).batch(np.array([1, 0]))
    assert batch.lengths.tolist() == [1, 2]
    assert batch.labels.tolist() == [7, 5]
    np.testing.assert_allclose(batch.rows[:, 0], [[0, 0, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]])
    np.testing.assert_allclose(batch.rows[2, 1], [2, 8 / 3, 0, 1, 0])


def test_every_drawing_comes_once_an_epoch():
    drawings = [np.ones((1 + k % 7, 3), np.float32) for k in range(103)]
    groups = Sketches(drawings, np.zeros(103), 1.0).groups(10, np.random.default_rng(1))
    assert sorted(np.concatenate(groups)) == list(range(103))
    assert place_in(np.array([0, 0, 1, 2, 2]), np.array([2, 1, 2])).tolist() == [0, 1, 0, 0, 1]


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A small model after 40 steps, with everything that stands beside it."""
    folder = tmp_path_factory.mktemp("trained")
    settings = SketchSettings(**(SMALL | {"steps": 40, "rate": 5e-3, "z_dropout": 0.3}))
    train_sketch(Order(sources=data, output=folder / "zigzag.safetensors", settings=settings, name="zigzag"))
    return folder


def test_a_training_leaves_a_model_a_card_samples_and_a_log(trained):
    assert sorted(path.name for path in trained.iterdir()) == [
        "zigzag.log.jsonl", "zigzag.md", "zigzag.safetensors", "zigzag.samples.svg", "zigzag.training.safetensors",
    ]  # fmt: skip
    checkpoint = load_checkpoint(trained / "zigzag.safetensors")
    assert checkpoint.labels == ("zig", "zag")
    assert checkpoint.z_optional
    assert checkpoint.losses["test L_R unmasked"] > checkpoint.losses["test L_R masked"]
    log = [json.loads(line) for line in (trained / "zigzag.log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [10, 20, 30, 40]
    assert log[-1]["valid nats per step"] < log[0]["valid nats per step"]
    card = (trained / "zigzag.md").read_text()
    assert "L_R is magenta's" in card
    assert str(trained.parent) not in card
    assert (trained / "zigzag.samples.svg").read_text().count("<path") > 10
    stream = ls.sketch(f"{trained}/zigzag.safetensors#zag", seed=1)
    assert next(stream).step == 0


@pytest.mark.slow
def test_eval_gives_the_losses_that_the_training_found(trained, data, run_cli):
    checkpoint = load_checkpoint(trained / "zigzag.safetensors")
    measured = measure(checkpoint, data)
    values = figures(total(measured.by_class), padded=True)
    for name in ("nats per step", "L_R masked", "L_KL"):  # the weights were rounded to int16
        assert values[name] == pytest.approx(checkpoint.losses[f"test {name}"], abs=2e-3)
    shown = run_cli("eval", str(trained / "zigzag.safetensors"), *map(str, data))
    assert "zig without latent" in shown.stdout
    assert f"N_max = {measured.n_max}" in shown.stderr
    found = json.loads(run_cli("eval", str(trained / "zigzag.safetensors"), str(data[0]), "--json").stdout)
    assert found["losses"]["zig"]["L_KL"] == pytest.approx(float(measured.by_class["zig"].l_kl))


@pytest.mark.slow
def test_eval_refuses_a_class_that_the_model_does_not_have(trained, data, tmp_path, run_cli):
    other = tmp_path / "elephant.npz"
    other.write_bytes(data[0].read_bytes())
    done = run_cli("eval", str(trained / "zigzag.safetensors"), str(other), check=False)
    assert done.returncode == 3
    assert "elephant" in done.stderr
    assert "--label" in done.stderr
    run_cli("eval", str(trained / "zigzag.safetensors"), str(other), "--label", "zig", "--quick")


def test_a_network_comes_back_from_its_checkpoint(trained):
    checkpoint = load_checkpoint(trained / "zigzag.safetensors")
    net = network_of(checkpoint)
    for name, tensor in net.tensors().items():
        np.testing.assert_allclose(tensor.detach().numpy(), checkpoint.tensors[name].dense(), rtol=1e-6)


def test_training_further_goes_on_and_training_again_does_nothing(trained, data, tmp_path):
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    output = tmp_path / "zigzag.safetensors"
    settings = SketchSettings(**(SMALL | {"steps": 45, "rate": 5e-3, "z_dropout": 0.3}))
    train_sketch(Order(sources=data, output=output, settings=settings, name="zigzag"))
    assert load_state(tmp_path / "zigzag.training.safetensors").facts["step"] == 45


def test_a_full_disk_leaves_the_old_model(trained, data, tmp_path, monkeypatch):
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    old = (tmp_path / "zigzag.training.safetensors").read_bytes(), (tmp_path / "zigzag.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    settings = SketchSettings(**(SMALL | {"steps": 50, "rate": 5e-3, "z_dropout": 0.3}))
    with pytest.raises(OutputError, match="No space left"):
        train_sketch(Order(sources=data, output=tmp_path / "zigzag.safetensors", settings=settings, name="zigzag"))
    assert old == ((tmp_path / "zigzag.training.safetensors").read_bytes(),
                   (tmp_path / "zigzag.safetensors").read_bytes())  # fmt: skip
    assert not list(tmp_path.glob(".livesketch-*"))


@pytest.mark.slow
def test_a_training_begins_from_a_model(trained, data, tmp_path, run_cli):
    """Known labels keep their vectors, new ones begin at the mean; the sizes are the model's."""
    model = trained / "zigzag.safetensors"
    other = write_data(tmp_path / "zog.npz", 1)
    run_cli(
        "train", "sketch", str(data[1]), str(other), "--init", str(model), "--steps", "1", "--rate", "1e-9",
        "--rate-min", "0", "--batch", "8", "-o", "new.safetensors", cwd=tmp_path,
    )  # fmt: skip
    old, new = load_checkpoint(model), load_checkpoint(tmp_path / "new.safetensors")
    assert new.labels == ("zag", "zog")
    assert new.hidden == old.hidden
    vectors = old.tensors["label.w"].dense()
    np.testing.assert_allclose(new.tensors["label.w"].dense(), [vectors[1], vectors.mean(0)], atol=2e-4)
    np.testing.assert_allclose(new.tensors["decoder.w_h"].dense(), old.tensors["decoder.w_h"].dense(), atol=2e-4)


def test_one_class_that_begins_from_many_keeps_its_label(trained, data, tmp_path):
    run = SketchRun(
        SketchSettings(**SMALL), load_drawings(data[1:]), ALONE, "zag", load_checkpoint(trained / "zigzag.safetensors")
    )
    assert run.net.spec.labels == 1
    run.advance()


def test_beginning_from_another_size_is_refused_with_the_options(trained, data, tmp_path, run_cli):
    model = str(trained / "zigzag.safetensors")
    done = run_cli("train", "sketch", str(data[0]), "--init", model, "--hidden", "32", cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "--hidden 24" in done.stderr


def command(data, output, *more):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    return [sys.executable, "-m", "livesketch", "train", "sketch", *map(str, data), "-o", str(output), *options, *more]


@pytest.mark.slow
def test_kill_9_and_going_on_gives_the_same_weights(data, tmp_path):
    assert_killed_goes_on(partial(command, data), tmp_path, 120)


@pytest.mark.slow
def test_ctrl_c_saves_and_goes_on(data, tmp_path):
    output = tmp_path / "a.safetensors"
    process = subprocess.Popen(command(data, output, "--steps=100000"), stderr=subprocess.PIPE, text=True)
    state = tmp_path / "a.training.safetensors"
    deadline = time.monotonic() + 200
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert "the same command goes on" in said


@pytest.mark.slow
def test_two_processes_train_what_one_does(data, tmp_path):
    assert_two_do_what_one_does(partial(command, data), tmp_path, "--recurrent-dropout=0")


@pytest.mark.slow
def test_sheep_from_the_command_line(shared: Path, tmp_path, run_cli):
    done = run_cli(
        "train", "sketch", str(shared / "strokes" / "aaron_sheep.npz"), "--steps", "30", "--hidden", "64",
        "--encoder-hidden", "32", "--eval-every", "15", "--eval-drawings", "60", cwd=tmp_path, timeout=500,
    )  # fmt: skip
    assert "scale factor 18.52" in done.stderr
    log = [json.loads(line) for line in (tmp_path / "aaron_sheep.log.jsonl").read_text().splitlines()]
    assert log[-1]["valid nats per step"] < log[0]["valid nats per step"]
    assert (tmp_path / "aaron_sheep.samples.svg").exists()
