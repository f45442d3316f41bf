"""The same step in other ways: what a reader would write with PyTorch, NumPy or onnxruntime.

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


class TorchEngine:
    """The port most people write: LSTMCell, a linear layer and torch.distributions, without gradients."""

    def __init__(self, w: Weights) -> None:
        import torch

        torch.set_num_threads(1)
        self._torch, self._weights = torch, w
        self._lstm, self._linear = torch.nn.LSTMCell(5, w.units), torch.nn.Linear(w.units, len(w.head_b))
        i, j, f, o = np.split(np.arange(4 * w.units), 4)
        order = np.concatenate([i, f, j, o])  # PyTorch's order of gates
        with torch.no_grad():
            self._lstm.weight_ih.copy_(torch.from_numpy(w.w[:5, order].T.copy()))
            self._lstm.weight_hh.copy_(torch.from_numpy(w.w[5:, order].T.copy()))
            self._lstm.bias_ih.copy_(torch.from_numpy(w.b[order]))
            self._lstm.bias_hh.zero_()
            self._linear.weight.copy_(torch.from_numpy(w.head_w.T.copy()))
            self._linear.bias.copy_(torch.from_numpy(w.head_b))
        self.begin()

    def begin(self) -> None:
        torch, w = self._torch, self._weights
        self._state = torch.from_numpy(w.hidden.copy())[None], torch.from_numpy(w.cell.copy())[None]
        self._given, self._steps = torch.from_numpy(w.start.copy())[None], 0

    def head(self, given: Array) -> Array:
        self._given = self._torch.from_numpy(given.copy())[None]
        with self._torch.no_grad():
            values: Array = self._update()[0].numpy()
        return values

    def _update(self) -> Any:
        self._state = self._lstm(self._given, self._state)
        return self._linear(self._state[0])

    def run(self, steps: int) -> None:
        with self._torch.no_grad():
            for _ in range(steps):
                self._step()

    def _step(self) -> None:
        torch = self._torch
        pen, pi, mu_x, mu_y, log_x, log_y, raw = self._update()[0].split([3] + 6 * [self._weights.mixtures])
        k = torch.distributions.Categorical(logits=pi / DIVISOR).sample()
        state = torch.distributions.Categorical(logits=pen / DIVISOR).sample()
        sigma_x, sigma_y, rho = log_x[k].exp() * SPREAD, log_y[k].exp() * SPREAD, raw[k].tanh()
        nought = torch.zeros(())
        rows = [torch.stack([sigma_x, nought]), torch.stack([rho * sigma_y, (1 - rho**2).sqrt() * sigma_y])]
        place = torch.distributions.MultivariateNormal(torch.stack([mu_x[k], mu_y[k]]), scale_tril=torch.stack(rows))
        self._given = torch.cat([place.sample(), torch.nn.functional.one_hot(state, 3).float()])[None]
        self._steps += 1
        if state.item() == 2 or self._steps >= self._weights.max_steps:
            self.begin()


class OnnxEngine:
    """onnxruntime in float32 with bound buffers, state going back and forth between two; NumPy samples."""

    def __init__(self, w: Weights) -> None:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        session = ort.InferenceSession(onnx_model(w), settings, providers=["CPUExecutionProvider"])
        self._weights, self._sampler, self._session = w, NumpySampler(w), session
        self._given, self._head = np.zeros((1, 5), np.float32), np.zeros((1, len(w.head_b)), np.float32)
        self._hidden, self._cell = np.zeros((2, 1, w.units), np.float32), np.zeros((2, 1, w.units), np.float32)
        values = {
            "x": self._given, "y": self._head,
            **{f"h{k}": self._hidden[k] for k in (0, 1)}, **{f"c{k}": self._cell[k] for k in (0, 1)},
        }  # fmt: skip
        # An OrtValue made from a NumPy array shares its memory.
        bound = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in values.items()}
        self._bindings = []
        for k in (0, 1):
            binding = session.io_binding()
            for name, value in (("x", "x"), ("h", f"h{k}"), ("c", f"c{k}")):
                binding.bind_ortvalue_input(name, bound[value])
            for name, value in (("y", "y"), ("h_next", f"h{1 - k}"), ("c_next", f"c{1 - k}")):
                binding.bind_ortvalue_output(name, bound[value])
            self._bindings.append(binding)
        self._keep, self._turn = bound, 0
        self.begin()

    def begin(self) -> None:
        self._hidden[self._turn][0], self._cell[self._turn][0] = self._weights.hidden, self._weights.cell
        self._sampler.begin(self._given[0])

    def head(self, given: Array) -> Array:
        self._given[0] = given
        return self._update()

    def _update(self) -> Array:
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        row: Array = self._head[0]
        return row

    def run(self, steps: int) -> None:
        for _ in range(steps):
            if self._sampler.next_input(self._update(), self._given[0]):
                self.begin()


def onnx_model(w: Weights) -> bytes:
    """One step as an ONNX graph: x (1, 5), h and c (1, H) in; y (1, 3 + 6M), h_next and c_next out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])

    gates = ["i", "j", "f", "o"]
    nodes = [
        helper.make_node("Concat", ["x", "h"], ["xh"], axis=1),
        helper.make_node("Gemm", ["xh", "w", "b"], ["gates"]),
        helper.make_node("Split", ["gates"], [f"{gate}_in" for gate in gates], axis=1, num_outputs=4),
        *(helper.make_node("Tanh" if g == "j" else "Sigmoid", [f"{g}_in"], [g]) for g in gates),
        helper.make_node("Mul", ["f", "c"], ["kept"]),
        helper.make_node("Mul", ["i", "j"], ["added"]),
        helper.make_node("Add", ["kept", "added"], ["c_next"]),
        helper.make_node("Tanh", ["c_next"], ["c_tanh"]),
        helper.make_node("Mul", ["o", "c_tanh"], ["h_next"]),
        helper.make_node("Gemm", ["h_next", "head_w", "head_b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sketch_decoder_step",
        [value("x", 5), value("h", w.units), value("c", w.units)],
        [value("y", len(w.head_b)), value("h_next", w.units), value("c_next", w.units)],
        [numpy_helper.from_array(getattr(w, name), name) for name in ("w", "b", "head_w", "head_b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
