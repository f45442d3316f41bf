"""The same step in other ways: what all of them start from, and NumPy.

``peers_torch``, ``peers_onnx`` and ``peers_js`` have the others.

All take the same temperature, feed each action back, and begin a new drawing after END. What is constant during a
drawing (the label's part of the gates) is already in their bias, so none pays for it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livesketch.models.checkpoint import Checkpoint

Array = NDArray[np.float32]
TEMPERATURE = 0.65
DIVISOR, SPREAD = 0.5 + 0.5 * TEMPERATURE, math.sqrt(TEMPERATURE)  # the convention `js`


@dataclass(frozen=True, slots=True)
class Weights:
    """A decoder in float32, row vectors: gates = [x, h] @ w + b in column blocks i, j, f, o."""

    w: Array
    """(5 + H, 4H)."""
    b: Array
    """(4H,), with the forget bias and the label's part."""
    head_w: Array
    """(H, 3 + 6M): pen 3 | weights | mu_x | mu_y | log sigma_x | log sigma_y | correlation before tanh."""
    head_b: Array
    hidden: Array
    """h and c at the start of a drawing, (H,)."""
    cell: Array
    start: Array
    """The first input, (5,)."""
    max_steps: int

    @property
    def units(self) -> int:
        return len(self.hidden)

    @property
    def mixtures(self) -> int:
        return (len(self.head_b) - 3) // 6


def condition(checkpoint: Checkpoint, label: str | None) -> NDArray[np.float64]:
    """The vector that stands beside each input, (C,): the label's embedding; empty without one."""
    if not checkpoint.label_size:
        return np.zeros(checkpoint.z_size)
    row = checkpoint.labels.index(label) if label is not None else 0
    return np.concatenate([np.zeros(checkpoint.z_size), checkpoint.tensors["label.w"].dense()[row]])


def weights(checkpoint: Checkpoint, label: str | None) -> Weights:
    dense = {name: tensor.dense() for name, tensor in checkpoint.tensors.items()}
    units, given = checkpoint.hidden, condition(checkpoint, label)
    w_x = dense["decoder.w_x"]
    bias = dense["decoder.b"] + given @ w_x[5:]
    bias[2 * units : 3 * units] += checkpoint.forget_bias
    state = np.tanh(given @ dense["start.w"] + dense["start.b"]) if given.size else np.zeros(2 * units)
    return Weights(
        w=np.concatenate([w_x[:5], dense["decoder.w_h"]]).astype(np.float32),
        b=bias.astype(np.float32),
        head_w=dense["head.w"].astype(np.float32),
        head_b=dense["head.b"].astype(np.float32),
        hidden=state[units:].astype(np.float32),
        cell=state[:units].astype(np.float32),
        start=np.array(checkpoint.start_token, np.float32),
        max_steps=checkpoint.max_steps,
    )


def parameters(heads: Array) -> Array:
    """Outputs of the head (n, 3 + 6M) as the density's parameters: probabilities, means, deviations, correlations."""
    pen, pi, mu, log_sigma, raw = np.split(heads, np.cumsum([3, *((len(heads[0]) - 3) // 6 * k for k in (1, 2, 2))]), 1)

    def softmax(logits: Array) -> Array:
        weight = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(weight / weight.sum(1, keepdims=True))

    return np.concatenate([softmax(pen), softmax(pi), mu, np.exp(log_sigma), np.tanh(raw)], 1)


def forced(engine: Any, inputs: Array) -> Array:
    """What an engine makes of these inputs (n, 5) from the beginning of a drawing: parameters (n, 3 + 6M)."""
    if hasattr(engine, "parameters"):
        found: Array = engine.parameters(inputs)
        return found
    engine.begin()
    found = parameters(np.array([np.array(engine.head(given)) for given in inputs]))
    engine.begin()
    return found


class NumpySampler:
    """Sampling with few NumPy calls; holds the next input and counts steps."""

    def __init__(self, w: Weights) -> None:
        self._random = np.random.default_rng(1)
        self._mixtures, self._start, self._max_steps = w.mixtures, w.start, w.max_steps
        self._steps = 0

    def begin(self, given: Array) -> None:
        given[:] = self._start
        self._steps = 0

    def next_input(self, y: Array, given: Array) -> bool:
        """Writes the sampled action into ``given`` (5,); True where the drawing is over."""
        m = self._mixtures
        u, v, z1, z2 = *self._random.random(2), *self._random.standard_normal(2)
        pi = np.exp((y[3 : 3 + m] - y[3 : 3 + m].max()) / DIVISOR).cumsum()
        k = 3 + m + min(int(pi.searchsorted(u * pi[-1])), m - 1)
        first = max(y[0], y[1], y[2])
        down, up, end = (math.exp((float(y[i]) - first) / DIVISOR) for i in range(3))
        v *= down + up + end
        pen = 0 if v < down else 1 if v < down + up else 2
        rho = math.tanh(y[k + 4 * m])
        given[0] = y[k] + math.exp(y[k + 2 * m]) * SPREAD * (math.sqrt(1 - rho * rho) * z1 + rho * z2)
        given[1] = y[k + m] + math.exp(y[k + 3 * m]) * SPREAD * z2
        given[2:] = 0
        given[2 + pen] = 1
        self._steps += 1
        return pen == 2 or self._steps >= self._max_steps


class NumpyEngine:
    """Two gemv calls into preallocated arrays."""

    def __init__(self, w: Weights) -> None:
        self._weights, self._sampler = w, NumpySampler(w)
        self._both = np.zeros(len(w.w), np.float32)
        self._given, self._hidden = self._both[:5], self._both[5:]
        self._cell, self._new = np.zeros(w.units, np.float32), np.zeros(w.units, np.float32)
        self._gates, self._head = np.zeros_like(w.b), np.zeros_like(w.head_b)
        self.begin()

    def begin(self) -> None:
        self._hidden[:], self._cell[:] = self._weights.hidden, self._weights.cell
        self._sampler.begin(self._given)

    def head(self, given: Array) -> Array:
        """One step from this input (5,); the head's outputs (3 + 6M,)."""
        self._given[:] = given
        return self._update()

    def _update(self) -> Array:
        units, gates, new = self._weights.units, self._gates, self._new
        np.dot(self._both, self._weights.w, out=gates)
        np.add(gates, self._weights.b, out=gates)
        i, j, f, o = (gates[k * units : (k + 1) * units] for k in range(4))
        np.tanh(j, out=j)
        for gate in (i, gates[2 * units :]):  # f and o are neighbours
            np.multiply(gate, 0.5, out=gate)
            np.tanh(gate, out=gate)
            np.multiply(gate, 0.5, out=gate)
            np.add(gate, 0.5, out=gate)
        np.multiply(self._cell, f, out=self._cell)
        np.multiply(i, j, out=new)
        np.add(self._cell, new, out=self._cell)
        np.tanh(self._cell, out=new)
        np.multiply(o, new, out=self._hidden)
        np.dot(self._hidden, self._weights.head_w, out=self._head)
        np.add(self._head, self._weights.head_b, out=self._head)
        return self._head

    def run(self, steps: int) -> None:
        for _ in range(steps):
            if self._sampler.next_input(self._update(), self._given):
                self.begin()
