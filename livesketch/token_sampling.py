"""Which token is drawn, given a model's logits, a bias, settings and one uniform number: the definition.

Pure functions on NumPy arrays (V,), in float64, that every backend follows. Temperature divides the logits; top_k (Fan
et al. 2018), top_p (the nucleus, Holtzman et al. 2020) and min_p (Nguyen et al. 2024) each keep a share of the same
tempered distribution, likeliest first, so their order does not matter: what is drawn is what all three keep.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ControlError
from .sampling import LOGIT_LIMIT, Floats
from .values import real, whole

Mode: TypeAlias = Literal["conservative", "normal", "open"]

MODES: Final[dict[Mode, float]] = {"conservative": 0.6, "normal": 1.0, "open": 1.4}
"""Temperatures by name: entropy grows from conservative to open."""

END: Final = 0
"""The symbol of every vocabulary that ends a piece; also the first input of each piece."""

UNK: Final = 1
"""The symbol that stands for those not in the vocabulary; never drawn unless asked for."""

MASS_LIMIT: Final = 2.0**-1022
"""The least mass that is said, so that its logarithm is finite."""

LEAST_MASS: Final = 1e-4
"""Share of probability that a hard and a soft bias together must leave; below it the soft one yields."""

SOFTENED: Final = -8.0
"""What a soft bias is then held above, nats: e^-8 is 3 in 10,000."""

_MOST: Final = 2**31


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How a voice draws its tokens.

    Raises:
        ControlError: a value out of its range, which the message says.
    """

    divisor: float = 1.0
    """The temperature, by which logits are divided: 0 (the likeliest, of equals the first) and up."""
    top_k: int = 0
    """Only so many of the likeliest; 0 for all."""
    top_p: float = 1.0
    """Only the fewest of the likeliest that hold this share, above 0; 1 for all."""
    min_p: float = 0.0
    """Only what has at least this share of the likeliest's probability, 0 (for all) to 1."""
    unknown: bool = False
    """Whether UNK may be drawn."""

    def __post_init__(self) -> None:
        wanted = "a number of at least 0; try 0.6 (conservative) to 1.4 (open)"
        divisor = real("temperature", self.divisor, wanted)
        if not 0 <= divisor < math.inf:
            raise ControlError(f"temperature {self.divisor!r}: expected {wanted}")
        wanted = "a number above 0, up to 1, where 1 keeps all; try 0.9"
        top_p = real("top_p", self.top_p, wanted)
        if not 0 < top_p <= 1:
            raise ControlError(f"top_p {self.top_p!r}: expected {wanted}")
        wanted = "a number from 0, which keeps all, to 1; try 0.05"
        min_p = real("min_p", self.min_p, wanted)
        if not 0 <= min_p <= 1:
            raise ControlError(f"min_p {self.min_p!r}: expected {wanted}")
        if not isinstance(self.unknown, bool | np.bool_):
            raise ControlError(f"unknown {self.unknown!r:.60}: expected True or False")
        kept = {"divisor": divisor, "top_k": whole("top_k", self.top_k, 0, _MOST), "top_p": top_p, "min_p": min_p}
        for name, value in kept.items():
            object.__setattr__(self, name, value)


PLAIN: Final = TextSettings()
"""Temperature 1, all kept, no UNK."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a token is drawn from."""

    log_probs: Floats
    """(V,), nats; -inf for what is not kept."""
    weights: Floats
    """(V,), probabilities before they are divided by their sum."""
    entropy: float
    """Nats."""
    mass: float
    """The share of the tempered distribution, before anything is cut, that the bias left: 1 without one.

    Only what a bias takes counts, not what it adds. At temperature 0 the share is of the distribution at temperature 1.
    """


def distribution(
    logits: NDArray[Any], bias: NDArray[Any] | None = None, settings: TextSettings = PLAIN
) -> Distribution:
    """The distribution of the next token.

    Args:
        logits: (V,), any numbers; they are held within ±``sampling.LOGIT_LIMIT``, and a NaN counts as the least.
        bias: (V,), nats added to the logits before they are divided by the temperature; -inf forbids.
        settings: of the voice.

    Raises:
        ControlError: the bias forbids every token, or holds a NaN or +inf.
    """
    values = np.nan_to_num(np.asarray(logits, np.float64), nan=-LOGIT_LIMIT)
    values = np.clip(values, -LOGIT_LIMIT, LOGIT_LIMIT)
    values[UNK] = values[UNK] if settings.unknown else -math.inf
    scores = values
    if bias is not None:
        check_bias(bias, unknown=settings.unknown)
        scores = values + np.asarray(bias, np.float64)
    kept = _kept(scores, settings)
    tempered = _tempered(scores, settings.divisor) if settings.divisor else np.zeros(len(scores))
    weights = np.where(kept, np.exp(tempered), 0.0)
    total = float(weights.cumsum()[-1])
    alive = weights > 0
    entropy = math.log(total) - float((weights[alive] * tempered[alive]).sum()) / total
    log_probs = np.where(kept, tempered - math.log(total), -math.inf)
    return Distribution(log_probs, weights, max(entropy, 0.0), _mass(values, bias, settings.divisor))


def held(
    logits: NDArray[Any], hard: NDArray[Any] | None, soft: NDArray[Any] | None, settings: TextSettings = PLAIN
) -> tuple[Distribution, bool]:
    """The distribution under a bias that must be kept and one that may yield, and whether that one yielded.

    Args:
        logits: (V,).
        hard: (V,), as ``distribution`` takes a bias; None for none.
        soft: (V,), numbers up to 0 that are added to it. Where both leave less than ``LEAST_MASS``, it is held above
            ``SOFTENED``.
        settings: of the voice.
    """
    if hard is None or soft is None:
        return distribution(logits, hard, settings), False
    both = hard + soft
    usable = both[END] > -math.inf or both[UNK if settings.unknown else UNK + 1 :].max() > -math.inf
    if usable:
        found = distribution(logits, both, settings)
        if found.mass >= LEAST_MASS:
            return found, False
    return distribution(logits, hard + np.maximum(soft, np.float32(SOFTENED)), settings), True


def soft_row(
    common: NDArray[np.float32] | None, rare: Sequence[int], lost: float, tokens: int
) -> NDArray[np.float32] | None:
    """A soft bias (V,) of a row and a few tokens that lose ``lost`` nats besides; None where there is neither.

    ``tokens`` is V.
    """
    if not len(rare):
        return common
    row = np.zeros(tokens, np.float32) if common is None else common.copy()
    row[[*rare]] -= np.float32(lost)
    return row


def check_soft(soft: NDArray[Any]) -> None:
    """Refuses a soft bias (V,) with a NaN or a number above 0.

    Raises:
        ControlError: as said.
    """
    if not float(soft.max()) <= 0:
        raise ControlError("a soft bias with NaN or a number above 0; expected numbers of nats up to 0")


def check_bias(bias: NDArray[Any], *, unknown: bool) -> None:
    """Refuses a bias (V,) with a NaN or +inf, and one that leaves nothing to draw.

    Raises:
        ControlError: as said.
    """
    most, end, unk = float(bias[UNK + 1 :].max()), float(bias[END]), float(bias[UNK])  # one pass: it is done live
    if math.isnan(most + end + unk) or math.inf in {most, end, unk}:
        raise ControlError("a bias with NaN or +inf; expected numbers of nats, and -inf for what is forbidden")
    if max(most, end, unk if unknown else -math.inf) == -math.inf:
        raise ControlError(
            "the constraints forbid every token; expected at least one that is left: see which of them contradict each "
            "other, or let END be one of what they allow"
        )


def _tempered(scores: Floats, divisor: float) -> Floats:
    """Logits less the largest, over the temperature: 0 for the likeliest, and -inf stays."""
    with np.errstate(over="ignore"):  # a temperature near 0: weight 0, which is what is meant
        return np.asarray((scores - scores.max()) / divisor, np.float64)


def _kept(scores: Floats, settings: TextSettings) -> NDArray[np.bool_]:
    """Which tokens (V,) the settings keep."""
    kept = scores > -math.inf
    if settings.divisor == 0:
        kept[:] = False
        kept[np.argmax(scores)] = True
        return kept
    weights = np.exp(_tempered(scores, settings.divisor))
    order = np.argsort(-scores, kind="stable")  # likeliest first, of equals the lower index
    if settings.top_k:
        kept[order[settings.top_k :]] = False
    if settings.top_p < 1:
        sums = weights[order].cumsum()
        kept[order[int((sums < settings.top_p * sums[-1]).sum()) + 1 :]] = False
    return np.asarray(kept & (weights >= settings.min_p))


def _mass(values: Floats, bias: NDArray[Any] | None, divisor: float) -> float:
    if bias is None:
        return 1.0
    tempered = _tempered(values, divisor or 1.0)
    with np.errstate(over="ignore"):
        taken = np.minimum(np.asarray(bias, np.float64), 0.0) / (divisor or 1.0)
    share = float(np.exp(tempered + taken).sum() / np.exp(tempered).sum())
    return max(share, MASS_LIMIT)


def choose(drawn_from: Distribution, u: float) -> int:
    """The token at u, 0 < u < 1: the first, in the vocabulary's order, at which the summed weights reach u of all."""
    sums = drawn_from.weights.cumsum()
    return min(int((sums < u * sums[-1]).sum()), len(sums) - 1)


def tie_margin(drawn_from: Distribution, u: float) -> float:
    """How far u is from the nearest boundary between two tokens, as probability: small means a near-tie."""
    sums = drawn_from.weights.cumsum()
    inner = sums[:-1] / sums[-1]
    return float(np.abs(inner - u).min())
