"""Every cell on every backend, and the encoder, against a computation of its own written from magenta's ``rnn.py``."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_models import small_checkpoint, stored_as

from livesketch import StrokesError, UnsupportedModelError, backends
from livesketch.backends.encoder import Encoder
from livesketch.models.checkpoint import check

CELLS = ["lstm", "layer_norm", "hyper"]
NEAR = {"reference": 1e-10, "cpu": 1e-5}
ODD = {"hidden": 33, "hyper": (20, 3)}
"""Units that fill no panel and an embedding that fills no turn."""
WIDE = {"hidden": 24, "hyper": (70, 40)}
"""A smaller cell with more panels than the larger one, and more than 128 embedded numbers."""
CONDITIONS = {
    "alone": {},
    "z": {"z_size": 6},
    "label": {"labels": ("a", "b"), "label_size": 4},
    "z and label": {"z_size": 6, "labels": ("a", "b"), "label_size": 4},
}


@pytest.fixture(params=["reference", "cpu"])
def backend(request):
    return request.param


@pytest.fixture(params=CELLS)
def cell(request):
    return request.param


@pytest.fixture(params=["odd", "wide"])
def checkpoint(request, cell):
    sizes = ODD if request.param == "odd" else WIDE
    return small_checkpoint(cell=cell, **sizes, **CONDITIONS["z and label"])


def opened(backend, checkpoint, size=1, *, first_voice=0):
    batch = backends.load(backend).open(checkpoint, size)
    for k in range(size):
        batch.condition(k, vector(checkpoint, first_voice + k))
        batch.seat(k, 7, first_voice + k)
    return batch


def vector(checkpoint, number=0):
    return np.random.default_rng([3, number]).normal(size=checkpoint.z_size + checkpoint.label_size)


def strokes(n=20, seed=5):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(0, 30, (n, 2)), rng.random(n) < 0.2])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x, gamma, beta):
    mean, variance = np.mean(x), np.var(x)
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def four(x, gamma, beta):
    """rnn.py layer_norm_all."""
    parts = zip(np.split(x, 4), np.split(gamma, 4), np.split(beta, 4), strict=True)
    return [layer_norm(*part) for part in parts]


def lstm_step(w, x, state):
    """rnn.py LSTMCell; state [c, h]."""
    c, h = np.split(state, 2)
    i, j, f, o = np.split(np.concatenate([x, h]) @ np.concatenate([w["w_x"], w["w_h"]]) + w["b"], 4)
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    h = np.tanh(c) * sigmoid(o)
    return h, np.concatenate([c, h])


def layer_norm_step(w, x, state):
    """rnn.py LayerNormLSTMCell; state [h, c]."""
    h, c = np.split(state, 2)
    i, j, f, o = four(np.concatenate([x, h]) @ np.concatenate([w["w_x"], w["w_h"]]), w["gamma"], w["beta"])
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    h = np.tanh(layer_norm(c, w["c_gamma"], w["c_beta"])) * sigmoid(o)
    return h, np.concatenate([h, c])


def hyper_step(w, x, state):
    """rnn.py HyperLSTMCell; state [h, hyper_h, c, hyper_c]."""
    units = w["w_h"].shape[0]
    total_h, total_c = np.split(state, 2)
    h, c = total_h[:units], total_c[:units]
    smaller = {name.removeprefix("hyper."): values for name, values in w.items() if name.startswith("hyper.")}
    small_state = np.concatenate([total_h[units:], total_c[units:]])
    out, small_state = layer_norm_step(smaller, np.concatenate([x, h]), small_state)
    small_h, small_c = np.split(small_state, 2)
    embedding = w["shift.w"].shape[1]
    gates = []
    for g in range(4):
        of_x = x @ w["w_x"][:, g * units : (g + 1) * units]
        of_h = h @ w["w_h"][:, g * units : (g + 1) * units]
        some = slice(g * embedding, (g + 1) * embedding)
        alpha_x = (out @ w["scale_x.z"][:, some] + w["scale_x.z_b"][some]) @ w["scale_x.w"][g]
        alpha_h = (out @ w["scale_h.z"][:, some] + w["scale_h.z_b"][some]) @ w["scale_h.w"][g]
        beta = (out @ w["shift.z"][:, some]) @ w["shift.w"][g]
        gates.append(alpha_x * of_x + alpha_h * of_h + beta + w["b"][g * units : (g + 1) * units])
    i, j, f, o = four(np.concatenate(gates), w["gamma"], w["beta"])
    c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
    h = np.tanh(layer_norm(c, w["c_gamma"], w["c_beta"])) * sigmoid(o)
    return h, np.concatenate([h, small_h, c, small_c])


STEPS = {"lstm": lstm_step, "layer_norm": layer_norm_step, "hyper": hyper_step}


class Independent:
    """The decoder by plain NumPy products: of the package it uses nothing but ``dense()``."""

    def __init__(self, checkpoint, condition):
        self.w = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
        self.cell = {n.removeprefix("decoder."): v for n, v in self.w.items() if n.startswith("decoder.")}
        self.step, self.factor = STEPS[checkpoint.cell], checkpoint.scale_factor
        self.condition = condition
        self.first = np.array(checkpoint.start_token)
        self.restart()

    def restart(self):
        self.given = self.first
        if len(self.condition):
            self.state = np.tanh(self.condition @ self.w["start.w"] + self.w["start.b"])
        else:
            small = self.cell["hyper.w_h"].shape[0] if "hyper.w_h" in self.cell else 0
            self.state = np.zeros(2 * (self.cell["w_h"].shape[0] + small))

    def densities(self, rows):
        """The head's outputs before each stroke-3 row, data units."""
        out = []
        for dx, dy, lift in rows:
            h, self.state = self.step(self.cell, np.concatenate([self.given, self.condition]), self.state)
            out.append(h @ self.w["head.w"] + self.w["head.b"])
            self.given = np.array([dx / self.factor, dy / self.factor, 1 - lift, lift, 0])
        return np.array(out)


def forced(batch, checkpoint, rows):
    density = np.zeros((len(rows), 3 + 6 * checkpoint.mixtures))
    batch.force(0, rows, density)
    return density


@pytest.mark.parametrize("condition", CONDITIONS)
def test_one_step_and_twenty_equal_the_formulas(backend, cell, condition):
    for sizes in (ODD, WIDE):
        checkpoint = small_checkpoint(cell=cell, **sizes, **CONDITIONS[condition])
        check(checkpoint, "the model of this test")
        wanted = Independent(checkpoint, vector(checkpoint)).densities(strokes())
        came = forced(opened(backend, checkpoint), checkpoint, strokes())
        np.testing.assert_allclose(came[0], wanted[0], rtol=0, atol=NEAR[backend])
        np.testing.assert_allclose(came, wanted, rtol=0, atol=NEAR[backend])


@pytest.mark.slow  # other weights are other kernels, which take seconds to compile
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_weights_of_every_stored_type(backend, checkpoint, dtype):
    stored = stored_as(checkpoint, dtype)
    wanted = Independent(stored, vector(stored)).densities(strokes())
    came = forced(opened(backend, stored), stored, strokes())
    np.testing.assert_allclose(came, wanted, rtol=0, atol=NEAR[backend])


@pytest.mark.slow  # other weights are other kernels, which take seconds to compile
def test_a_tensor_of_another_type_among_int16(backend, checkpoint):
    floats = {name: stored_as(checkpoint, np.float32).tensors[name] for name in ("decoder.w_x", "head.w")}
    mixed = replace(checkpoint, tensors={**checkpoint.tensors, **floats})
    came, wanted = (forced(opened(backend, one), one, strokes()) for one in (mixed, checkpoint))
    np.testing.assert_allclose(came, wanted, rtol=0, atol=1e-5)


def test_a_sketch_vae_draws_as_its_decoder_alone(backend, cell):
    whole = small_checkpoint(cell=cell, z_size=6, encoder=("lstm", 7), **ODD)
    check(whole, "the model of this test")
    decoder = small_checkpoint(cell=cell, z_size=6, **ODD)
    a, b = opened(backend, whole), opened(backend, decoder)
    assert [a.step().tobytes() for _ in range(10)] == [b.step().tobytes() for _ in range(10)]


@pytest.mark.parametrize("forget_bias", [0.0, 2.5])
def test_the_forget_bias_of_the_checkpoint_is_the_one_in_use(backend, checkpoint, forget_bias):
    other = replace(checkpoint, forget_bias=forget_bias)
    plain = forced(opened(backend, checkpoint), checkpoint, strokes())
    came = forced(opened(backend, other), other, strokes())
    assert abs(came - plain).max() > 0.01
    moved = {"lstm": ["decoder.b"], "layer_norm": ["decoder.beta"], "hyper": ["decoder.beta", "decoder.hyper.beta"]}
    tensors = dict(stored_as(checkpoint, np.float32).tensors)
    for each in moved[checkpoint.cell]:  # the formulas add 1: what is missing goes into the stored bias
        values = tensors[each].values.copy()
        units = len(values) // 4
        values[2 * units : 3 * units] += forget_bias - 1
        tensors[each] = replace(tensors[each], values=values)
    wanted = Independent(replace(checkpoint, tensors=tensors), vector(checkpoint)).densities(strokes())
    np.testing.assert_allclose(came, wanted, rtol=0, atol=1e-4)


def test_voices_are_bit_equal_alone_and_among_others(backend, checkpoint):
    size = 9
    together = opened(backend, checkpoint, size)
    alone = [opened(backend, checkpoint, first_voice=k) for k in range(size)]
    for _ in range(100 if backend == "cpu" else 6):
        whole = together.step()
        assert whole.tobytes() == b"".join(batch.step().tobytes() for batch in alone)
    for name in ("hidden", "cell"):
        assert getattr(together, name).tobytes() == b"".join(getattr(batch, name).tobytes() for batch in alone)


def test_a_condition_in_the_middle_acts_on_the_very_next_step_and_keeps_the_state(backend, checkpoint):
    batch, formulas = opened(backend, checkpoint), Independent(checkpoint, vector(checkpoint))
    forced(batch, checkpoint, strokes(7)), formulas.densities(strokes(7))
    before = batch.snapshot()
    batch.condition(0, vector(checkpoint, 1))
    formulas.condition = vector(checkpoint, 1)
    assert all(getattr(before, name).tobytes() == getattr(batch, name).tobytes() for name in ("hidden", "cell"))
    later = strokes(7, seed=6)
    np.testing.assert_allclose(forced(batch, checkpoint, later), formulas.densities(later), rtol=0, atol=NEAR[backend])
    batch.restart(0), formulas.restart()
    np.testing.assert_allclose(forced(batch, checkpoint, later), formulas.densities(later), rtol=0, atol=NEAR[backend])


def test_the_next_drawing_begins_from_the_new_condition(backend, checkpoint):
    batch = opened(backend, checkpoint)
    batch.force(0, np.array([[3, 4, 0], [0, 0, 2.0]]))
    batch.condition(0, vector(checkpoint, 1))
    fresh = opened(backend, checkpoint)
    fresh.condition(0, vector(checkpoint, 1))
    fresh.seat(0, 7, 0, drawing=1)
    assert [batch.step().tobytes() for _ in range(10)] == [fresh.step().tobytes() for _ in range(10)]


def test_a_condition_at_step_0_is_as_if_it_had_been_there_before(backend, checkpoint):
    late, early = (backends.load(backend).open(checkpoint, 2) for _ in range(2))
    for k in range(2):
        late.seat(k, 7, k)
    late.condition(1, vector(checkpoint, 1))
    early.condition(1, vector(checkpoint, 1))
    for k in range(2):
        early.seat(k, 7, k)
    assert [late.step().tobytes() for _ in range(10)] == [early.step().tobytes() for _ in range(10)]


def test_the_condition_of_a_voice_reaches_no_other(backend, checkpoint):
    a, b = opened(backend, checkpoint, 3), opened(backend, checkpoint, 3)
    for step in range(12):
        b.condition(0, vector(checkpoint, 10 + step))
        of_a, of_b = a.step(), b.step()
        assert of_a[1:].tobytes() == of_b[1:].tobytes()
    assert of_a[0].tobytes() != of_b[0].tobytes()


def test_follow_is_force_for_every_voice_bit_for_bit(backend, checkpoint):
    size, rows = 5, strokes()
    followed, one_by_one = opened(backend, checkpoint, size), opened(backend, checkpoint, size)
    for batch in (followed, one_by_one):
        batch.step()  # voices in different states
    outputs = 3 + 6 * checkpoint.mixtures
    came, wanted = np.zeros((len(rows), size, outputs)), np.zeros((size, len(rows), outputs))
    actions = followed.actions.copy()
    followed.follow(rows, came)
    for k in range(size):
        one_by_one.force(k, rows, wanted[k])
    assert np.ascontiguousarray(np.moveaxis(came, 1, 0)).tobytes() == wanted.tobytes()
    assert followed.actions.tobytes() == one_by_one.actions.tobytes() == actions.tobytes()
    assert followed.steps == one_by_one.steps == 1
    assert [followed.step().tobytes() for _ in range(5)] == [one_by_one.step().tobytes() for _ in range(5)]


def test_follow_without_a_place_for_densities_and_past_the_end_of_a_drawing(backend, cell):
    checkpoint = small_checkpoint(cell=cell, max_steps=6, **ODD)
    followed, one_by_one = opened(backend, checkpoint, 2), opened(backend, checkpoint, 2)
    followed.follow(strokes(15))
    for k in range(2):
        assert one_by_one.force(k, strokes(15))["drawing"].tolist() == [0] * 6 + [1] * 6 + [2] * 3
    assert followed.step().tobytes() == one_by_one.step().tobytes()
    followed.follow(np.zeros((0, 3)))
    assert followed.step().tobytes() == one_by_one.step().tobytes()


def test_follow_that_breaks_off_leaves_every_voice_as_it_was(backend, checkpoint):
    broken, plain = opened(backend, checkpoint, 3), opened(backend, checkpoint, 3)
    with pytest.raises(IndexError):
        broken.follow(strokes(4), np.zeros((2, 3, 3 + 6 * checkpoint.mixtures)))
    assert [broken.step().tobytes() for _ in range(5)] == [plain.step().tobytes() for _ in range(5)]


def test_a_snapshot_holds_the_whole_state(backend, checkpoint):
    batch = opened(backend, checkpoint, 3)
    for _ in range(5):
        batch.step()
    snapshot = batch.snapshot()
    first = [batch.step().tobytes() for _ in range(12)]
    other = opened(backend, checkpoint, 3)
    other.restore(snapshot)  # nothing is left over of the batch it was taken of
    assert [other.step().tobytes() for _ in range(12)] == first
    batch.restore(snapshot)
    assert [batch.step().tobytes() for _ in range(12)] == first


def test_a_model_of_one_unit_runs(backend, cell):
    checkpoint = small_checkpoint(1, 1, cell=cell, z_size=1, hyper=(1, 1))
    wanted = Independent(checkpoint, vector(checkpoint)).densities(strokes())
    came = forced(opened(backend, checkpoint), checkpoint, strokes())
    np.testing.assert_allclose(came, wanted, rtol=0, atol=NEAR[backend])


def test_an_lstm_waits_for_no_other_cell():
    """Neither compiled nor imported: the kernels of a cell are loaded with the first model that has it."""
    code = (
        "import sys; from small_models import small_checkpoint; from livesketch import backends\n"
        "backends.load('cpu').open(small_checkpoint(), 1).step()\n"
        "print(*sorted(name for name in sys.modules if name.startswith('livesketch.backends.kernels.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n{code}"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    kernels = "livesketch.backends.kernels."
    assert done.stdout.split() == [kernels + name for name in ("common", "lstm", "sampling", "tiles")]


def test_compiled_kernels_are_told_apart_by_all_kernel_sources(monkeypatch):
    """A kernel in one file calls kernels in others; numba alone would go on with what it compiled of them before."""
    from livesketch.backends.kernels import common, lstm

    backends.load("cpu").open(small_checkpoint(), 1)
    signature, codegen = lstm.update.signatures[0], lstm.update.targetctx.codegen()
    before = lstm.update._cache._index_key(signature, codegen)
    assert before == lstm.update._cache._index_key(signature, codegen)
    monkeypatch.setattr(common, "_SOURCES", "other sources")
    assert before != lstm.update._cache._index_key(signature, codegen)


# The encoder.


def encoder_model(encoder, **changes):
    return small_checkpoint(8, z_size=5, encoder=(encoder, 33), hyper=(20, 3), **changes)


def independent_encoding(checkpoint, rows):
    """model.py Model.encoder: last outputs of both directions, then two linear maps."""
    w = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    last = []
    for way, some in (("encoder.forward.", rows), ("encoder.backward.", rows[::-1])):
        own = {name.removeprefix(way): values for name, values in w.items() if name.startswith(way)}
        small = own["hyper.w_h"].shape[0] if "hyper.w_h" in own else 0
        state = np.zeros(2 * (own["w_h"].shape[0] + small))
        for dx, dy, lift in some:
            h, state = STEPS[checkpoint.encoder_cell](own, np.array([dx, dy, 1 - lift, lift, 0]), state)
        last.append(h)
    e = np.concatenate(last)
    return e @ w["mu.w"] + w["mu.b"], e @ w["sigma.w"] + w["sigma.b"]


@pytest.mark.parametrize(
    "rows",
    [np.zeros((0, 3)), np.zeros(3), np.zeros((2, 5)), [[1, np.nan, 0]], [[np.inf, 0, 0]], [[1, 1, 2]], [[1, 1, 0.5]]],
)
def test_rows_that_are_no_drawing_are_refused(rows):
    with pytest.raises(StrokesError, match=r"expected|give stroke-3"):
        Encoder(encoder_model("lstm")).encode(np.array(rows))


def test_a_model_without_an_encoder_is_refused():
    with pytest.raises(UnsupportedModelError, match="sketch_decoder, which has no encoder"):
        Encoder(small_checkpoint(z_size=4))


@pytest.mark.parametrize("n", [1, 2, 20])
def test_the_encoding_equals_the_formulas(cell, n):
    rows = strokes(n) / [30, 30, 1]
    checkpoint = encoder_model(cell)
    encoder = Encoder(checkpoint)
    came = encoder.encode(rows)
    for values, wanted in zip(came, independent_encoding(checkpoint, rows), strict=True):
        assert values.shape == (5,)
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-10)
    again = encoder.encode(rows.copy())
    assert [values.tobytes() for values in again] == [values.tobytes() for values in came]


def test_the_two_directions_are_told_apart(cell):
    rows = strokes(9) / [30, 30, 1]
    encoder = Encoder(encoder_model(cell))
    assert abs(encoder.encode(rows)[0] - encoder.encode(rows[::-1])[0]).max() > 0.01


def test_the_decoders_cell_does_not_matter_to_the_encoder():
    rows = strokes(9) / [30, 30, 1]
    checkpoint = encoder_model("layer_norm", cell="hyper")
    check(checkpoint, "the model of this test")
    for values, wanted in zip(Encoder(checkpoint).encode(rows), independent_encoding(checkpoint, rows), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-10)
