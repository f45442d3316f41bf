"""One contract for every backend; the reference is the definition."""

from dataclasses import replace

import numpy as np
import pytest
from small_models import small_checkpoint, stored_as

from livesketch import BackendUnavailableError, ControlError, UnsupportedModelError, backends, sampling
from livesketch.backends.numpy_batch import constants_of

BACKENDS = ["reference", "cpu"]
SHAPES = {
    "odd": small_checkpoint(hidden=37, mixtures=5),
    "panels": small_checkpoint(hidden=64, mixtures=20, seed=2),
    "one mixture": small_checkpoint(hidden=8, mixtures=1, seed=3),
    "labelled": small_checkpoint(hidden=33, mixtures=4, labels=("a", "b"), label_size=6, seed=4),
}


def opened(backend, checkpoint, size=1, *, seed=7, first_voice=0, label=0, divisor=1.0, spread=1.0):
    batch = backends.load(backend).open(checkpoint, size)
    for k in range(size):
        if checkpoint.labels:
            batch.condition(k, checkpoint.tensors["label.w"].dense()[label])
        batch.seat(k, seed, first_voice + k)
        batch.heat(k, divisor, spread)
    return batch


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=SHAPES)
def checkpoint(request):
    return SHAPES[request.param]


def independent_head(checkpoint, rows, label=0):
    """The density before each row and after the last, by plain NumPy products: no code of the package but dense()."""
    w = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    hidden = checkpoint.hidden
    extra = w["label.w"][label] if checkpoint.labels else np.zeros(0)
    c, h = np.zeros(hidden), np.zeros(hidden)
    if checkpoint.labels:
        c, h = np.split(np.tanh(extra @ w["start.w"] + w["start.b"]), 2)
    out = []
    inputs = [np.array(checkpoint.start_token)]
    inputs += [
        np.array([dx, dy, 1 - lift, lift, 0])
        for dx, dy, lift in rows / [checkpoint.scale_factor, checkpoint.scale_factor, 1]
    ]
    for x in inputs:
        i, j, f, o = np.split(np.concatenate([x, extra]) @ w["decoder.w_x"] + h @ w["decoder.w_h"] + w["decoder.b"], 4)
        c = c / (1 + np.exp(-(f + 1))) + np.tanh(j) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        out.append(h @ w["head.w"] + w["head.b"])
    return np.array(out)


def test_forced_densities_equal_an_independent_computation(backend, checkpoint):
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.normal(0, 30, (50, 2)), rng.random(50) < 0.2])
    density = np.zeros((51, 3 + 6 * checkpoint.mixtures))
    opened(backend, checkpoint).force(0, rows, density, end=True)
    np.testing.assert_allclose(
        density, independent_head(checkpoint, rows), atol=1e-9 if backend == "reference" else 1e-4
    )


def test_a_step_samples_what_the_definition_says(backend, checkpoint):
    batch = opened(backend, checkpoint, divisor=0.8, spread=0.6)
    density = np.zeros((1, 3 + 6 * checkpoint.mixtures))
    for _ in range(100):
        action = batch.step(density=density)[0].copy()
        u = sampling.uniforms(7, action["step"], 0, action["drawing"])
        choice = sampling.sample(density[0], 0.8, 0.6, u)
        assert (action["component"], action["pen"]) == (choice.component, choice.pen)
        if action["pen"] != 2:
            scaled = np.array([choice.dx, choice.dy]) * checkpoint.scale_factor
            np.testing.assert_allclose([action["dx"], action["dy"]], scaled, rtol=1e-9)


def test_free_running_equals_the_reference_until_a_near_tie(checkpoint):
    ours, theirs = (opened(name, checkpoint) for name in ("cpu", "reference"))
    density = np.zeros((1, 3 + 6 * checkpoint.mixtures))
    for step in range(400):
        a, b = ours.step()[0].copy(), theirs.step(density=density)[0].copy()
        u = sampling.uniforms(7, b["step"], 0, b["drawing"])
        margin = min(
            sampling.tie_margin(logits, 1.0, u[use]) if logits.size > 1 else 1.0
            for use, logits in enumerate((density[0, 3 : 3 + checkpoint.mixtures], density[0, :3]))
        )
        if margin < 1e-5:
            print(f"near-tie at step {step}: margin {margin:.2g}")
            break
        assert (a["component"], a["pen"], a["step"]) == (b["component"], b["pen"], b["step"])
        np.testing.assert_allclose([a["dx"], a["dy"]], [b["dx"], b["dy"]], atol=1e-3 * checkpoint.scale_factor)
    assert step > 30


@pytest.mark.parametrize("split", [[64], [1, 63], [7, 1, 56], [32, 32]])
def test_a_voice_is_bit_equal_alone_among_others_and_at_any_split(backend, checkpoint, split):
    together = opened(backend, checkpoint, sum(split))
    parts, first = [], 0
    for size in split:
        parts.append(opened(backend, checkpoint, size, first_voice=first))
        first += size
    alone = opened(backend, checkpoint, first_voice=7)
    for _ in range(20 if backend == "cpu" else 3):
        whole = together.step()
        assert whole.tobytes() == np.concatenate([part.step() for part in parts]).tobytes()
        assert whole[7].tobytes() == alone.step()[0].tobytes()


def test_other_voices_seeds_and_temperatures_do_not_reach_a_voice(backend, checkpoint):
    plain, mixed = opened(backend, checkpoint, 3), opened(backend, checkpoint, 3)
    mixed.seat(0, 99, 5)
    mixed.heat(2, 0.0, 0.0)
    for _ in range(30):
        a, b = plain.step()[1].tobytes(), mixed.step()[1].tobytes()
        assert a == b


def test_drawings_begin_end_and_are_cut_as_stated(backend, checkpoint):
    batch = opened(backend, checkpoint)
    ends = 0
    place, pen, step, drawing = np.zeros(2), 0, 0, 0
    for _ in range(1500 if backend == "cpu" else 400):
        a = batch.step()[0].copy()
        assert (a["step"], a["drawing"]) == (step, drawing)
        assert a["ended"] == (a["pen"] == 2)
        assert a["last"] == (a["ended"] or step == checkpoint.max_steps - 1)
        assert a["ink"] == (pen == 0 and not a["ended"])
        place = place + [a["dx"], a["dy"]]
        np.testing.assert_allclose([a["x"], a["y"]], place, atol=1e-9)
        if a["ended"]:
            assert (a["dx"], a["dy"]) == (0, 0)
        ends += a["ended"]
        pen, step = int(a["pen"]), step + 1
        if a["last"]:
            place, pen, step, drawing = np.zeros(2), 0, 0, drawing + 1
    assert ends > 2


def test_a_drawing_that_does_not_end_is_cut_at_the_longest_length(backend):
    batch = opened(backend, small_checkpoint(max_steps=4))
    lasts = [batch.step()[0].copy() for _ in range(60)]
    cut = [a for a in lasts if a["last"] and not a["ended"]]
    assert len(cut) > 3
    assert {int(a["step"]) for a in cut} == {3}
    assert all(a["pen"] != 2 for a in cut)
    assert max(a["step"] for a in lasts) == 3


def test_a_drawing_does_not_depend_on_those_before_it(backend, checkpoint):
    batch = opened(backend, checkpoint)
    later = opened(backend, checkpoint)
    later.seat(0, 7, 0, drawing=2)
    wanted = [later.step()[0].tobytes()]
    while True:
        action = batch.step()[0]
        if action["drawing"] == 2:
            assert action.tobytes() == wanted[0]
            break


def test_a_snapshot_put_back_gives_the_same_again(backend, checkpoint):
    batch = opened(backend, checkpoint, 3)
    for _ in range(10):
        batch.step()
    snapshot = batch.snapshot()
    first = [batch.step().copy() for _ in range(30)]
    batch.restore(snapshot)
    again = [batch.step().copy() for _ in range(30)]
    assert [a.tobytes() for a in first] == [a.tobytes() for a in again]


def test_restart_goes_back_to_step_0_of_the_same_drawing(backend, checkpoint):
    batch = opened(backend, checkpoint)
    first = [batch.step().tobytes() for _ in range(5)]
    batch.restart(0)
    assert [batch.step().tobytes() for _ in range(5)] == first


def test_forcing_what_was_drawn_leaves_the_state_that_drawing_it_left(backend, checkpoint):
    free, forced = opened(backend, checkpoint), opened(backend, checkpoint)
    actions = [free.step()[0].copy() for _ in range(12)]
    assert not any(a["last"] for a in actions[:3])
    n = next((i for i, a in enumerate(actions) if a["last"]), len(actions))
    if n < 12:
        free = opened(backend, checkpoint)
        for _ in range(n):
            free.step()
    rows = np.array([(a["dx"], a["dy"], a["pen"] == 1) for a in actions[:n]], float)
    out = forced.force(0, rows)
    assert [a["component"] for a in out] == [-1] * n
    for a, b in zip(actions, out, strict=False):
        assert (a["step"], a["pen"], a["ink"], a["last"]) == (b["step"], b["pen"], b["ink"], b["last"])
    a, b = free.step()[0].copy(), forced.step()[0].copy()
    assert (a["component"], a["pen"], a["step"]) == (b["component"], b["pen"], b["step"])
    np.testing.assert_allclose([a["dx"], a["dy"], a["x"], a["y"]], [b["dx"], b["dy"], b["x"], b["y"]], atol=1e-4)


def test_looking_at_the_density_after_the_last_row_changes_nothing(backend, checkpoint):
    rows = np.array([[10, 5, 0], [3, 3, 1.0]])
    looked, plain = opened(backend, checkpoint), opened(backend, checkpoint)
    looked.force(0, rows, np.zeros((3, 3 + 6 * checkpoint.mixtures)), end=True)
    plain.force(0, rows)
    assert [looked.step().tobytes() for _ in range(5)] == [plain.step().tobytes() for _ in range(5)]


def test_uniforms_can_be_given(backend, checkpoint):
    own, given = opened(backend, checkpoint, 2), opened(backend, checkpoint, 2, seed=12345)
    for _ in range(10):
        step = given.voices["step"], given.voices["drawing"]
        if given.voices["done"].any():
            break
        u = np.stack([sampling.uniforms(7, step[0][k], k, step[1][k]) for k in range(2)])
        assert own.step().tobytes() == given.step(uniforms=u).tobytes()


def test_steering_changes_the_density_before_sampling(backend, checkpoint):
    batch = opened(backend, checkpoint, 2)

    def always_end(head):
        assert head.shape == (2, 3 + 6 * checkpoint.mixtures)
        head[:, :3] = [-50, -50, 50]

    density = np.zeros((2, 3 + 6 * checkpoint.mixtures))
    assert batch.step(steer=always_end, density=density)["ended"].all()
    assert (density[:, 2] == 50).all()
    assert batch.step()["drawing"].tolist() == [1, 1]


def test_greedy_ignores_the_seed(backend, checkpoint):
    a, b = (opened(backend, checkpoint, seed=seed, divisor=0.0, spread=0.0) for seed in (1, 2))
    assert [a.step().tobytes() for _ in range(20)] == [b.step().tobytes() for _ in range(20)]


def test_labels_draw_differently(backend):
    a, b = (opened(backend, SHAPES["labelled"], label=label) for label in (0, 1))
    assert a.step().tobytes() != b.step().tobytes()


def test_float_weights_run_too(backend):
    whole = SHAPES["odd"]
    a, b = opened(backend, whole), opened(backend, stored_as(whole, np.float32))
    for _ in range(5):
        x, y = a.step()[0], b.step()[0]
        np.testing.assert_allclose([x["dx"], x["dy"]], [y["dx"], y["dy"]], atol=1e-3)


@pytest.mark.parametrize("changes", [{"architecture": "sketch_transformer"}, {"cell": "gru"}])
def test_another_architecture_or_cell_is_refused(backend, changes):
    with pytest.raises(UnsupportedModelError, match=f"{next(iter(changes.values()))}.*sketch_vae.*hyper"):
        backends.load(backend).open(replace(SHAPES["odd"], **changes), 1)


@pytest.mark.parametrize("shape", [(5,), (7,), (1, 6), (0,), ()])
def test_a_condition_of_another_shape_is_refused(backend, shape):
    batch = opened(backend, SHAPES["labelled"])
    before = batch.step().tobytes()
    with pytest.raises(ControlError, match=r"expected \(6,\)"):
        batch.condition(0, np.ones(shape))
    batch.restart(0)
    assert batch.step().tobytes() == before


def test_looking_past_an_end_begins_nothing(backend, checkpoint):
    looked, plain = opened(backend, checkpoint), opened(backend, checkpoint)
    rows = np.array([[10, 5, 0], [0, 0, 2.0]])
    looked.force(0, rows, np.zeros((3, 3 + 6 * checkpoint.mixtures)), end=True)
    plain.force(0, rows)
    assert [looked.step().tobytes() for _ in range(5)] == [plain.step().tobytes() for _ in range(5)]


def test_names_are_used_or_refused():
    assert backends.load("auto").name == "cpu"
    assert backends.load("reference").name == "reference"
    assert backends.load("cuda").name == "cuda"
    with pytest.raises(BackendUnavailableError, match="expected auto, cpu, cpu-two, reference, cuda"):
        backends.load("abacus")


def test_the_forget_bias_is_added_once():
    checkpoint = SHAPES["odd"]
    bias = checkpoint.tensors["decoder.b"].dense()
    np.testing.assert_array_equal(constants_of(checkpoint).bias[37 * 2 : 37 * 3], bias[37 * 2 : 37 * 3] + 1)
    np.testing.assert_array_equal(constants_of(checkpoint).bias[: 37 * 2], bias[: 37 * 2])
