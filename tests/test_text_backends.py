"""One contract for every backend and both architectures of text models; the reference is the definition."""

import itertools
import math
import resource
from dataclasses import replace

import numpy as np
import pytest
from small_texts import small_text, text_stored_as
from strikes import Strikes

from livesketch import ControlError, UnsupportedModelError, backends, sampling, token_sampling
from livesketch.models.text_model import END, UNK, slopes
from livesketch.token_sampling import TextSettings

BACKENDS = ["reference", "cpu"]
SHAPES = {
    "lstm": small_text(),
    "lstm, odd and untied": small_text(
        size=37, embedding=10, layers=3, tied=False, symbols=150, labels=("a", "b"), seed=2
    ),
    "lstm of one layer": small_text(size=32, layers=1, symbols=126, seed=3),
    "attention": small_text("text_attention", seed=4),
    "attention with labels": small_text(
        "text_attention", size=30, heads=5, window=3, layers=3, tied=False, labels=("a", "b"), symbols=200, ends=0.2
    ),
}
LABELLED = [name for name, checkpoint in SHAPES.items() if checkpoint.labels]


def opened(backend, checkpoint, size=1, *, seed=7, first_voice=0, label=0, **settings):
    batch = backends.load(backend).open_text(checkpoint, size)
    for k in range(size):
        if checkpoint.labels:
            batch.condition(k, checkpoint.tensors["label.w"].dense()[label])
        batch.seat(k, seed, first_voice + k)
        batch.settle(k, **settings)
    return batch


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(params=SHAPES)
def checkpoint(request):
    return SHAPES[request.param]


def stepped(batch, n):
    """The records of n steps, (n, N)."""
    return np.array([batch.step().copy() for _ in range(n)])


def taken(backend):
    return 30 if backend == "cpu" else 10


# Bad input


def test_bad_settings_change_nothing(backend):
    batch, plain = (opened(backend, SHAPES["lstm"], divisor=0.7, top_k=9) for _ in range(2))
    for changes in ({"divisor": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"min_p": 2.0}, {"unknown": 1}):
        with pytest.raises(ControlError, match=next(iter(changes)).replace("divisor", "temperature")):
            batch.settle(0, **changes)
    assert stepped(batch, 5).tobytes() == stepped(plain, 5).tobytes()


@pytest.mark.parametrize("name", LABELLED)
def test_a_label_vector_of_another_shape_is_refused(backend, name):
    batch, plain = opened(backend, SHAPES[name]), opened(backend, SHAPES[name])
    for shape in ((4,), (6,), (1, SHAPES[name].label_size), (0,), ()):
        with pytest.raises(ControlError, match=rf"expected \({SHAPES[name].label_size},\)"):
            batch.condition(0, np.ones(shape))
    assert batch.step().tobytes() == plain.step().tobytes()


def bad_biases(tokens):
    whole = np.zeros(tokens, np.float32)
    only_unk = np.full(tokens, -np.inf, np.float32)
    only_unk[UNK] = 0
    nan, high = whole.copy(), whole.copy()
    nan[5], high[END] = np.nan, np.inf
    return [
        (whole[:-1], "a bias of shape"), (np.full(tokens, -np.inf, np.float32), "forbid every token"),
        (only_unk, "forbid every token"), (nan, "NaN"), (high, "NaN or"),
    ]  # fmt: skip


def test_a_bad_bias_changes_nothing_and_the_batch_goes_on(backend, checkpoint):
    tokens = len(checkpoint.vocabulary)
    mask = np.where(np.arange(tokens) % 2, -np.inf, 0).astype(np.float32)
    batch, plain = opened(backend, checkpoint, 2), opened(backend, checkpoint, 2)
    for some in (batch, plain):
        some.constrain(1, mask)
    for k, (bias, words) in itertools.product((0, 1), bad_biases(tokens)):
        with pytest.raises(ControlError, match=words):
            batch.constrain(k, bias)
    assert stepped(batch, 5).tobytes() == stepped(plain, 5).tobytes()


def test_settings_under_which_the_bias_forbids_everything_are_refused(backend):
    batch, plain = (opened(backend, SHAPES["lstm"], unknown=True) for _ in range(2))
    only_unk = np.full(batch.tokens, -np.inf, np.float32)
    only_unk[UNK] = 0
    for some in (batch, plain):
        some.constrain(0, only_unk)
    with pytest.raises(ControlError, match="forbid every token"):
        batch.settle(0, 0.5)
    assert stepped(batch, 3).tobytes() == stepped(plain, 3).tobytes()
    assert (stepped(batch, 3)["token"] == UNK).all()
    batch.constrain(0, None)
    batch.settle(0, 0.5)
    assert (stepped(batch, 20)["token"] != UNK).all()


def test_tokens_of_another_vocabulary_are_refused_before_any_is_taken(backend):
    batch, plain = opened(backend, SHAPES["lstm"]), opened(backend, SHAPES["lstm"])
    for tokens in ([-1], [3, 42], [2.5], [2**40]):
        with pytest.raises(ControlError, match="expected a whole number from 0 to 41"):
            batch.force(0, np.array(tokens))
    assert stepped(batch, 3).tobytes() == stepped(plain, 3).tobytes()


def test_another_architecture_is_refused(backend):
    with pytest.raises(UnsupportedModelError, match=r"text_gru.*text_lstm, text_attention"):
        backends.load(backend).open_text(replace(SHAPES["lstm"], architecture="text_gru"), 1)


# One step, computed independently


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def independent_lstm(checkpoint, tokens, label):
    w = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    h = [np.zeros(checkpoint.hidden) for _ in range(checkpoint.layers)]
    c = [np.zeros(checkpoint.hidden) for _ in range(checkpoint.layers)]
    head = w["embed.w"].T if checkpoint.tied else w["head.w"]
    out = []
    for token in tokens:
        x = np.concatenate([w["embed.w"][token], w["label.w"][label] if checkpoint.labels else []])
        for n in range(checkpoint.layers):
            i, j, f, o = np.split(x @ w[f"layer{n}.w_x"] + h[n] @ w[f"layer{n}.w_h"] + w[f"layer{n}.b"], 4)
            c[n] = sigmoid(f + checkpoint.forget_bias) * c[n] + sigmoid(i) * np.tanh(j)
            x = h[n] = sigmoid(o) * np.tanh(c[n])
        out.append(x @ head + w["head.b"])
    return np.array(out)


def independent_attention(checkpoint, tokens, label):
    """Whole sequences at once: every position sees the last ``window`` through a mask, no ring."""
    w = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    n, size, heads = len(tokens), checkpoint.embedding, checkpoint.heads
    x = w["embed.w"][tokens] + (w["label.w"][label] if checkpoint.labels else 0)
    age = np.arange(n)[:, None] - np.arange(n)
    seen = (age >= 0) & (age < checkpoint.window)

    def norm(values, name):
        mean, var = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
        return (values - mean) / np.sqrt(var + 1e-5) * w[f"{name}.gamma"] + w[f"{name}.beta"]

    for block in range(checkpoint.layers):
        name = f"block{block}"
        q, k, v = np.split(norm(x, f"{name}.norm1") @ w[f"{name}.qkv.w"] + w[f"{name}.qkv.b"], 3, axis=-1)
        parts = []
        for head, slope in enumerate(slopes(heads)):
            own = slice(head * size // heads, (head + 1) * size // heads)
            scores = q[:, own] @ k[:, own].T / math.sqrt(size // heads) - slope * age
            shares = np.exp(np.where(seen, scores, -np.inf))
            parts.append(shares / shares.sum(-1, keepdims=True) @ v[:, own])
        x = x + np.concatenate(parts, -1) @ w[f"{name}.out.w"] + w[f"{name}.out.b"]
        up = norm(x, f"{name}.norm2") @ w[f"{name}.up.w"] + w[f"{name}.up.b"]
        up = 0.5 * up * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
        x = x + up @ w[f"{name}.down.w"] + w[f"{name}.down.b"]
    return norm(x, "norm") @ (w["embed.w"].T if checkpoint.tied else w["head.w"]) + w["head.b"]


def independent(checkpoint, tokens, label=0):
    """The logits after END and after each token, by plain NumPy products: no code of the package but dense()."""
    own = independent_attention if checkpoint.architecture == "text_attention" else independent_lstm
    return own(checkpoint, [END, *tokens], label)


def test_forced_logits_equal_an_independent_computation(backend, checkpoint):
    count = len(checkpoint.vocabulary)
    tokens = np.random.default_rng(5).integers(1, count, 30)
    density = np.zeros((31, count))
    for label in range(max(1, len(checkpoint.labels))):
        opened(backend, checkpoint, label=label).force(0, tokens, density, end=True)
        wanted = independent(checkpoint, tokens, label)
        np.testing.assert_allclose(density, wanted, atol=1e-9 if backend == "reference" else 1e-4)


def test_a_step_draws_what_the_definition_says(backend, checkpoint):
    settings = TextSettings(0.8, 25, 0.9, 0.01)
    batch = opened(backend, checkpoint, divisor=0.8, top_k=25, top_p=0.9, min_p=0.01)
    bias = np.random.default_rng(6).choice([0, -np.inf, -2.0, 1.0], batch.tokens).astype(np.float32)
    bias[2] = 0
    density = np.zeros((1, batch.tokens))
    for n in range(40):
        held = bias if n % 2 else None
        batch.constrain(0, held)
        record = batch.step(density=density)[0]
        drawn_from = token_sampling.distribution(density[0], held, settings)
        u = sampling.uniforms(7, record["step"], 0, record["piece"])[0]
        assert record["token"] == token_sampling.choose(drawn_from, u)
        assert record["log_prob"] == pytest.approx(drawn_from.log_probs[record["token"]], abs=1e-9)
        assert record["entropy"] == pytest.approx(drawn_from.entropy, abs=1e-9)
        assert record["mass"] == pytest.approx(drawn_from.mass, abs=1e-9)
        assert held is not None or record["mass"] == 1


@pytest.mark.parametrize("settings", [{}, {"divisor": 0.6, "top_p": 0.95}, {"divisor": 1.4, "top_k": 20}])
def test_free_running_equals_the_reference_until_a_near_tie(checkpoint, settings):
    ours, theirs = (opened(name, checkpoint, **settings) for name in ("cpu", "reference"))
    density = np.zeros((1, ours.tokens))
    for step in range(150):
        a, b = ours.step()[0], theirs.step(density=density)[0]
        u = sampling.uniforms(7, b["step"], 0, b["piece"])[0]
        drawn_from = token_sampling.distribution(density[0], None, TextSettings(**settings))
        if a["token"] != b["token"]:
            margin = token_sampling.tie_margin(drawn_from, u)
            print(f"near-tie at step {step}: margin {margin:.2g}")
            # What top_p keeps may differ too, which moves every boundary.
            assert margin < 1e-4 or "top_p" in settings
            break
        assert (a["piece"], a["step"], a["last"], a["ended"]) == (b["piece"], b["step"], b["last"], b["ended"])
        np.testing.assert_allclose(a["log_prob"], b["log_prob"], atol=1e-2 if settings else 1e-4)
    assert step > 30


@pytest.mark.slow  # other weights are other kernels, which take seconds to compile
def test_float_weights_run_too(backend):
    for name in ("lstm, odd and untied", "attention"):
        a, b = opened(backend, SHAPES[name]), opened(backend, text_stored_as(SHAPES[name], np.float32))
        left, right = stepped(a, 5), stepped(b, 5)
        assert (left["token"] == right["token"]).all()
        np.testing.assert_allclose(left["log_prob"], right["log_prob"], atol=1e-4)


def test_weights_are_used_as_they_are_stored(backend):
    """A model of mixed number types is the same as one of float32."""
    mixed = SHAPES["lstm"]
    float32 = text_stored_as(mixed, np.float32)
    mixed = replace(mixed, tensors={**mixed.tensors, "layer1.w_h": float32.tensors["layer1.w_h"]})
    a, b = np.zeros((4, 42)), np.zeros((4, 42))
    opened(backend, mixed).force(0, np.array([3, 4, 5]), a, end=True)
    opened(backend, float32).force(0, np.array([3, 4, 5]), b, end=True)
    np.testing.assert_allclose(a, b, atol=1e-5)


# Voices


@pytest.mark.parametrize("split", [[16], [7, 1, 8]])
def test_a_voice_is_bit_equal_alone_among_others_and_at_any_split(backend, checkpoint, split):
    together = opened(backend, checkpoint, 16)
    parts, first = [], 0
    for size in split:
        parts.append(opened(backend, checkpoint, size, first_voice=first))
        first += size
    alone = opened(backend, checkpoint, first_voice=7)
    for _ in range(20 if backend == "cpu" else 2):
        whole = together.step()
        assert whole.tobytes() == np.concatenate([part.step() for part in parts]).tobytes()
        assert whole[7].tobytes() == alone.step()[0].tobytes()


def test_other_voices_do_not_reach_a_voice(backend, checkpoint):
    plain, mixed = opened(backend, checkpoint, 3), opened(backend, checkpoint, 3)
    mixed.seat(0, 99, 5)
    mixed.settle(2, 0.0)
    mask = np.where(np.arange(mixed.tokens) % 2, 0, -np.inf).astype(np.float32)
    mixed.constrain(2, mask)
    mixed.constrain(0, mask, np.full(mixed.tokens, -3, np.float32))
    for _ in range(taken(backend)):
        a, b = plain.step()[1].tobytes(), mixed.step()[1].tobytes()
        assert a == b
    mixed.force(0, np.array([2, 3]))
    assert plain.step()[1].tobytes() == mixed.step()[1].tobytes()


@pytest.mark.parametrize("name", LABELLED)
def test_labels_write_differently_from_the_next_step_on(backend, name):
    a, b = (opened(backend, SHAPES[name], label=label) for label in (0, 1))
    assert a.step().tobytes() != b.step().tobytes()
    a.restart(0)
    a.condition(0, SHAPES[name].tensors["label.w"].dense()[1])
    b.restart(0)
    assert a.step().tobytes() == b.step().tobytes()


def test_greedy_ignores_the_seed(backend, checkpoint):
    a, b = (stepped(opened(backend, checkpoint, seed=seed, divisor=0.0), 12) for seed in (1, 2))
    assert a.tobytes() == b.tobytes()
    assert (a["log_prob"] == 0).all()


def test_uniforms_can_be_given(backend, checkpoint):
    own, given = opened(backend, checkpoint, 2), opened(backend, checkpoint, 2, seed=12345)
    for _ in range(10):
        steps, pieces = given.writers["step"].copy(), given.writers["piece"].copy()
        if given.writers["done"].any():
            break
        u = np.array([sampling.uniforms(7, steps[k], k, pieces[k])[0] for k in range(2)])
        assert own.step().tobytes() == given.step(uniforms=u).tobytes()


# Pieces


def test_pieces_begin_end_and_are_cut_as_stated(backend, checkpoint):
    batch = opened(backend, checkpoint)
    ends, step, piece = 0, 0, 0
    for _ in range(1000 if backend == "cpu" else 250):
        record = batch.step()[0].copy()
        assert (record["step"], record["piece"]) == (step, piece)
        assert record["ended"] == (record["token"] == END)
        assert record["last"] == (record["ended"] or step == checkpoint.max_steps - 1)
        assert record["token"] != UNK
        ends += record["ended"]
        step, piece = (0, piece + 1) if record["last"] else (step + 1, piece)
    assert ends > 2


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_a_piece_that_does_not_end_is_cut_at_the_longest_length(backend, name):
    records = stepped(opened(backend, replace(SHAPES[name], max_steps=4)), 150)[:, 0]
    cut = records[records["last"] & ~records["ended"]]
    assert len(cut) > 3
    assert set(cut["step"].tolist()) == {3}
    assert records["step"].max() == 3


def test_a_piece_does_not_depend_on_those_before_it(backend, checkpoint):
    batch, later = opened(backend, checkpoint), opened(backend, checkpoint)
    later.seat(0, 7, 0, piece=2)
    batch.force(0, np.array([3, 4, END, 5, END]))
    assert stepped(batch, 6).tobytes() == stepped(later, 6).tobytes()


def test_a_finished_piece_gives_way_only_where_it_has_begun(backend, checkpoint):
    batch, other = opened(backend, checkpoint), opened(backend, checkpoint)
    batch.finish(0)
    assert batch.step()[0]["piece"] == 0
    batch.finish(0)
    other.seat(0, 7, 0, piece=1)
    assert stepped(batch, 4).tobytes() == stepped(other, 4).tobytes()


# Going back


def test_a_snapshot_put_back_gives_the_same_again(backend, checkpoint):
    batch = opened(backend, checkpoint, 3)
    stepped(batch, 10)
    snapshot = batch.snapshot()
    first = stepped(batch, taken(backend))
    batch.restore(snapshot)
    assert stepped(batch, taken(backend)).tobytes() == first.tobytes()
    other = opened(backend, checkpoint, 3)
    stepped(other, 3)
    other.restore(snapshot)
    assert stepped(other, taken(backend)).tobytes() == first.tobytes()


def test_restart_goes_back_to_step_0_of_the_same_piece(backend, checkpoint):
    batch = opened(backend, checkpoint)
    batch.constrain(0, np.where(np.arange(batch.tokens) == END, -np.inf, 0).astype(np.float32))
    first = stepped(batch, 5)
    batch.restart(0)
    assert stepped(batch, 5).tobytes() == first.tobytes()


def test_marks_and_a_snapshot_of_before_lead_to_the_same_place(backend, checkpoint):
    batch = opened(backend, checkpoint, 2)
    stepped(batch, 4)
    snapshot, marks = batch.snapshot(), []
    for _ in range(12):
        batch.step()
        marks.append(batch.mark(1))
    wanted = stepped(batch, 6)[:, 1]
    batch.restore(snapshot)
    batch.redo(1, marks)
    assert stepped(batch, 6)[:, 1].tobytes() == wanted.tobytes()


def test_forcing_what_was_drawn_leaves_the_state_that_drawing_it_left(backend, checkpoint):
    free, forced = opened(backend, checkpoint, divisor=0.9), opened(backend, checkpoint, divisor=0.9)
    records = stepped(free, 12)[:, 0]
    out = forced.force(0, records["token"])
    for name in ("piece", "step", "token", "log_prob", "entropy", "mass", "last", "ended"):
        assert out[name].tobytes() == records[name].tobytes()
    for a, b in zip(free.snapshot().state, forced.snapshot().state, strict=True):
        assert a.tobytes() == b.tobytes()
    assert stepped(free, 5).tobytes() == stepped(forced, 5).tobytes()


def test_forced_tokens_are_judged_by_the_settings_without_the_bias(backend):
    batch = opened(backend, SHAPES["lstm"], divisor=0.5, top_k=3)
    mask = np.full(batch.tokens, -np.inf, np.float32)
    mask[7] = 0
    batch.constrain(0, mask)
    density = np.zeros((2, batch.tokens))
    records = batch.force(0, np.array([9, UNK]), density)
    assert (records["mass"] == 1).all()
    for record, logits in zip(records, density, strict=True):
        drawn_from = token_sampling.distribution(logits, None, TextSettings(0.5, 3))
        assert record["entropy"] == pytest.approx(drawn_from.entropy, abs=1e-9)
        assert record["log_prob"] == pytest.approx(drawn_from.log_probs[record["token"]], abs=1e-9)
    assert records["log_prob"][1] == -np.inf
    assert batch.step()[0]["token"] == 7  # still constrained


def test_looking_at_what_comes_next_changes_nothing(backend, checkpoint):
    for tokens in ([], [2, 3], [3, END]):
        looked, plain = opened(backend, checkpoint), opened(backend, checkpoint)
        density = np.zeros((len(tokens) + 1, looked.tokens))
        looked.force(0, np.array(tokens, np.int64), density, end=True)
        plain.force(0, np.array(tokens, np.int64))
        assert np.abs(density[-1]).max() > 0
        assert stepped(looked, 9).tobytes() == stepped(plain, 9).tobytes()


# Steering and constraints


def test_steering_changes_the_logits_before_sampling(backend, checkpoint):
    batch = opened(backend, checkpoint, 2)

    def always_end(logits):
        assert logits.shape == (2, len(checkpoint.vocabulary))
        logits[:] = -50
        logits[:, END] = 50

    density = np.zeros((2, batch.tokens))
    assert batch.step(steer=always_end, density=density)["ended"].all()
    assert (density[:, END] == 50).all()
    assert batch.step()["piece"].tolist() == [1, 1]


def test_whatever_steers_the_numbers_stay_finite(backend):
    for fill in (math.nan, math.inf, -math.inf, 1e38):
        batch = opened(backend, SHAPES["lstm"], top_p=0.9)

        def spoil(logits, fill=fill):
            logits[:, 3:] = fill

        record = batch.step(steer=spoil)[0]
        assert 0 <= record["token"] < batch.tokens
        assert np.isfinite([record["log_prob"], record["entropy"], record["mass"]]).all()


def test_an_interrupted_step_is_not_begun(backend, checkpoint):
    batch, plain = opened(backend, checkpoint, 2), opened(backend, checkpoint, 2)
    stepped(batch, 9), stepped(plain, 9)

    def interrupt(logits):
        raise KeyboardInterrupt

    for _ in range(2):
        steps = batch.steps
        with pytest.raises(KeyboardInterrupt):
            batch.step(steer=interrupt)
        assert batch.steps == steps
    assert stepped(batch, 20).tobytes() == stepped(plain, 20).tobytes()


def test_a_signal_leaves_a_step_whole_or_not_begun():
    """Ctrl-C at any moment of cpu steps: what was counted was drawn, and the next goes on from there."""
    checkpoint = SHAPES["lstm"]
    batch, drawn = opened("cpu", checkpoint), []
    with Strikes() as strikes:
        for delay in np.linspace(2e-4, 3e-3, 100):
            try:
                strikes.arm(float(delay))
                while True:
                    strikes.turn += 1
                    batch.step()
                    if batch.steps > len(drawn):
                        drawn.append(int(batch.actions[0]["token"]))
            except KeyboardInterrupt:
                if batch.steps > len(drawn):
                    drawn.append(int(batch.actions[0]["token"]))
    assert len(drawn) > 100
    plain = opened("cpu", checkpoint)
    assert drawn == stepped(plain, len(drawn))[:, 0]["token"].tolist()


def test_what_is_forbidden_is_never_drawn(backend, checkpoint):
    batch = opened(backend, checkpoint, 2, divisor=1.4)
    allowed = np.arange(batch.tokens) % 3 == 0
    batch.constrain(0, np.where(allowed, 0, -np.inf).astype(np.float32))
    records = stepped(batch, 200 if backend == "cpu" else 40)
    assert allowed[records["token"][:, 0]].all()
    assert not allowed[records["token"][:, 1]].all()
    assert (records["mass"][:, 0] < 1).all()
    assert (records["mass"][:, 1] == 1).all()
    batch.constrain(0, None)
    assert (stepped(batch, 20)["mass"] == 1).all()


def test_the_callers_array_is_copied(backend):
    batch = opened(backend, SHAPES["lstm"])
    bias = np.full(batch.tokens, -np.inf, np.float32)
    bias[9] = 0
    batch.constrain(0, bias)
    bias[:] = 0
    assert (stepped(batch, 5)["token"] == 9).all()


def test_a_soft_bias_yields_where_too_little_is_left(backend):
    batch = opened(backend, SHAPES["lstm"])
    hard = np.where(np.arange(batch.tokens) < 20, 0, -np.inf).astype(np.float32)
    mild, harsh = np.full(batch.tokens, -1, np.float32), np.full(batch.tokens, -np.inf, np.float32)
    for soft, yields in ((mild, False), (harsh, True), (np.full_like(mild, -300), True)):
        batch.constrain(0, hard, soft)
        density = np.zeros((1, batch.tokens))
        record = batch.step(density=density)[0]
        drawn_from, softened = token_sampling.held(density[0], hard, soft)
        assert (record["softened"], softened) == (yields, yields)
        assert record["token"] < 20
        assert record["mass"] == pytest.approx(drawn_from.mass, rel=1e-9)
        assert record["log_prob"] == pytest.approx(drawn_from.log_probs[record["token"]], abs=1e-9)


# Chance, and long runs


@pytest.mark.parametrize(
    "settings", [{}, {"divisor": 0.7, "top_k": 12}, {"top_p": 0.8}, {"min_p": 0.1, "unknown": True}]
)
def test_frequencies_follow_the_formula(settings):
    """10,000 voices that differ in their number alone draw their first token: a chi-square test at p = 1e-6."""
    checkpoint, voices = SHAPES["lstm"], 10_000
    batch = opened("cpu", checkpoint, voices, **settings)
    mask = np.where(np.arange(batch.tokens) % 7 == 3, -np.inf, 0).astype(np.float32)
    for k in range(voices):
        batch.constrain(k, mask)
    tokens = batch.step()["token"]
    logits = independent(checkpoint, [])[0]
    probs = np.exp(token_sampling.distribution(logits, mask, TextSettings(**settings)).log_probs)
    counts = np.bincount(tokens, minlength=batch.tokens)
    assert (counts[probs == 0] == 0).all()
    expected = probs[probs > 0] * voices
    chi2 = ((counts[probs > 0] - expected) ** 2 / expected).sum()
    degrees = len(expected) - 1
    limit = degrees * (1 - 2 / (9 * degrees) + 4.75 * math.sqrt(2 / (9 * degrees))) ** 3  # Wilson & Hilferty 1931
    assert chi2 < limit


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_a_long_run_keeps_its_memory_and_its_voice(name):
    """100,000 tokens in long pieces; the ring of an attention goes round many times, and stays exact."""
    checkpoint = replace(SHAPES[name], max_steps=10**6)
    mask = np.zeros(len(checkpoint.vocabulary), np.float32)
    mask[END] = -np.inf
    batch = opened("cpu", checkpoint)
    batch.constrain(0, mask)
    for _ in range(20_000):
        batch.step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tokens = [int(batch.step()[0]["token"]) for _ in range(80_000)]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8_000  # kB; the list of tokens takes 700
    assert batch.writers[0]["step"] == 100_000
    assert batch.writers[0]["piece"] == 0
    assert len(set(tokens)) > 5
    density = np.zeros((1, batch.tokens))
    batch.force(0, np.zeros(0, np.int64), density, end=True)
    assert np.isfinite(density).all()
    if name == "attention":
        # With two blocks a token reaches back 2 (window - 1) places and no further.
        wanted = independent_attention(checkpoint, tokens[-2 * checkpoint.window :], 0)[-1]
        np.testing.assert_allclose(density[0], wanted, atol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_nothing_is_compiled_once_a_batch_is_open(tmp_path, name):
    """Also not for a model out of a file, whose arrays may be read-only, or for the first of anything."""
    from livesketch.models.checkpoint import load_text, save_text

    save_text(SHAPES[name], tmp_path / "a.safetensors")
    batch = opened("cpu", load_text(tmp_path / "a.safetensors"), 3)
    before = len(batch._kernel.signatures)
    mask = np.where(np.arange(batch.tokens) % 2, -np.inf, 0).astype(np.float32)
    batch.constrain(1, mask)
    batch.constrain(2, mask, np.minimum(mask, -1))
    batch.step(uniforms=np.full(3, 0.5), steer=lambda logits: None, density=np.zeros((3, batch.tokens)))
    batch.force(1, np.array([3, 4]), np.zeros((3, batch.tokens)), end=True)
    stepped(batch, 3)
    other = opened("cpu", SHAPES[name], 2)
    stepped(other, 3)
    assert len(batch._kernel.signatures) == len(other._kernel.signatures) == before


def test_weights_at_their_limit_give_no_nan(backend):
    """The largest weights that a file may hold, in every tensor."""
    for name in ("lstm", "attention"):
        small = SHAPES[name]
        tensors = {
            key: replace(tensor, values=np.sign(tensor.dense()).astype(np.float32) * np.float32(1e6), scale=1.0)
            for key, tensor in small.tensors.items()
        }
        batch = opened(backend, replace(small, tensors=tensors))
        density = np.zeros((1, batch.tokens))
        for _ in range(taken(backend)):
            record = batch.step(density=density)[0]
            assert not np.isnan(density).any()
            assert np.isfinite([record["log_prob"], record["entropy"], record["mass"]]).all()
