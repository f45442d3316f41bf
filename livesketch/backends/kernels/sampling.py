"""Sampling and the pen: from the head's outputs to actions, in float64, as ``livesketch.sampling`` defines them."""

import math
from typing import Any

import numpy as np

from ...sampling import LOGIT_LIMIT
from .common import NIL, compiled, inner

_U32 = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_PENS = np.int64(3)


@inner()
def philox(step: Any, voice: Any, drawing: Any, key_low: Any, key_high: Any) -> Any:
    """``sampling.uniforms`` with use 0: four float64 numbers."""
    c0, c1 = np.uint64(step) & _U32, np.uint64(voice) & _U32
    c2, c3 = np.uint64(drawing) & _U32, np.uint64(0)
    k0, k1 = np.uint64(key_low), np.uint64(key_high)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _U32, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _U32
        k0 = (k0 + np.uint64(0x9E3779B9)) & _U32
        k1 = (k1 + np.uint64(0xBB67AE85)) & _U32
    return (
        (np.float64(c0 >> np.uint64(9)) + 0.5) * 2.0**-23,
        (np.float64(c1 >> np.uint64(9)) + 0.5) * 2.0**-23,
        (np.float64(c2 >> np.uint64(9)) + 0.5) * 2.0**-23,
        (np.float64(c3 >> np.uint64(9)) + 0.5) * 2.0**-23,
    )


@inner()
def _choose(head: Any, n: Any, first: Any, count: Any, divisor: Any, u: Any) -> Any:
    """``sampling.choose`` over head[n, first : first + count]."""
    best: Any = NIL
    top = -LOGIT_LIMIT
    for k in range(count):
        value: Any = np.float64(head[n, first + k])
        value = LOGIT_LIMIT if value > LOGIT_LIMIT else value
        if value > top:
            best, top = k, value
    if divisor == 0.0:
        return best
    target = math.inf
    for _ in range(2):  # the whole, then as far as its share u
        running = 0.0
        for k in range(count):
            value = np.float64(head[n, first + k])
            value = LOGIT_LIMIT if value > LOGIT_LIMIT else -LOGIT_LIMIT if value < -LOGIT_LIMIT else value
            running += math.exp((value - top) / divisor)
            if running >= target:
                return k
        target = u * running
    return count - 1


@compiled()
def act(voices: Any, given: Any, head: Any, mixtures: Any, divisors: Any, spreads: Any, override: Any, forced: Any,
        actions: Any, scale: Any, max_steps: Any, count: Any) -> None:  # fmt: skip
    """Every voice's action, drawn as ``sampling.sample`` does or forced, which becomes its next input.

    override (N, 4): the uniform numbers to draw at; or (0, 4), for Philox; or where ``forced`` dx and dy (model units)
    and pen of the actions.
    """
    for n in range(voices.shape[0]):
        voice, action = voices[n], actions[n]
        if override.shape[0]:
            u = override[n, 0], override[n, 1], override[n, 2], override[n, 3]
        else:
            u = philox(voice["step"], voice["voice"], voice["drawing"], voice["key_low"], voice["key_high"])
        if forced:
            dx, dy, pen, k = u[0], u[1], np.int64(u[2]), -1
        else:
            k = _choose(head, n, _PENS, mixtures, divisors[n], u[0])
            pen = _choose(head, n, NIL, _PENS, divisors[n], u[1])
            at = _PENS + mixtures + k
            log_x, log_y = np.float64(head[n, at + 2 * mixtures]), np.float64(head[n, at + 3 * mixtures])
            sigma_x = math.exp(60.0 if log_x > 60.0 else -60.0 if log_x < -60.0 else log_x)
            sigma_y = math.exp(60.0 if log_y > 60.0 else -60.0 if log_y < -60.0 else log_y)
            raw = np.float64(head[n, at + 4 * mixtures])
            size = abs(raw)
            free = math.exp(math.log(2.0) - size - math.log1p(math.exp(-2.0 * size)))
            radius, angle = math.sqrt(-2.0 * math.log(u[2])), 2.0 * math.pi * u[3]
            z1, z2 = radius * math.cos(angle), radius * math.sin(angle)
            dx = np.float64(head[n, at]) + sigma_x * spreads[n] * (free * z1 + math.tanh(raw) * z2)
            dy = np.float64(head[n, at + mixtures]) + sigma_y * spreads[n] * z2
        ended = pen == 2
        given[n, 0], given[n, 1] = dx, dy
        given[n, 2], given[n, 3], given[n, 4] = pen == 0, pen == 1, ended
        if ended:
            dx, dy = 0.0, 0.0
        voice["x"] += dx * scale
        voice["y"] += dy * scale
        last = ended or voice["step"] + 1 >= max_steps
        action["drawing"], action["step"] = voice["drawing"], voice["step"]
        action["x"], action["y"] = voice["x"], voice["y"]
        action["dx"], action["dy"] = dx * scale, dy * scale
        action["component"], action["pen"] = k, pen
        action["ink"], action["last"], action["ended"] = voice["pen"] == 0 and not ended, last, ended
        voice["pen"], voice["done"] = pen, last
        voice["step"] += 1
    count[0] += 1
