"""Which token is drawn, from float32 logits in float64, as ``livesketch.token_sampling`` defines it.

Scratch: work (4, W): the scores; the scores less the largest over the temperature; weights; scores without a bias. They
are -inf behind V. lanes (2, LANES).
"""

import math
from typing import Any

import numpy as np

from ...sampling import LOGIT_LIMIT
from ...token_sampling import END, LEAST_MASS, MASS_LIMIT, SOFTENED, UNK
from .common import compiled, inner
from .sampling import philox
from .text_cut import pick, truncated
from .text_weights import FLOOR, HUGE, INF, likeliest, totals, weighed

_SOFTENED, _NOTHING, _NIL = np.float32(SOFTENED), np.float32(-INF), np.float32(0)


@inner()
def _held(logit: Any) -> Any:
    value: Any = np.float64(logit)
    value = value if value >= -LOGIT_LIMIT else -LOGIT_LIMIT  # in this order a NaN becomes the least
    return value if value < LOGIT_LIMIT else LOGIT_LIMIT


@inner()
def _under(logits: Any, n: Any, bias: Any, masks: Any, masked: Any, rare: Any, own: Any, divisor: Any, scores: Any,
           tempered: Any, weights: Any, plain: Any, lanes: Any) -> Any:  # fmt: skip
    """Voice n's tokens are scored and weighed under a bias (V,), or under its masks and rare tokens where ``masked``.

    Gives the likeliest, the mass that is left, and ``totals`` of the weights. The mass is 0 where all is forbidden;
    where a bias also helps tokens, it is what would be left by what it takes.
    """
    changed, helped = 0, 0
    for k in range(bias.shape[0]):
        plain[k] = _held(logits[n, k])
    if masked:
        for k in range(bias.shape[0]):
            scores[k] = plain[k] if masks[n, 0, k] & masks[n, 1, k] else -INF
        for i in range(own["rare"]):
            scores[rare[n, i]] -= own["lost"]
    else:
        for k in range(bias.shape[0]):
            scores[k] = plain[k] + np.float64(bias[k])
            changed += 1 if bias[k] != 0 and bias[k] > -INF else 0
            helped += 1 if bias[k] > 0 else 0
    if not own["unknown"]:
        scores[UNK], plain[UNK] = -INF, -INF
    best = likeliest(scores, lanes)
    top, mass = scores[best], 0.0
    if top == -INF:
        return best, mass, 0.0, 0.0
    most = top if changed == 0 else plain[likeliest(plain, lanes)]
    weighed(plain, most, divisor, tempered, weights)
    whole, _ = totals(weights, tempered, lanes)
    if changed == 0:  # only forbidden: what is left weighs as before
        for k in range(bias.shape[0]):
            score, weight, value = scores[k], weights[k], tempered[k]  # all read before a choice: no branches then
            weights[k] = weight if score > -INF else 0.0
            tempered[k] = value if score > -INF else FLOOR
        for i in range(own["rare"] if masked else 0):
            x = (scores[rare[n, i]] - top) / divisor
            x = x if x > FLOOR else FLOOR
            tempered[rare[n, i]], weights[rare[n, i]] = x, math.exp(x) if x > FLOOR else 0.0
        if masked or whole < HUGE:
            total, product = totals(weights, tempered, lanes)
            return best, max(total / whole, MASS_LIMIT) if whole < HUGE else 0.0, total, product
        most = plain[likeliest(plain, lanes)]
        weighed(plain, most, divisor, tempered, weights)
        whole, _ = totals(weights, tempered, lanes)
    if helped:
        for k in range(bias.shape[0]):
            plain[k] += np.float64(bias[k]) if bias[k] < 0 else 0.0
        weighed(plain, most, divisor, tempered, weights)
        left, _ = totals(weights, tempered, lanes)
        mass = left / whole
    weighed(scores, top, divisor, tempered, weights)
    total, product = totals(weights, tempered, lanes)
    if not helped:
        less = (top - most) / divisor
        mass = total * math.exp(less if less > FLOOR else FLOOR) / whole
    return best, max(mass, MASS_LIMIT), total, product


@inner()
def _both(hard: Any, soft: Any, least: Any, out: Any) -> None:
    """Two biases as one, of which the soft one is held above ``least``; (V,) each, float32."""
    for k in range(out.shape[0]):
        out[k] = hard[k] + (soft[k] if soft[k] > least else least)


@inner()
def _unmasked(masks: Any, rare: Any, own: Any, least: Any, out: Any) -> None:
    """Two masks (2, V) and the rare tokens as one bias (V,), float32, of which the soft one is held above ``least``."""
    for k in range(out.shape[0]):
        out[k] = _NOTHING if masks[0, k] == 0 else _NIL if masks[1, k] else least
    lost = np.float32(-own["lost"])
    for i in range(own["rare"]):
        if masks[0, rare[i]] and masks[1, rare[i]]:
            out[rare[i]] = lost if lost > least else least


@compiled()
def act(writers: Any, logits: Any, hard: Any, soft: Any, masks: Any, rare: Any, settings: Any, override: Any,
        given: Any, actions: Any, work: Any, lanes: Any, order: Any, counts: Any, sums: Any, both: Any, max_steps: Any,
        count: Any) -> None:  # fmt: skip
    """One token for every voice: drawn, or the one that is given, under the settings without a bias.

    Voices: writers, settings and actions (N,) records, logits (N, W), hard and soft (N, V) or (0, V), masks (N, 2, V)
    or (0, 2, V), rare (N, RARE), override (N,), or (0,) for Philox, given (N,), -1 where a token is to be drawn.
    Scratch: work and lanes; order (W,); counts and sums (BUCKETS,); both (V,).
    """
    scores, tempered, weights, plain = work[0], work[1], work[2], work[3]
    for n in range(writers.shape[0]):
        own, writer, action, token = settings[n], writers[n], actions[n], given[n]
        divisor = own["divisor"] if own["divisor"] > 0.0 else 1.0
        best, mass, total, product, softened = 0, 1.0, 0.0, 0.0, False
        biased, masked, first, bias = own["biased"] and token < 0, own["masked"], True, both
        if not biased:
            for k in range(both.shape[0]):
                scores[k] = _held(logits[n, k])
            scores[UNK] = scores[UNK] if own["unknown"] else -INF
            best = likeliest(scores, lanes)
            weighed(scores, scores[best], divisor, tempered, weights)
            total, product = totals(weights, tempered, lanes)
        elif own["soft"] and not masked:
            _both(hard[n], soft[n], _NOTHING, both)
        elif not masked:
            bias = hard[n]
        while biased:
            best, mass, total, product = _under(logits, n, bias, masks, masked, rare, own, divisor, scores, tempered,
                                                weights, plain, lanes)  # fmt: skip
            little = own["soft"] and mass < LEAST_MASS
            biased = first and (little or (masked and mass == 0.0))
            if biased:
                softened, first = little, False
                least = _SOFTENED if little else _NOTHING
                if masked:
                    _unmasked(masks[n], rare[n], own, least, both)
                else:
                    _both(hard[n], soft[n], least, both)
                bias, masked = both, False
        if override.shape[0]:
            u = override[n]
        else:
            u = philox(writer["step"], writer["voice"], writer["piece"], writer["key_low"], writer["key_high"])[0]
        log_prob, entropy = 0.0, 0.0
        if own["divisor"] == 0.0:
            log_prob = 0.0 if token < 0 or token == best else -INF
            token = best if token < 0 else token
        else:
            if own["top_k"] > 0 or own["top_p"] < 1.0 or own["min_p"] > 0.0:
                truncated(scores, tempered, weights, own, total, order, counts, sums)
                total, product = totals(weights, tempered, lanes)
            if token < 0:
                token = pick(weights, u * total)
            log_prob = (scores[token] - scores[best]) / own["divisor"] - math.log(total)
            entropy = max(math.log(total) - product / total, 0.0)
        action["log_prob"], action["entropy"], action["mass"] = log_prob, entropy, mass
        action["softened"], action["given"] = softened, given[n] >= 0
        ended = token == END
        last = ended or writer["step"] + 1 >= max_steps
        action["piece"], action["step"], action["token"] = writer["piece"], writer["step"], token
        action["last"], action["ended"] = last, ended
        writer["token"], writer["done"] = token, last
        writer["step"] += 1
    count[0] += 1
