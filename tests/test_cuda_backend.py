"""Sketch models on the cuda backend: the contract of every backend but for one clause, and what this one adds."""

import numpy as np
import pytest
import test_backends
from cuda_devices import DEVICES, contract, use
from small_models import small_checkpoint
from test_backends import SHAPES, opened

from livesketch import ControlError, backends, sampling
from livesketch.backends import cuda

globals().update(contract(test_backends, "test_a_voice_is_bit_equal_alone_among_others_and_at_any_split"))


@pytest.fixture(params=DEVICES)
def backend(request, monkeypatch):
    use(request.param, monkeypatch)
    return "cuda"


@pytest.fixture(params=[pytest.param(name, marks=() if name == "labelled" else pytest.mark.slow) for name in SHAPES])
def checkpoint(request):
    return SHAPES[request.param]


def test_the_words_of_chance_are_those_of_the_definition_bit_for_bit():
    import torch

    from livesketch.backends import cuda_sampling

    rng = np.random.default_rng(1)
    columns = rng.integers(0, 2**32, (500, 5), dtype=np.int64)
    columns[:3] = [[0] * 5, [2**32 - 1] * 5, [2**31] * 5]
    own = np.zeros((500, cuda_sampling.OWN), np.int64)
    own[:, :5] = columns
    own[100:, cuda_sampling.STEP] += 2**40  # counters are taken modulo 2^32
    came = cuda_sampling.uniforms(torch.from_numpy(own)).numpy()
    for (low, high, voice, drawing, _), step, u in zip(columns.tolist(), own[:, cuda_sampling.STEP], came, strict=True):
        assert u.tobytes() == sampling.uniforms(low | high << 32, step, voice, drawing).tobytes()


def test_drawings_are_those_of_the_reference_until_a_near_tie(backend, checkpoint):
    parted(opened(backend, checkpoint, 4, divisor=0.8, spread=0.6), checkpoint, 4, steps=60)


def parted(batch, checkpoint, size, steps):
    """Compares with the reference while no voice came to a near-tie, which is where numbers may part."""
    theirs, mixtures = opened("reference", checkpoint, size, divisor=0.8, spread=0.6), checkpoint.mixtures
    together = np.ones(size, bool)
    density = np.zeros((size, 3 + 6 * mixtures))
    for _ in range(steps):
        a, b = batch.step().copy(), theirs.step(density=density).copy()
        for k in np.flatnonzero(together):
            u = sampling.uniforms(7, b["step"][k], k, b["drawing"][k])
            logits = [density[k, :3], density[k, 3 : 3 + mixtures]]
            margin = min(sampling.tie_margin(one, 0.8, u[1 - i]) for i, one in enumerate(logits) if len(one) > 1)
            together[k] = margin > 1e-4
        for name in ("component", "pen", "step", "drawing", "ink", "last", "ended"):
            assert (a[name] == b[name])[together].all()
        for name in ("dx", "dy"):
            np.testing.assert_allclose(a[name][together], b[name][together], atol=1e-3 * checkpoint.scale_factor)
    assert together.any()


def test_many_voices_are_those_alone_until_a_near_tie(backend):
    """Not bit for bit, which this backend does not promise."""
    checkpoint = SHAPES["labelled"]
    together = opened(backend, checkpoint, 33)
    alone = [opened(backend, checkpoint, first_voice=k) for k in (0, 20, 32)]
    came = np.array([together.step()[[0, 20, 32]].copy() for _ in range(4)])
    wanted = np.array([[batch.step()[0].copy() for batch in alone] for _ in range(4)])
    assert (came["component"] == wanted["component"]).all()
    np.testing.assert_allclose(came["dx"], wanted["dx"], atol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 7, 70])
def test_a_run_is_so_many_steps_bit_for_bit(backend, count):
    checkpoint = small_checkpoint(max_steps=9)
    stepped, ran = opened(backend, checkpoint, 3), opened(backend, checkpoint, 3)
    for batch in (stepped, ran):
        batch.step()
        batch.heat(1, 0.4, 0.4)
    wanted = [stepped.step().copy() for _ in range(count)]
    came = ran.run(count)
    assert came.shape == (count, 3)
    assert came.tobytes() == b"".join(row.tobytes() for row in wanted)
    assert ran.steps == stepped.steps == count + 1
    assert ran.actions.tobytes() == stepped.actions.tobytes()
    assert ran.mark(2) == stepped.mark(2)
    assert ran.step().tobytes() == stepped.step().tobytes()


def test_a_run_that_breaks_off_was_not_begun(backend, monkeypatch):
    checkpoint = small_checkpoint(max_steps=9)
    broken, plain = opened(backend, checkpoint, 2), opened(backend, checkpoint, 2)
    broken.step(), plain.step()
    wait, calls = type(broken._programs).wait, []

    def interrupted(self, name):
        wait(self, name)
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(broken._programs), "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            broken.run(70)
    assert broken.steps == 1
    assert broken.actions.tobytes() == plain.actions.tobytes()
    assert [broken.step().tobytes() for _ in range(20)] == [plain.step().tobytes() for _ in range(20)]


@pytest.mark.parametrize("where", ["run", "wait"])
def test_an_interruption_around_a_step_loses_and_doubles_nothing(backend, monkeypatch, where):
    """Ctrl-C just after the device was told, and just after it was done."""
    batch, plain = opened(backend, SHAPES["labelled"]), opened(backend, SHAPES["labelled"])
    drawn = [batch.step()[0].tobytes()]
    real = getattr(type(batch._programs), where)

    def interrupted(self, name):
        real(self, name)
        raise KeyboardInterrupt

    for _ in range(5):
        steps = batch.steps
        with monkeypatch.context() as patch:
            patch.setattr(type(batch._programs), where, interrupted)
            with pytest.raises(KeyboardInterrupt):
                batch.step()
        assert batch.steps == steps + 1  # it was made, and is handed out now
        drawn += [batch.actions[0].tobytes(), batch.step()[0].tobytes()]
    assert drawn == [plain.step()[0].tobytes() for _ in range(11)]


def test_an_interrupted_look_at_the_density_is_taken_back(backend):
    batch, plain = opened(backend, SHAPES["labelled"], 2), opened(backend, SHAPES["labelled"], 2)
    batch.step(), plain.step()

    def interrupt(head):
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            batch.step(steer=interrupt)
        assert batch.steps == 1
    assert [batch.step().tobytes() for _ in range(9)] == [plain.step().tobytes() for _ in range(9)]


def test_marks_and_a_snapshot_of_before_lead_to_the_same_place(backend):
    batch = opened(backend, SHAPES["labelled"], 2)
    batch.step()
    snapshot, marks = batch.snapshot(), []
    for _ in range(12):
        batch.step()
        marks.append(batch.mark(1))
    wanted = [batch.step()[1].tobytes() for _ in range(6)]
    batch.restore(snapshot)
    batch.redo(1, marks)
    assert [batch.step()[1].tobytes() for _ in range(6)] == wanted


def test_conditions_that_come_and_go_are_each_voice_s_own(backend):
    """More conditions than the table of rows has room for at a time, in any order."""
    checkpoint = small_checkpoint(z_size=4)
    batch, rng = backends.load(backend).open(checkpoint, 3), np.random.default_rng(2)
    held = np.zeros((3, 4))
    for _ in range(40):
        k = int(rng.integers(3))
        held[k] = held[int(rng.integers(3))] if rng.random() < 0.3 else rng.normal(size=4)
        batch.condition(k, held[k].copy())
        batch.step()
        assert len({*batch._machine.which.array.tolist()}) == len({row.tobytes() for row in held})
    rows = batch._machine.rows[batch._machine.which.device].numpy(force=True)
    wanted = batch.constants.bias + held @ batch.constants.weights
    np.testing.assert_allclose(rows, wanted, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "hyper"])
def test_fast_precision_is_near_the_exact_one(backend, cell):
    checkpoint = small_checkpoint(cell=cell, hidden=48, mixtures=4)
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.normal(0, 30, (20, 2)), rng.random(20) < 0.2])
    exact, fast = np.zeros((20, 27)), np.zeros((20, 27))
    cuda.BACKEND.open(checkpoint, 1).force(0, rows, exact)
    batch = cuda.BACKEND.open(checkpoint, 1, "fast")
    batch.force(0, rows, fast)
    assert batch.precision == "fast"
    assert 1e-5 < np.abs(fast - exact).max() < 0.3
    batch.step()


def test_another_precision_is_refused(backend):
    with pytest.raises(ControlError, match=r"'quick'.*exact, fast"):
        cuda.BACKEND.open(SHAPES["odd"], 1, "quick")
