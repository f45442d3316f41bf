"""Sampling and the pen: from the head's outputs to actions, in float64, as ``livesketch.sampling`` defines them."""

import math
from typing import Any

import numpy as np

from .common import compiled

_U32 = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


@compiled()
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


@compiled()
def _choose(head: Any, first: Any, count: Any, divisor: Any, u: Any) -> Any:
    """``sampling.choose`` over head[first : first + count]."""
    best, top = 0, -1e30
    for k in range(count):
        value = min(np.float64(head[first + k]), 1e30)
        if value > top:
            best, top = k, value
    if divisor == 0.0:
        return best
    total = 0.0
    for k in range(count):
        total += math.exp((max(min(np.float64(head[first + k]), 1e30), -1e30) - top) / divisor)
    target, running = u * total, 0.0
    for k in range(count):
        running += math.exp((max(min(np.float64(head[first + k]), 1e30), -1e30) - top) / divisor)
        if running >= target:
            return k
    return count - 1


@compiled()
def _move(
    voice: Any, given: Any, action: Any, dx: Any, dy: Any, pen: Any, component: Any, scale: Any, max_steps: Any
) -> None:
    """``ReferenceBatch._move``: the action is written and becomes the next input."""
    ended = pen == 2
    given[0], given[1] = dx, dy
    given[2], given[3], given[4] = pen == 0, pen == 1, ended
    if ended:
        dx, dy = 0.0, 0.0
    voice["x"] += dx * scale
    voice["y"] += dy * scale
    last = ended or voice["step"] + 1 >= max_steps
    action["drawing"], action["step"] = voice["drawing"], voice["step"]
    action["x"], action["y"] = voice["x"], voice["y"]
    action["dx"], action["dy"] = dx * scale, dy * scale
    action["component"], action["pen"] = component, pen
    action["ink"], action["last"], action["ended"] = voice["pen"] == 0 and not ended, last, ended
    voice["pen"], voice["done"] = pen, last
    voice["step"] += 1


@compiled()
def act(voices: Any, given: Any, head: Any, mixtures: Any, divisors: Any, spreads: Any, override: Any, actions: Any,
        scale: Any, max_steps: Any, count: Any) -> None:  # fmt: skip
    """``sampling.sample`` and the move for every voice, in float64; override (N, 4), or (0, 4) for Philox."""
    for n in range(voices.shape[0]):
        voice, row = voices[n], head[n]
        if override.shape[0]:
            u = override[n, 0], override[n, 1], override[n, 2], override[n, 3]
        else:
            u = philox(voice["step"], voice["voice"], voice["drawing"], voice["key_low"], voice["key_high"])
        k = _choose(row, 3, mixtures, divisors[n], u[0])
        pen = _choose(row, 0, 3, divisors[n], u[1])
        at = 3 + mixtures + k
        mu_x, mu_y = np.float64(row[at]), np.float64(row[at + mixtures])
        sigma_x = math.exp(max(min(np.float64(row[at + 2 * mixtures]), 60.0), -60.0)) * spreads[n]
        sigma_y = math.exp(max(min(np.float64(row[at + 3 * mixtures]), 60.0), -60.0)) * spreads[n]
        raw = np.float64(row[at + 4 * mixtures])
        size = abs(raw)
        free = math.exp(math.log(2.0) - size - math.log1p(math.exp(-2.0 * size)))
        radius, angle = math.sqrt(-2.0 * math.log(u[2])), 2.0 * math.pi * u[3]
        z1, z2 = radius * math.cos(angle), radius * math.sin(angle)
        dx = mu_x + sigma_x * (free * z1 + math.tanh(raw) * z2)
        _move(voice, given[n], actions[n], dx, mu_y + sigma_y * z2, pen, k, scale, max_steps)
    count[0] += 1


@compiled()
def forced(voices: Any, given: Any, actions: Any, dx: Any, dy: Any, pen: Any, scale: Any, max_steps: Any) -> None:
    """Every voice takes this move (model units) as its own: voices (N,), given (N, 5), actions (N,)."""
    for n in range(voices.shape[0]):
        _move(voices[n], given[n], actions[n], dx, dy, pen, -1, scale, max_steps)
