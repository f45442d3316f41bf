"""Sampling: pure functions, checked against published vectors, formulas and frequencies."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from livesketch import ControlError, sampling

KNOWN_ANSWERS = [  # Random123 1.14.0, examples/kat_vectors, philox4x32 10
    ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0], "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter, key, words):
    assert " ".join(f"{word:08x}" for word in sampling.philox4x32(counter, key)) == words


def test_uniforms_are_the_stated_function_of_seed_and_counter():
    seed = 0x0123456789ABCDEF
    words = sampling.philox4x32([5, 3, 2, 0], [0x89ABCDEF, 0x01234567])
    assert sampling.uniforms(seed, 5, 3, 2).tolist() == [((int(w) >> 9) + 0.5) * 2**-23 for w in words]


def test_uniforms_are_exact_in_float32_and_never_0_or_1():
    u = sampling.uniforms(1, np.arange(20000), 0, 0)
    assert (u.astype(np.float32).astype(np.float64) == u).all()
    assert 0 < u.min() < 0.001
    assert 0.999 < u.max() < 1
    lowest, highest = (np.float32((word + 0.5) * 2.0**-23) for word in (0, 2**23 - 1))
    assert 0 < lowest < highest < 1


def test_uniforms_are_uniform_and_independent():
    u = sampling.uniforms(99, np.arange(50_000)[:, None], np.arange(2), 0)
    assert abs(u.mean() - 0.5) < 0.002
    assert np.abs(np.corrcoef(u.reshape(50_000, -1).T) - np.eye(8)).max() < 0.02


@pytest.mark.parametrize("convention", sampling.CONVENTIONS)
def test_temperature_conventions_agree_at_one_and_are_greedy_at_zero(convention):
    assert sampling.heat(1, convention) == sampling.Heat(1.0, 1.0)
    assert sampling.heat(0, convention) == sampling.Heat(0.0, 0.0)


def test_temperature_conventions_follow_their_formulas():
    assert sampling.heat(0.25, "paper") == sampling.Heat(0.25, 0.5)
    assert sampling.heat(0.25, "magenta") == sampling.Heat(0.25, 0.25)
    assert sampling.heat(0.25, "js") == sampling.Heat(0.625, 0.5)
    assert sampling.heat(0.25) == sampling.heat(0.25, "js")


@pytest.mark.parametrize("temperature", [-0.1, math.nan, math.inf, "warm", None, True])
def test_a_bad_temperature_is_refused_with_the_legal_range(temperature):
    with pytest.raises(ControlError, match="at least 0"):
        sampling.heat(temperature)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "7", True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ControlError, match=r"seed .* expected a whole number"):
        sampling.checked_seed(seed)


def test_choice_frequencies_follow_the_softmax():
    logits, divisor = np.array([0.3, -1.0, 2.0, 0.0]), 0.7
    u = sampling.uniforms(4, np.arange(100_000), 0, 0)[:, 0]
    counts = np.bincount(sampling.choose(np.broadcast_to(logits, (100_000, 4)), np.full(100_000, divisor), u)) / 1e5
    expected = np.exp(logits / divisor) / np.exp(logits / divisor).sum()
    assert np.abs(counts - expected).max() < 0.006


def test_samples_have_the_mixture_component_mean_deviation_and_correlation():
    head = np.zeros(9)
    head[3:] = [0.0, 1.5, -2.0, math.log(0.5), math.log(2.0), math.atanh(0.6)]
    u = sampling.uniforms(5, np.arange(200_000), 0, 0)
    choice = sampling.sample(np.broadcast_to(head, (200_000, 9)), 1.0, 0.5, u)
    assert choice.dx.mean() == pytest.approx(1.5, abs=0.005)
    assert choice.dy.mean() == pytest.approx(-2.0, abs=0.02)
    assert choice.dx.std() == pytest.approx(0.25, rel=0.02)
    assert choice.dy.std() == pytest.approx(1.0, rel=0.02)
    assert np.corrcoef(choice.dx, choice.dy)[0, 1] == pytest.approx(0.6, abs=0.01)


def test_greedy_takes_the_likeliest_component_its_mean_and_the_likeliest_pen():
    head = np.array([0.1, 3.0, -1.0, 0.0, 5.0, 10.0, 11.0, 20.0, 21.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5])
    choice = sampling.sample(head, 0.0, 0.0, np.array([0.01, 0.99, 0.3, 0.3]))
    assert (int(choice.component), float(choice.dx), float(choice.dy), int(choice.pen)) == (1, 11.0, 21.0, 1)


extreme = st.floats(-1e30, 1e30) | st.sampled_from([-3e38, 3e38, math.inf, -math.inf, 0.0])


@settings(max_examples=300)
@given(
    head=arrays(np.float64, 3 + 6 * 4, elements=extreme),
    u=arrays(np.float64, 4, elements=st.sampled_from([2.0**-24, 0.25, 0.5, 0.99, 1 - 2.0**-24])),
    temperature=st.sampled_from([0.0, 1e-300, 1e-3, 0.65, 1.0, 50.0]),
)
def test_no_logits_however_extreme_give_nan(head, u, temperature):
    head = head.copy()
    head[7:15] = np.clip(head[7:15], -1e6, 1e6)  # the means themselves are passed on as they are
    heat = sampling.heat(temperature)
    choice = sampling.sample(head, heat.divisor, heat.spread, u)
    assert 0 <= choice.component < 4
    assert 0 <= choice.pen < 3
    assert np.isfinite([choice.dx, choice.dy]).all()
    assert not np.isnan(sampling.log_softmax(head[:3])).any()
    assert not np.isnan(sampling.nats(head, 0.1, 0.2, 0)[0])


def test_nats_equal_the_textbook_density():
    rng = np.random.default_rng(3)
    head = rng.normal(size=(50, 3 + 6 * 5))
    dx, dy, pen = rng.normal(size=50), rng.normal(size=50), rng.integers(0, 3, 50)
    offset, pens = sampling.nats(head, dx, dy, pen)
    for row, x, y, p, got_offset, got_pen in zip(head, dx, dy, pen, offset, pens, strict=True):
        pi, mx, my, sx, sy, r = row[3:].reshape(6, 5)
        weight, sx, sy, rho = np.exp(pi) / np.exp(pi).sum(), np.exp(sx), np.exp(sy), np.tanh(r)
        z = ((x - mx) / sx) ** 2 + ((y - my) / sy) ** 2 - 2 * rho * (x - mx) * (y - my) / (sx * sy)
        normal = np.exp(-z / (2 * (1 - rho**2))) / (2 * np.pi * sx * sy * np.sqrt(1 - rho**2))
        assert got_offset == pytest.approx(-math.log((weight * normal).sum()), abs=1e-9)
        assert got_pen == pytest.approx(-math.log(np.exp(row[p]) / np.exp(row[:3]).sum()), abs=1e-9)


def test_the_density_integrates_to_one():
    head = np.random.default_rng(8).normal(size=3 + 6 * 3) * 0.5
    axis = np.linspace(-12, 12, 601)
    offset, _ = sampling.nats(
        np.broadcast_to(head, (601, 601, 21)), axis[:, None], axis[None, :], np.zeros((601, 601), int)
    )
    assert np.exp(-offset).sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-3)


def test_tie_margin_is_the_distance_to_the_nearest_boundary():
    assert sampling.tie_margin(np.log([0.25, 0.5, 0.25]), 1.0, 0.26) == pytest.approx(0.01)


def test_deviations_are_held_within_e_to_the_60():
    head = np.zeros(9)
    head[3 + 3 : 3 + 5] = 1e6
    u = np.array([0.5, 0.5, 0.25, 0.0625])
    choice = sampling.sample(head, 1.0, 1.0, u)
    radius = math.sqrt(-2 * math.log(0.25))
    assert float(choice.dy) == pytest.approx(math.exp(60) * radius * math.sin(math.pi / 8))
    assert np.isfinite(np.float32(choice.dy))


@pytest.mark.parametrize("temperature", [1e-320, 1e-300, 1e-10, 1e300])
def test_temperatures_at_the_edge_of_numbers_are_quiet(temperature):
    head = np.random.default_rng(1).normal(size=21)
    for convention in sampling.CONVENTIONS:
        ready = sampling.heat(temperature, convention)
        choice = sampling.sample(head, ready.divisor, ready.spread, np.full(4, 0.4))
        assert 0 <= choice.component < 3
