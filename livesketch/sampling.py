"""Chance and choice: what is drawn, given a model's outputs, a temperature and four uniform numbers.

Pure functions on NumPy arrays of any leading shape, in float64: the definition that every backend follows.

Randomness is counter-based (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox 4x32-10): a
number depends only on the seed and on (step, voice, drawing, use), so that pausing, rewinding, or other voices cannot
change it. The mixture density is Sketch-RNN's (Ha & Eck 2017, section 3.2; Graves 2013, eq. 24-25).
"""

import itertools
import math
import secrets
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ControlError
from .values import real, whole

Floats: TypeAlias = NDArray[np.float64]
Convention: TypeAlias = Literal["paper", "magenta", "js"]

CONVENTIONS: Final[tuple[Convention, ...]] = get_args(Convention)
USE_PEN: Final = 0
"""The ``use`` word of the counter for pen actions; other uses of the same seed take other words."""
LOG_SIGMA_LIMIT: Final = 60.0
"""Logarithms of standard deviations are held within this: e^60 is still finite in float32."""
LOGIT_LIMIT: Final = 1e30

_PHILOX_M = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_PHILOX_W = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


def philox4x32(counter: ArrayLike, key: ArrayLike) -> NDArray[np.uint32]:
    """Philox 4x32-10: words (..., 4) for counters (..., 4) and keys (..., 2), all uint32.

    >>> [f"{word:08x}" for word in philox4x32([0, 0, 0, 0], [0, 0])]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c = [np.asarray(counter, np.uint32)[..., i].astype(np.uint64) for i in range(4)]
    k = [np.asarray(key, np.uint32)[..., i] for i in range(2)]
    for turn in range(10):
        if turn:
            with np.errstate(over="ignore"):
                k = [word + bump for word, bump in zip(k, _PHILOX_W, strict=True)]
        product0, product1 = c[0] * _PHILOX_M[0], c[2] * _PHILOX_M[1]
        c = [(product1 >> _HIGH) ^ c[1] ^ k[0], product1 & _LOW, (product0 >> _HIGH) ^ c[3] ^ k[1], product0 & _LOW]
    return np.stack(np.broadcast_arrays(*c), -1).astype(np.uint32)


def uniforms(seed: int, step: ArrayLike, voice: ArrayLike, drawing: ArrayLike, use: int = USE_PEN) -> Floats:
    """Uniform numbers (..., 4) in the order mixture, pen, radius, angle.

    u = ((word >> 9) + 0.5) / 2^23: exact in float32, and never 0 or 1. Counter words are taken modulo 2^32.
    """
    words = np.broadcast_arrays(*(np.asarray(word, np.int64) & 0xFFFFFFFF for word in (step, voice, drawing, use)))
    out = philox4x32(np.stack(words, -1), seed_words(seed))
    return np.asarray(((out >> np.uint32(9)) + 0.5) * 2.0**-23, np.float64)


def seed_words(seed: int) -> tuple[int, int]:
    """The Philox key of a 64-bit seed: (low word, high word)."""
    return seed & 0xFFFFFFFF, seed >> 32


def checked_seed(seed: int | None) -> int:
    """The seed itself, or a fresh 64-bit one for None.

    Raises:
        ControlError: not a whole number in 0 … 2^64 - 1.
    """
    if seed is None:
        return secrets.randbits(64)
    return whole("seed", seed, 0, 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Heat:
    """A temperature made ready for sampling."""

    divisor: float
    """Mixture and pen logits are divided by it; 0 means greedy."""
    spread: float
    """Standard deviations are multiplied by it."""


def heat(temperature: float, convention: Convention = "js") -> Heat:
    """What a temperature means under one of the three conventions in use; exactly 0 is greedy in all of them.

    ``paper`` (Ha & Eck 2017, section 3.3): logits / T, sigma * sqrt(T). ``magenta`` (magenta/magenta
    ``sketch_rnn/model.py`` sample): logits / T, sigma * T. ``js`` (magenta/magenta-demos sketch-rnn-js and magenta-js):
    logits / (0.5 + 0.5 T), sigma * sqrt(T). All agree at 1.

    >>> heat(0.25, "paper"), heat(0.25, "magenta"), heat(0.25, "js")
    (Heat(divisor=0.25, spread=0.5), Heat(divisor=0.25, spread=0.25), Heat(divisor=0.625, spread=0.5))

    Raises:
        ControlError: the temperature is not a finite number of at least 0, or the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise ControlError(f"convention {convention!r}: expected one of {', '.join(CONVENTIONS)}")
    wanted = "a number of at least 0; try 0.2 (tame) to 1.2 (wild)"
    value = real("temperature", temperature, wanted)
    if not 0 <= value < math.inf:
        raise ControlError(f"temperature {temperature!r}: expected {wanted}")
    if value == 0:
        return Heat(0.0, 0.0)
    if convention == "js":
        return Heat(0.5 + 0.5 * value, math.sqrt(value))
    return Heat(value, value if convention == "magenta" else math.sqrt(value))


@dataclass(frozen=True, slots=True)
class Mixture:
    """The head's outputs by name: views into (..., 3 + 6M)."""

    pen: Floats
    """Logits of DOWN, UP, END, shape (..., 3)."""
    weight: Floats
    """Logits of the M components; the five below have the same shape (..., M), in model units."""
    mu_x: Floats
    mu_y: Floats
    log_sigma_x: Floats
    log_sigma_y: Floats
    correlation: Floats
    """Before tanh."""


def split_head(head: NDArray[Any]) -> Mixture:
    """Names for a head's outputs, shape (..., 3 + 6M): pen 3, weights M, mu_x, mu_y, log sigma x and y, correlation."""
    components = (head.shape[-1] - 3) // 6
    assert components >= 1
    assert head.shape[-1] == 3 + 6 * components
    edges = [3 + i * components for i in range(7)]
    return Mixture(head[..., :3], *(head[..., a:b] for a, b in itertools.pairwise(edges)))


def log_softmax(logits: NDArray[Any]) -> Floats:
    """Normalised log probabilities over the last axis; finite or -inf for any logits but NaN."""
    bounded = np.clip(np.asarray(logits, np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)
    shifted = bounded - bounded.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float64)


def cumulative(logits: NDArray[Any], divisor: ArrayLike) -> Floats:
    """Cumulative weights over the last axis, not normalised: the sum of exp((logit - largest) / divisor)."""
    bounded = np.clip(np.asarray(logits, np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)
    with np.errstate(over="ignore"):  # a temperature near 0: weight 0, which is what is meant
        scaled = (bounded - bounded.max(-1, keepdims=True)) / np.asarray(divisor, np.float64)[..., None]
    return np.asarray(np.exp(scaled).cumsum(-1), np.float64)


def choose(logits: NDArray[Any], divisor: ArrayLike, u: ArrayLike) -> NDArray[np.int64]:
    """Index by inverse CDF: the first whose cumulative weight reaches u; the likeliest where the divisor is 0."""
    divisor = np.asarray(divisor, np.float64)
    greedy = divisor == 0
    sums = cumulative(logits, np.where(greedy, 1.0, divisor))
    index = (sums < np.asarray(u)[..., None] * sums[..., -1:]).sum(-1)
    return np.asarray(np.where(greedy, np.argmax(logits, -1), np.minimum(index, sums.shape[-1] - 1)), np.int64)


def tie_margin(logits: NDArray[Any], divisor: ArrayLike, u: ArrayLike) -> Floats:
    """How far u is from the nearest boundary between two choices, as probability: small means a near-tie."""
    sums = cumulative(logits, divisor)
    inner = sums[..., :-1] / sums[..., -1:]
    return np.asarray(np.abs(inner - np.asarray(u)[..., None]).min(-1), np.float64)


def log_sech2(x: NDArray[Any]) -> Floats:
    """log(1 - tanh(x)^2) without cancellation; at least -600, where tanh(x) has long been 1."""
    size = np.minimum(np.abs(np.asarray(x, np.float64)), 300.0)
    return np.asarray(2 * (math.log(2) - size - np.log1p(np.exp(-2 * size))), np.float64)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was sampled, each of the leading shape; offsets in model units."""

    component: NDArray[np.int64]
    pen: NDArray[np.int64]
    dx: Floats
    dy: Floats


def sample(head: NDArray[Any], divisor: ArrayLike, spread: ArrayLike, u: NDArray[Any]) -> Choice:
    """One pen action from the head's outputs (..., 3 + 6M) and uniforms (..., 4) (mixture, pen, radius, angle).

    Box-Muller gives two normals z1, z2 from radius and angle; dx = mu_x + s_x (sqrt(1 - r^2) z1 + r z2),
    dy = mu_y + s_y z2 (sketch-rnn-js ``sample``). A spread of 0 gives the component's mean.
    """
    parts = split_head(np.asarray(head, np.float64))
    component = choose(parts.weight, divisor, u[..., 0])
    pen = choose(parts.pen, divisor, u[..., 1])

    def pick(values: Floats) -> Floats:
        return np.asarray(np.take_along_axis(values, component[..., None], -1)[..., 0], np.float64)

    sigma_x, sigma_y = (
        np.exp(np.clip(pick(values), -LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT)) * spread
        for values in (parts.log_sigma_x, parts.log_sigma_y)
    )
    raw = pick(parts.correlation)
    radius, angle = np.sqrt(-2 * np.log(u[..., 2])), 2 * math.pi * u[..., 3]
    z1, z2 = radius * np.cos(angle), radius * np.sin(angle)
    dx = pick(parts.mu_x) + sigma_x * (np.exp(0.5 * log_sech2(raw)) * z1 + np.tanh(raw) * z2)
    return Choice(component, pen, dx, pick(parts.mu_y) + sigma_y * z2)


def nats(head: NDArray[Any], dx: ArrayLike, dy: ArrayLike, pen: ArrayLike) -> tuple[Floats, Floats]:
    """Negative log density of an offset (model units) and of a pen state, temperature 1, each of the leading shape."""
    parts = split_head(np.asarray(head, np.float64))
    pen_nats = -np.take_along_axis(log_softmax(parts.pen), np.asarray(pen, np.int64)[..., None], -1)[..., 0]
    log_x, log_y = (np.clip(v, -LOG_SIGMA_LIMIT, LOG_SIGMA_LIMIT) for v in (parts.log_sigma_x, parts.log_sigma_y))
    zx = (np.asarray(dx, np.float64)[..., None] - parts.mu_x) * np.exp(-log_x)
    zy = (np.asarray(dy, np.float64)[..., None] - parts.mu_y) * np.exp(-log_y)
    free = log_sech2(parts.correlation)
    rho = np.tanh(parts.correlation)
    with np.errstate(over="ignore"):  # hopelessly unlikely, which is not the same as NaN
        quadratic = np.minimum(((zx - rho * zy) ** 2 * np.exp(-free) + zy**2) / 2, 1e300)
    density = -quadratic - log_x - log_y - 0.5 * free - math.log(2 * math.pi) + log_softmax(parts.weight)
    top = density.max(-1, keepdims=True)
    total = top[..., 0] + np.log(np.exp(density - top).sum(-1))
    return np.asarray(-total, np.float64), np.asarray(pen_nats, np.float64)
