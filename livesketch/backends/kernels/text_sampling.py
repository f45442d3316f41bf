"""Which token is drawn, from float32 logits in float64, as ``livesketch.token_sampling`` defines it.

Scratch: work (4, W): the scores; the scores less the largest over the temperature; weights; scores without a bias. They
are -inf behind V. lanes (2, LANES).
"""

import math
from typing import Any

import numpy as np

from ...sampling import LOGIT_LIMIT
from ...token_sampling import END, LEAST_MASS, MASS_LIMIT, SOFTENED, UNK
from .common import compiled
from .sampling import philox
from .text_cut import pick, truncated
from .text_weights import FLOOR, HUGE, INF, likeliest, totals, weighed

_SOFTENED, _NOTHING, _NIL = np.float32(SOFTENED), np.float32(-INF), np.float32(0)


@compiled(inline="always")
def _held(logit: Any) -> Any:
    return min(LOGIT_LIMIT, max(-LOGIT_LIMIT, np.float64(logit)))  # in this order a NaN becomes the least


@compiled()
def _scored(logits: Any, count: Any, unknown: Any, scores: Any) -> None:
    """The logits within their limits, of V tokens; -inf for UNK unless it may be drawn."""
    for k in range(count):
        scores[k] = _held(logits[k])
    scores[UNK] = scores[UNK] if unknown else -INF


@compiled()
def _scored_with(logits: Any, bias: Any, unknown: Any, scores: Any, plain: Any) -> Any:
    """``_scored`` with a bias (V,) and without; how many tokens it changes but not forbids, and how many it helps."""
    changed, helped = 0, 0
    for k in range(bias.shape[0]):
        value = _held(logits[k])
        plain[k] = value
        scores[k] = value + np.float64(bias[k])
        changed += 1 if bias[k] != 0 and bias[k] > -INF else 0
        helped += 1 if bias[k] > 0 else 0
    if not unknown:
        scores[UNK], plain[UNK] = -INF, -INF
    return changed, helped


@compiled(inline="always")
def _masked(count: Any, divisor: Any, top: Any, work: Any, lanes: Any) -> Any:
    """Weighs scores that a bias made by forbidding; returns the sum of what the weights are without it."""
    scores, tempered, weights = work[0], work[1], work[2]
    weighed(work[3], top, divisor, tempered, weights)
    whole, _ = totals(weights, tempered, lanes)
    for k in range(count):
        score, weight, value = scores[k], weights[k], tempered[k]  # all read before a choice: no branches then
        weights[k] = weight if score > -INF else 0.0
        tempered[k] = value if score > -INF else FLOOR
    return whole


@compiled()
def _share(bias: Any, divisor: Any, work: Any, lanes: Any) -> Any:
    """The share of probability that a bias (V,) leaves which also helps tokens: of what it takes alone."""
    tempered, weights, scores = work[1], work[2], work[3]
    top = scores[likeliest(scores, lanes[0])]
    weighed(scores, top, divisor, tempered, weights)
    whole, _ = totals(weights, tempered, lanes)
    for k in range(bias.shape[0]):
        scores[k] += min(np.float64(bias[k]), 0.0)
    weighed(scores, top, divisor, tempered, weights)
    left, _ = totals(weights, tempered, lanes)
    return left / whole


@compiled()
def _free(logits: Any, count: Any, unknown: Any, divisor: Any, work: Any, lanes: Any) -> Any:
    """Scores and weighs the V tokens without a bias: the likeliest, the mass (1), and ``totals`` of the weights."""
    _scored(logits, count, unknown, work[0])
    best = likeliest(work[0], lanes[0])
    weighed(work[0], work[0, best], divisor, work[1], work[2])
    total, product = totals(work[2], work[1], lanes)
    return best, 1.0, total, product


@compiled()
def _under(logits: Any, bias: Any, unknown: Any, divisor: Any, work: Any, lanes: Any) -> Any:
    """``_free`` under a bias (V,), with the mass that it leaves; 0 where it forbids everything."""
    changed, helped = _scored_with(logits, bias, unknown, work[0], work[3])
    best = likeliest(work[0], lanes[0])
    top = work[0, best]
    if top == -INF:
        return best, 0.0, 0.0, 0.0
    if changed == 0:
        whole = _masked(bias.shape[0], divisor, top, work, lanes)
        total, product = totals(work[2], work[1], lanes)
        if whole < HUGE:
            return best, max(total / whole, MASS_LIMIT), total, product
    if helped:
        mass = _share(bias, divisor, work, lanes)
        weighed(work[0], top, divisor, work[1], work[2])
        total, product = totals(work[2], work[1], lanes)
        return best, max(mass, MASS_LIMIT), total, product
    most = work[3, likeliest(work[3], lanes[0])]
    weighed(work[3], most, divisor, work[1], work[2])
    whole, _ = totals(work[2], work[1], lanes)
    weighed(work[0], top, divisor, work[1], work[2])
    total, product = totals(work[2], work[1], lanes)
    return best, max(total * math.exp(max((top - most) / divisor, FLOOR)) / whole, MASS_LIMIT), total, product


@compiled()
def _both(hard: Any, soft: Any, least: Any, out: Any) -> None:
    """Two biases as one, of which the soft one is held above ``least``; (V,) each, float32."""
    for k in range(out.shape[0]):
        out[k] = hard[k] + max(least, soft[k])


@compiled()
def _scored_under(logits: Any, masks: Any, unknown: Any, scores: Any, plain: Any) -> None:
    """``_scored`` under two masks (2, V), and without."""
    hard, soft = masks[0], masks[1]
    for k in range(hard.shape[0]):
        value = _held(logits[k])
        plain[k] = value
        scores[k] = value if hard[k] & soft[k] else -INF
    if not unknown:
        scores[UNK], plain[UNK] = -INF, -INF


@compiled()
def _masked_under(logits: Any, masks: Any, rare: Any, own: Any, divisor: Any, work: Any, lanes: Any) -> Any:
    """``_under`` two masks (2, V) and the rare tokens: one exponential a token."""
    _scored_under(logits, masks, own["unknown"], work[0], work[3])
    for i in range(own["rare"]):
        work[0, rare[i]] -= own["lost"]
    best = likeliest(work[0], lanes[0])
    top = work[0, best]
    if top == -INF:
        return best, 0.0, 0.0, 0.0
    whole = _masked(masks.shape[1], divisor, top, work, lanes)
    for i in range(own["rare"]):
        x = max((work[0, rare[i]] - top) / divisor, FLOOR)
        work[1, rare[i]], work[2, rare[i]] = x, math.exp(x) if x > FLOOR else 0.0
    total, product = totals(work[2], work[1], lanes)
    return best, max(total / whole, MASS_LIMIT) if whole < HUGE else 0.0, total, product


@compiled()
def _unmasked(masks: Any, rare: Any, own: Any, least: Any, out: Any) -> None:
    """Two masks (2, V) and the rare tokens as one bias (V,), float32, of which the soft one is held above ``least``."""
    hard, soft = masks[0], masks[1]
    for k in range(out.shape[0]):
        out[k] = _NOTHING if hard[k] == 0 else _NIL if soft[k] else least
    for i in range(own["rare"]):
        if soft[rare[i]] and hard[rare[i]]:
            out[rare[i]] = max(np.float32(-own["lost"]), least)


@compiled(inline="always")
def _take(writer: Any, action: Any, token: Any, max_steps: Any) -> None:
    """The token becomes the voice's next input; all of its record but what it was drawn from."""
    ended = token == END
    last = ended or writer["step"] + 1 >= max_steps
    action["piece"], action["step"], action["token"] = writer["piece"], writer["step"], token
    action["last"], action["ended"] = last, ended
    writer["token"], writer["done"] = token, last
    writer["step"] += 1


@compiled(inline="always")
def _drawn(settings: Any, token: Any, u: Any, best: Any, total: Any, product: Any, work: Any, lanes: Any, order: Any,
           counts: Any, sums: Any) -> Any:  # fmt: skip
    """The token, drawn at u where it is not given, with its log probability and the entropy.

    work holds the scores, the scores less the largest over the temperature, and the weights; total and product are
    ``totals`` of the last two.
    """
    scores, tempered, weights = work[0], work[1], work[2]
    if settings["divisor"] == 0.0:
        return (best, 0.0, 0.0) if token < 0 or token == best else (token, -INF, 0.0)
    if settings["top_k"] > 0 or settings["top_p"] < 1.0 or settings["min_p"] > 0.0:
        truncated(scores, tempered, weights, settings, total, order, counts, sums)
        total, product = totals(weights, tempered, lanes)
    if token < 0:
        token = pick(weights, u * total)
    log_prob = (scores[token] - scores[best]) / settings["divisor"] - math.log(total)
    return token, log_prob, max(math.log(total) - product / total, 0.0)


@compiled()
def act(writers: Any, logits: Any, hard: Any, soft: Any, masks: Any, rare: Any, settings: Any, override: Any,
        given: Any, actions: Any, work: Any, lanes: Any, order: Any, counts: Any, sums: Any, both: Any, max_steps: Any,
        count: Any) -> None:  # fmt: skip
    """One token for every voice: drawn, or the one that is given, under the settings without a bias.

    Voices: writers, settings and actions (N,) records, logits (N, W), hard and soft (N, V) or (0, V), masks (N, 2, V)
    or (0, 2, V), rare (N, RARE), override (N,), or (0,) for Philox, given (N,), -1 where a token is to be drawn.
    Scratch: work and lanes; order (W,); counts and sums (BUCKETS,); both (V,).
    """
    for n in range(writers.shape[0]):
        own, writer, u, softened = settings[n], writers[n], 0.0, False
        divisor = own["divisor"] if own["divisor"] > 0.0 else 1.0
        if given[n] >= 0 or not own["biased"]:
            best, mass, total, product = _free(logits[n], both.shape[0], own["unknown"], divisor, work, lanes)
        elif own["masked"]:
            best, mass, total, product = _masked_under(logits[n], masks[n], rare[n], own, divisor, work, lanes)
            softened = own["soft"] and mass < LEAST_MASS
            if softened or mass == 0.0:
                _unmasked(masks[n], rare[n], own, _SOFTENED if softened else _NOTHING, both)
                best, mass, total, product = _under(logits[n], both, own["unknown"], divisor, work, lanes)
        elif not own["soft"]:
            best, mass, total, product = _under(logits[n], hard[n], own["unknown"], divisor, work, lanes)
        else:
            _both(hard[n], soft[n], _NOTHING, both)
            best, mass, total, product = _under(logits[n], both, own["unknown"], divisor, work, lanes)
            if mass < LEAST_MASS:
                softened = True
                _both(hard[n], soft[n], _SOFTENED, both)
                best, mass, total, product = _under(logits[n], both, own["unknown"], divisor, work, lanes)
        if override.shape[0]:
            u = override[n]
        else:
            u = philox(writer["step"], writer["voice"], writer["piece"], writer["key_low"], writer["key_high"])[0]
        token, log_prob, entropy = _drawn(own, given[n], u, best, total, product, work, lanes, order, counts, sums)
        actions[n]["log_prob"], actions[n]["entropy"], actions[n]["mass"] = log_prob, entropy, mass
        actions[n]["softened"], actions[n]["given"] = softened, given[n] >= 0
        _take(writer, actions[n], token, max_steps)
    count[0] += 1
