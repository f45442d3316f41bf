"""Sampling of tokens: bad settings, the stated rules against plain loops, frequencies, and the cpu kernel."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livesketch.errors import ControlError
from livesketch.token_sampling import (
    END,
    MASS_LIMIT,
    MODES,
    UNK,
    TextSettings,
    check_bias,
    choose,
    distribution,
    held,
    tie_margin,
)

INF = math.inf


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"divisor": -0.1}, "temperature"),
        ({"divisor": math.nan}, "temperature"),
        ({"divisor": INF}, "temperature"),
        ({"divisor": "warm"}, "temperature"),
        ({"divisor": True}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_k": 1.0}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"top_k": 2**40}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_p": math.nan}, "top_p"),
        ({"top_p": None}, "top_p"),
        ({"min_p": -0.1}, "min_p"),
        ({"min_p": 1.1}, "min_p"),
        ({"min_p": "0.1"}, "min_p"),
        ({"unknown": 1}, "unknown"),
        ({"unknown": None}, "unknown"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, words):
    with pytest.raises(ControlError, match=f"{words}.*expected"):
        TextSettings(**changes)


def test_settings_are_plain_numbers():
    kept = TextSettings(np.float32(0.5), np.int64(3), 1, np.float64(0), np.bool_(True))
    assert (kept.divisor, kept.top_k, kept.top_p, kept.min_p) == (0.5, 3, 1.0, 0.0)
    assert [type(value) for value in (kept.divisor, kept.top_k, kept.top_p, kept.min_p)] == [float, int, float, float]


@pytest.mark.parametrize("bad", [math.nan, INF])
@pytest.mark.parametrize("place", [END, UNK, 2, 5])
def test_a_bias_with_nan_or_infinity_is_refused(bad, place):
    for fill in (0.0, -INF):
        bias = np.full(6, fill, np.float32)
        bias[place] = bad
        with pytest.raises(ControlError, match="NaN or"):
            check_bias(bias, unknown=True)


def test_a_bias_that_forbids_everything_is_refused():
    bias = np.full(6, -INF, np.float32)
    for unknown in (False, True):
        with pytest.raises(ControlError, match="forbid every token"):
            distribution(np.zeros(6), bias, TextSettings(unknown=unknown))
    bias[UNK] = 0
    with pytest.raises(ControlError, match="forbid every token"):
        distribution(np.zeros(6), bias)
    assert choose(distribution(np.zeros(6), bias, TextSettings(unknown=True)), 0.5) == UNK
    for place in (END, 2, 5):
        bias = np.full(6, -INF, np.float32)
        bias[place] = -3
        assert choose(distribution(np.zeros(6), bias), 0.5) == place


def spelled_out(logits, bias, settings, u):
    """The rules in plain Python, one token after another: what is kept, its probabilities, the token at u."""
    scores = []
    for k, logit in enumerate(logits):
        score = float(logit) + (float(bias[k]) if bias is not None else 0.0)
        scores.append(-INF if k == UNK and not settings.unknown else score)
    top = max(scores)
    if settings.divisor == 0:
        winner = scores.index(top)
        return {winner: 1.0}, winner
    weights = [math.exp((score - top) / settings.divisor) if score > -INF else 0.0 for score in scores]
    order = sorted((k for k in range(len(scores)) if scores[k] > -INF), key=lambda k: (-scores[k], k))
    kept = order[: settings.top_k] if settings.top_k else order
    if settings.top_p < 1:
        held, nucleus, total = 0.0, [], sum(weights[k] for k in order)
        for k in order:
            if held >= settings.top_p * total:
                break
            held += weights[k]
            nucleus.append(k)
        kept = [k for k in kept if k in nucleus]
    kept = sorted(k for k in kept if weights[k] >= settings.min_p)
    total = sum(weights[k] for k in kept)
    held = 0.0
    chosen = None
    for k in kept:
        held += weights[k]
        if chosen is None and held >= u * total:
            chosen = k
    return {k: weights[k] / total for k in kept}, chosen


FEW = st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
LOGITS = st.lists(st.one_of(FEW, st.floats(-30, 30, width=32)), min_size=3, max_size=40)
SETTINGS = st.builds(
    TextSettings,
    st.sampled_from([0.0, 0.1, 0.6, 1.0, 1.4, 50.0]),
    st.sampled_from([0, 1, 2, 5, 1000]),
    st.sampled_from([1.0, 0.9999, 0.9, 0.5, 0.25, 1e-6]),
    st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    st.booleans(),
)


@given(logits=LOGITS, settings_=SETTINGS, data=st.data(), u=st.floats(1e-6, 1 - 1e-6))
@settings(max_examples=300, deadline=None)
def test_the_definition_is_what_is_spelled_out(logits, settings_, data, u):
    nats = st.sampled_from([0.0, 0.0, -INF, -1.5, 2.0])
    bias = data.draw(st.none() | st.lists(nats, min_size=len(logits), max_size=len(logits)))
    if bias is not None:
        bias[data.draw(st.sampled_from([k for k in range(len(logits)) if k != UNK]))] = 0.0
    array = None if bias is None else np.array(bias, np.float32)
    drawn_from = distribution(np.array(logits, np.float32), array, settings_)
    wanted, chosen = spelled_out(logits, bias, settings_, u)
    probs = np.exp(drawn_from.log_probs)
    assert sorted(np.flatnonzero(drawn_from.log_probs > -INF)) == sorted(wanted)
    np.testing.assert_allclose([probs[k] for k in wanted], list(wanted.values()), atol=1e-12)
    np.testing.assert_allclose(probs.sum(), 1, atol=1e-12)
    positive = [p for p in wanted.values() if p > 0]
    assert drawn_from.entropy == pytest.approx(-sum(p * math.log(p) for p in positive), abs=1e-9)
    if tie_margin(drawn_from, u) > 1e-9:
        assert choose(drawn_from, u) == chosen
    assert (drawn_from.mass == 1) if bias is None else (MASS_LIMIT <= drawn_from.mass <= 1 + 1e-12)


def test_top_k_takes_the_lower_index_of_a_tie():
    drawn_from = distribution(np.array([1, 9, 3, 2, 3, 3.0]), None, TextSettings(top_k=2))
    assert np.flatnonzero(drawn_from.weights).tolist() == [2, 4]


def test_top_p_takes_the_fewest_that_reach_it():
    logits = np.log([0.1, 0.5, 0.4, 0.2, 0.3])
    for share, kept in ((0.39, [2]), (0.41, [2, 4]), (0.71, [2, 3, 4]), (0.95, [0, 2, 3, 4])):
        assert np.flatnonzero(distribution(logits, None, TextSettings(top_p=share)).weights).tolist() == kept
    even = np.zeros(11)
    even[UNK] = 5
    for share, kept in ((0.1, 1), (0.3, 3), (0.5, 5), (0.51, 6), (1.0, 10)):
        assert np.count_nonzero(distribution(even, None, TextSettings(top_p=share)).weights) == kept


def test_top_k_and_top_p_are_of_one_distribution():
    """Their order does not matter: neither renormalises for the other."""
    logits = np.log([1e-9, 0, 0.4, 0.3, 0.2, 0.1] + np.float64(1e-30))
    both = distribution(logits, None, TextSettings(top_k=3, top_p=0.75))
    assert np.flatnonzero(both.weights).tolist() == [2, 3, 4]  # 0.4 + 0.3 of all is less than 0.75; of three it is more


def test_mass_is_the_share_that_the_bias_leaves():
    logits = np.log([0.1, 0.9, 0.2, 0.3, 0.4])
    bias = np.array([0, 0, -INF, 0, 0], np.float32)
    assert distribution(logits, bias).mass == pytest.approx(0.8)
    assert distribution(logits, bias, TextSettings(top_k=1)).mass == pytest.approx(0.8)
    assert distribution(logits, bias, TextSettings(0.0)).mass == pytest.approx(0.8)
    squares = np.array([0.1, 0.2, 0.3, 0.4]) ** 2
    cold = distribution(logits, bias, TextSettings(0.5))
    assert cold.mass == pytest.approx(1 - squares[1] / squares.sum())
    penalty = np.array([0, 0, math.log(0.5), 3, 0], np.float32)  # what is added does not count
    assert distribution(logits, penalty).mass == pytest.approx(0.9)
    assert distribution(logits + 1000, np.zeros(5, np.float32)).mass == 1
    nothing_left = np.array([-INF, 0, 0, -INF, -INF], np.float32)
    assert distribution(np.array([0, 0, -5000.0, 0, 0]), nothing_left).mass == MASS_LIMIT


def test_unk_is_drawn_only_where_it_may_be():
    logits = np.array([0, 50.0, 0, 0])
    assert distribution(logits).log_probs[UNK] == -INF
    assert choose(distribution(logits, None, TextSettings(unknown=True)), 0.5) == UNK
    assert choose(distribution(logits, None, TextSettings(0.0)), 0.5) == 0
    assert choose(distribution(logits, None, TextSettings(0.0, unknown=True)), 0.5) == UNK


@pytest.mark.parametrize("fill", [0.0, -1e38, 1e38, math.nan, INF, -INF])
@pytest.mark.parametrize("divisor", [0.0, 5e-324, 1e-3, 1.0, 1e300])
def test_extreme_logits_give_no_nan(fill, divisor):
    logits = np.full(7, fill)
    logits[3] = 1.0
    for bias in (None, np.array([0, 0, 0, -INF, 0, 0, -3e38], np.float32)):
        drawn_from = distribution(logits, bias, TextSettings(divisor, 3, 0.9, 0.1))
        numbers = [*drawn_from.weights, drawn_from.entropy, drawn_from.mass, *np.exp(drawn_from.log_probs)]
        assert np.isfinite(numbers).all()
        assert choose(drawn_from, 0.5) != UNK


def test_choosing_follows_the_formula_in_frequency():
    logits = np.random.default_rng(4).normal(0, 2, 30)
    bias = np.where(np.arange(30) % 5, 0, -INF).astype(np.float32)
    drawn_from = distribution(logits, bias, TextSettings(0.8, 20, 0.95))
    u = (np.arange(200_000) + 0.5) / 200_000
    sums = drawn_from.weights.cumsum()
    chosen = (sums[:, None] < u[::40] * sums[-1]).sum(0)
    assert [choose(drawn_from, value) for value in u[::40]] == chosen.tolist()
    frequencies = np.bincount((sums[:, None] < u * sums[-1]).sum(0), minlength=30) / len(u)
    np.testing.assert_allclose(frequencies, np.exp(drawn_from.log_probs), atol=2e-5)


def test_entropy_grows_with_the_mode():
    logits = np.random.default_rng(5).normal(0, 3, 500)
    entropies = [distribution(logits, None, TextSettings(MODES[mode])).entropy for mode in MODES]
    assert list(MODES) == ["conservative", "normal", "open"]
    assert entropies == sorted(entropies)
    assert entropies[0] < entropies[1] - 0.1


# The cpu kernel beside the definition


def kernel(logits, bias, settings_, u, token=-1, soft=None):
    """``act`` on one row of logits: a TOKEN record."""
    from livesketch.backends.kernels import text_cut, text_sampling, text_weights
    from livesketch.backends.protocol import TOKEN, WRITER
    from livesketch.backends.text_batch import SETTINGS as RECORD
    from livesketch.backends.text_masks import RARE

    count = len(logits)
    width = -(-count // 128) * 128
    padded = np.zeros((1, width), np.float32)
    padded[0, :count] = logits
    own = np.zeros(1, RECORD)
    for name in ("divisor", "top_k", "top_p", "min_p", "unknown"):
        own[name] = getattr(settings_, name)
    own["biased"], own["soft"] = bias is not None, soft is not None
    rows = [np.zeros((0, count), np.float32) if row is None else np.array([row], np.float32) for row in (bias, soft)]
    actions = np.zeros(1, TOKEN)
    work = np.full((4, width), -np.inf)
    text_sampling.act(
        np.zeros(1, WRITER), padded, *rows, np.zeros((0, 2, count), np.uint8), np.zeros((1, RARE), np.int64), own,
        np.array([u]), np.array([token]), actions, work,
        np.zeros((2, text_weights.LANES)), np.zeros(width, np.int64), np.zeros(text_cut.BUCKETS, np.int64),
        np.zeros(text_cut.BUCKETS), np.zeros(count, np.float32), 1000, np.zeros(1, np.int64),
    )  # fmt: skip
    kept = np.flatnonzero(work[0, :count] > -np.inf).tolist()
    return actions[0], kept


def assert_alike(logits, bias, settings_, u, soft=None):
    """The kernel draws what the definition says from the same float32 logits, and says the same of it."""
    drawn_from, softened = held(logits, bias, soft, settings_)
    record, kept = kernel(logits, bias, settings_, u, soft=soft)
    if settings_.divisor > 1e-9:  # with less, what is kept may have no logarithm left
        assert kept == np.flatnonzero(drawn_from.log_probs > -np.inf).tolist()
    if tie_margin(drawn_from, u) > 1e-12:
        assert record["token"] == choose(drawn_from, u)
    token = int(record["token"])
    assert record["log_prob"] == pytest.approx(drawn_from.log_probs[token], abs=1e-11, rel=1e-11)
    assert record["entropy"] == pytest.approx(drawn_from.entropy, abs=1e-11)
    assert record["mass"] == pytest.approx(drawn_from.mass, abs=1e-12, rel=1e-9)
    assert record["softened"] == softened
    forced, _ = kernel(logits, None, settings_, u, token=len(logits) - 1)
    plain = distribution(logits, None, settings_)
    assert forced["log_prob"] == pytest.approx(plain.log_probs[-1], abs=1e-11, rel=1e-11)
    assert forced["entropy"] == pytest.approx(plain.entropy, abs=1e-11)
    assert (forced["mass"], forced["token"]) == (1, len(logits) - 1)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([3, 7, 127, 128, 129, 300, 1000]),
    spread=st.sampled_from([0.0, 1e-6, 1.0, 3.0, 50.0, 1e4]),
    grain=st.sampled_from([0, 0, 1, 8]),
    settings_=SETTINGS,
    kind=st.sampled_from(["none", "mask", "narrow", "best", "soft", "boost"]),
    u=st.floats(1e-6, 1 - 1e-6),
)
@settings(max_examples=400, deadline=None)
@example(1, 1000, 0.0, 0, TextSettings(1.0, 0, 0.5), "none", 0.5)
@example(1, 1000, 0.0, 0, TextSettings(1.0, 500), "narrow", 0.5)
@example(1, 300, 1e4, 0, TextSettings(0.1, 0, 0.9), "best", 0.5)
def test_the_kernel_is_the_definition(seed, count, spread, grain, settings_, kind, u):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, count).astype(np.float32)
    if grain:
        logits = np.round(logits * grain) / grain  # many ties
    bias = np.zeros(count, np.float32) if kind != "none" else None
    if kind == "mask":
        bias[rng.random(count) < 0.3] = -np.inf
    if kind == "narrow":
        bias[rng.random(count) < 0.97] = -np.inf
    if kind == "best":
        bias[np.argsort(-logits)[: count // 2]] = -np.inf
    if kind in ("soft", "boost"):
        nats = [-2.0, -np.inf, 2.0 if kind == "boost" else -30]
        bias[:] = np.where(rng.random(count) < 0.5, 0, rng.choice(nats, count))
    if bias is not None and not (bias[[0, *range(2, count)]] > -np.inf).any():
        bias[2] = 0
    assert_alike(logits, bias, settings_, u)
    if bias is not None:
        soft = np.where(rng.random(count) < 0.1, 0, rng.choice([-1.0, -20.0, -np.inf], count)).astype(np.float32)
        assert_alike(logits, bias, settings_, u, soft)


@pytest.mark.parametrize("fill", [0.0, -1e38, 1e38, math.nan, INF, -INF])
@pytest.mark.parametrize("divisor", [0.0, 5e-324, 1e-3, 1.0, 1e300])
def test_the_kernel_takes_extreme_logits(fill, divisor):
    logits = np.full(200, fill, np.float32)
    logits[3] = 1.0
    for bias in (None, np.where(np.arange(200) == 3, -INF, 0), np.where(np.arange(200) == 5, -3e38, 0)):
        row = None if bias is None else bias.astype(np.float32)
        assert_alike(logits, row, TextSettings(divisor, 3, 0.9, 0.1), 0.5)
        assert_alike(logits, row, TextSettings(divisor), 0.999)


def test_clusters_of_ties_far_apart_are_cut_exactly():
    """The selection narrows down several times: outliers, then clusters, then ties."""
    rng = np.random.default_rng(8)
    logits = np.concatenate([[-1e30, 0, 30.0], 20 + rng.integers(0, 3, 400) * 1e-5, -rng.integers(0, 4, 600) * 1e-3])
    logits = logits.astype(np.float32)
    for top_k in (1, 2, 50, 131, 399, 402, 600, 999, 1003):
        assert_alike(logits, None, TextSettings(3.0, top_k), 0.7)
    for top_p in (0.001, 0.3, 0.7, 0.999, 1 - 1e-12):
        assert_alike(logits, None, TextSettings(7.0, 0, top_p), 0.7)


def test_exponentials_are_exact_to_the_last_bits():
    from numba import njit

    from livesketch.backends.kernels import common, text_weights

    weighed = njit(fastmath=common.FMA, error_model="numpy")(text_weights.weighed.py_func)

    values = -np.concatenate([np.linspace(0, 40, 50_001), np.linspace(0, 700, 5_001), [0.0, 1e-300, 745.0, 1e5]])
    tempered, weights = np.zeros_like(values), np.zeros_like(values)
    weighed(values, 0.0, 1.0, tempered, weights)
    wanted = np.exp(values)
    assert weights[0] == 1.0
    assert (np.abs(weights / np.maximum(wanted, 1e-320) - 1) < 4.5e-16)[values > -700].all()
    assert (weights[values < -710] == 0).all()
