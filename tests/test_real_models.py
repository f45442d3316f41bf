"""The five official decoders: do they draw here as they draw elsewhere?"""

import math

import numpy as np
import pytest
from test_backends import independent_head

import livesketch as ls
from livesketch import backends, sampling
from livesketch.models.magenta import import_magenta

MODELS = ["bear", "bicycle", "bird", "rabbit", "sheep"]
SELF_NATS = {"bear": (-0.35, 0.10), "bicycle": (-0.54, 0.12)}  # an independent NumPy sampler's figures


@pytest.fixture(params=MODELS)
def path(request, shared):
    return shared / "magenta-models" / f"{request.param}.gen.json"


def test_teacher_forced_parameters_of_cpu_and_reference_agree_over_a_long_drawing(path):
    checkpoint = import_magenta(path)
    stream = ls.sketch(str(path), seed=3, temperature=0.65)
    rows = np.zeros((0, 3))
    while len(rows) < 100:
        rows = ls.to_stroke3([*stream.drawing()]).astype(float)
    rows = rows[: checkpoint.max_steps - 2]
    heads = []
    for backend in ("reference", "cpu"):
        batch = backends.load(backend).open(checkpoint, 1)
        density = np.zeros((len(rows) + 1, 3 + 6 * checkpoint.mixtures))
        batch.force(0, rows, density, end=True)
        heads.append(density)
    assert np.abs(heads[0] - heads[1]).max() < 1e-4
    nats = [ls.sketch(str(path), backend=backend).log_prob(rows).unmasked for backend in ("reference", "cpu")]
    assert nats[0] == pytest.approx(nats[1], abs=1e-5 * len(rows))  # a sum over all of them


def test_free_running_agrees_with_the_reference_until_a_near_tie(path):
    checkpoint = import_magenta(path)
    ours, theirs = (backends.load(name).open(checkpoint, 1) for name in ("cpu", "reference"))
    for batch in (ours, theirs):
        batch.seat(0, 11, 0)
    density = np.zeros((1, 3 + 6 * checkpoint.mixtures))
    for step in range(150):
        a, b = ours.step()[0].copy(), theirs.step(density=density)[0].copy()
        u = sampling.uniforms(11, b["step"], 0, b["drawing"])
        mixture = sampling.tie_margin(density[0, 3 : 3 + checkpoint.mixtures], 1.0, u[0])
        margin = min(float(mixture), float(sampling.tie_margin(density[0, :3], 1.0, u[1])))
        if (a["component"], a["pen"]) != (b["component"], b["pen"]):
            print(f"{checkpoint.name}: first near-tie at step {step}, margin {margin:.2g}")
            assert margin < 1e-4
            break
        offsets = np.array([a["dx"] - b["dx"], a["dy"] - b["dy"]]) / checkpoint.scale_factor
        assert np.abs(offsets).max() < 1e-3
    assert step > 20


def test_teacher_forced_nats_equal_an_independent_computation(path):
    """Plain matrix products and the textbook density, with no code of the package but the stored weights."""
    checkpoint = import_magenta(path)
    rows = ls.to_stroke3([*ls.sketch(path, seed=5).drawing()]).astype(float)
    total = 0.0
    heads = independent_head(checkpoint, rows)
    for (dx, dy, lift), head in zip(rows / [checkpoint.scale_factor, checkpoint.scale_factor, 1], heads, strict=False):
        pen, (pi, mx, my, sx, sy, r) = head[:3], head[3:].reshape(6, -1)
        rho, sx, sy = np.tanh(r), np.exp(sx), np.exp(sy)
        z = ((dx - mx) / sx) ** 2 + ((dy - my) / sy) ** 2 - 2 * rho * (dx - mx) * (dy - my) / (sx * sy)
        normal = np.exp(-z / (2 * (1 - rho**2))) / (2 * np.pi * sx * sy * np.sqrt(1 - rho**2))
        total -= math.log((np.exp(pi) / np.exp(pi).sum() * normal).sum())
        total -= pen[int(lift)] - math.log(np.exp(pen).sum())
    end = math.log(np.exp(heads[-1][:3]).sum()) - heads[-1][2]
    for backend in ("reference", "cpu"):
        got = ls.sketch(path, backend=backend).log_prob(rows)
        assert got.unmasked == pytest.approx((total + end) / (len(rows) + 1), abs=1e-4)
        assert got.masked == pytest.approx(total / len(rows), abs=1e-4)


@pytest.mark.slow
def test_most_drawings_end_by_themselves_and_are_as_likely_as_elsewhere(path):
    checkpoint = import_magenta(path)
    voices = 200
    batch = backends.load("cpu").open(checkpoint, voices)
    for k in range(voices):
        batch.seat(k, 2024, k)
    density = np.zeros((voices, 3 + 6 * checkpoint.mixtures))
    total, steps, ended, finished = 0.0, 0, 0, 0
    while finished < 2 * voices:
        actions = batch.step(density=density)
        counted = actions["drawing"] < 2  # two drawings of each voice
        scale = checkpoint.scale_factor
        offset, pen = sampling.nats(density, actions["dx"] / scale, actions["dy"] / scale, actions["pen"])
        total += float((np.where(actions["pen"] == 2, 0.0, offset) + pen)[counted].sum())
        steps += int(counted.sum())
        ended += int((actions["ended"] & counted).sum())
        finished += int((actions["last"] & counted).sum())
    print(f"{checkpoint.name}: {ended / finished:.1%} ended by themselves, {total / steps:.3f} nats, {steps} steps")
    assert ended / finished >= 0.80
    if checkpoint.name in SELF_NATS:
        mean, tolerance = SELF_NATS[checkpoint.name]
        assert total / steps == pytest.approx(mean, abs=tolerance)
