"""The trainer of the bundled model: what it learns is what the backends draw with."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import livesketch as ls
from livesketch import backends, sampling

torch = pytest.importorskip("torch")

from livesketch.models.checkpoint import load_checkpoint  # noqa: E402 - after the check for torch
from livesketch.models.network import ClassConditionalDecoder, nats  # noqa: E402
from livesketch.training import sketch as trainer  # noqa: E402
from livesketch.training.export import convert  # noqa: E402

FACTS = {
    "labels": ["zig", "zag"], "hidden": 24, "mixtures": 4, "scale_factor": 10.0, "stage_units": 100.0,
    "max_steps": 50.0, "steps": 1, "epochs": 1, "seed": 1, "valid": {"nats": 0.0, "offset": 0.0, "pen": 0.0},
    "test": {"nats": 0.0, "offset": 0.0, "pen": 0.0},
}  # fmt: skip


@pytest.fixture
def net():
    torch.manual_seed(3)
    return ClassConditionalDecoder(2, 24, 4, 8, dropout=0.0)


def some_rows(n=20):
    rng = np.random.default_rng(2)
    rows = np.column_stack([rng.normal(0, 10, (n, 2)), rng.random(n) < 0.2]).astype(np.float32)
    rows[-1, 2] = 1
    return rows


def batch_of(rows, scale):
    scaled = rows / np.array([scale, scale, 1], np.float32)
    example = trainer.Example(scaled, 1)
    return next(trainer.batches([example], 1, np.random.default_rng(0), augment=False))


def test_exported_weights_draw_with_the_densities_that_were_trained(net):
    checkpoint = convert({k: v.detach().numpy() for k, v in net.state_dict().items()}, FACTS, "test")
    rows = some_rows()
    inputs, label = batch_of(rows, 10.0)
    with torch.no_grad():
        trained = net(inputs[:, :-1], label)[0].numpy()
    for backend in ("reference", "cpu"):
        batch = backends.load(backend).open(checkpoint, 1)
        batch.condition(0, checkpoint.tensors["label.w"].dense()[1])
        batch.seat(0, 1, 0)
        density = np.zeros((len(rows) + 1, 27))
        batch.force(0, rows.astype(float), density, end=True)
        assert np.abs(density - trained).max() < 2e-3  # the weights were rounded to int16


def test_the_loss_is_the_density_of_sampling_summed_with_one_end(net):
    rows = some_rows()
    inputs, label = batch_of(rows, 10.0)
    with torch.no_grad():
        head = net(inputs[:, :-1], label)
        offset, pen, steps = trainer.loss_of(net, inputs, label)
    ours = head[0].numpy().astype(float)
    wanted_offset, wanted_pen = sampling.nats(ours[:-1], *(rows[:, :2].T / 10), rows[:, 2])
    end = sampling.nats(ours[-1], 0, 0, 2)[1]
    assert float(steps) == len(rows) + 1
    assert float(offset) == pytest.approx(wanted_offset.sum(), rel=1e-5)
    assert float(pen) == pytest.approx(wanted_pen.sum() + end, rel=1e-5)


def test_padding_changes_no_loss(net):
    rows = some_rows()
    inputs, label = batch_of(rows, 10.0)
    end = torch.tensor([[[0.0, 0, 0, 0, 1]]])
    padded = torch.cat([inputs, end.expand(1, 7, 5)], 1)
    with torch.no_grad():
        for a, b in zip(trainer.loss_of(net, inputs, label), trainer.loss_of(net, padded, label), strict=True):
            assert float(a) == pytest.approx(float(b), rel=1e-6)


def test_the_loss_is_finite_for_extreme_outputs():
    head = torch.tensor([[[1e4] * 3 + [1e4] * 24]]) * torch.tensor([1.0, -1] * 13 + [1.0])
    target = torch.tensor([[[0.5, 0.5, 1.0, 0, 0]]])
    assert all(math.isfinite(float(part)) or float(part) > 0 for part in nats(head, target, 4))


def test_point_dropping_keeps_the_ends_of_strokes_and_the_whole_move():
    rows = np.array([[1, 0, 0]] * 8 + [[1, 0, 1]] + [[0, 2, 0]] * 3 + [[0, 2, 1]], np.float32)
    fewer = trainer.drop_points(rows, 1.0, np.random.default_rng(1))
    assert len(fewer) < len(rows)
    np.testing.assert_allclose(fewer[:, :2].sum(0), rows[:, :2].sum(0))
    assert fewer[:, 2].sum() == 2
    np.testing.assert_array_equal(trainer.drop_points(rows, 0.0, np.random.default_rng(1)), rows)


def write_data(path, rng, turn):
    """A hundred zigzags that turn one way: easily learnt."""
    drawings = np.empty(100, object)
    for i in range(100):
        n = int(rng.integers(4, 9))
        rows = np.array([[20, turn * (15 if k % 2 else -15), 0] for k in range(n)], np.int16)
        rows[-1, 2] = 1
        drawings[i] = np.vstack([[0, 0, 0], rows]).astype(np.int16)
    np.savez(path, train=drawings[:80], valid=drawings[80:90], test=drawings[90:])


@pytest.mark.slow
def test_a_short_run_from_data_to_drawing(tmp_path):
    rng = np.random.default_rng(1)
    for name, turn in (("zig", 1), ("zag", -1)):
        write_data(tmp_path / f"{name}.npz", rng, turn)
    train = [
        "zig.npz",
        "zag.npz",
        "--minutes",
        "0.1",
        "--hidden",
        "32",
        "--label-size",
        "4",
        "--batch",
        "20",
        "--out",
        "run",
    ]
    subprocess.run(
        [sys.executable, "-m", "livesketch.training.sketch", *train],
        cwd=tmp_path,
        check=True,
        timeout=100,
        capture_output=True,
    )
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    assert log[-1]["nats"] < log[0]["nats"]
    export = ["run/best.safetensors", "--name", "zigzag", "-o", "zigzag.safetensors"]
    subprocess.run([sys.executable, "-m", "livesketch.training.export", *export], cwd=tmp_path, check=True, timeout=60)
    assert "CC BY 4.0" in (tmp_path / "zigzag.md").read_text()
    checkpoint = load_checkpoint(tmp_path / "zigzag.safetensors")
    assert checkpoint.labels == ("zig", "zag")
    stream = ls.sketch(f"{tmp_path}/zigzag.safetensors#zag", seed=1, temperature=0.1)
    zag = [[20, 15 if k % 2 == 0 else -15, 0] for k in range(5)] + [[20, -15, 1]]
    zig = [[20, -15 if k % 2 == 0 else 15, 0] for k in range(5)] + [[20, 15, 1]]
    assert stream.log_prob(zag).unmasked < stream.log_prob(zig).unmasked
