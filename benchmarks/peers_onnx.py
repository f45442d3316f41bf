"""The same step in onnxruntime."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .peers import Array, NumpySampler, Weights


class OnnxEngine:
    """onnxruntime with bound buffers, state going back and forth between two; NumPy samples.

    float32, or weights made int8 by its own quantizer (dynamic: inputs are rounded step by step).
    """

    def __init__(self, w: Weights, *, int8: bool = False) -> None:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        model = quantized(onnx_model(w)) if int8 else onnx_model(w)
        session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
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


def quantized(model: bytes) -> bytes:
    """Weights of all products as int8, one scale a column."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(model)
        logging.disable(logging.WARNING)  # it advises steps that this graph has no use for
        try:
            quantize_dynamic(before, after, weight_type=QuantType.QInt8, per_channel=True)
        finally:
            logging.disable(logging.NOTSET)
        return after.read_bytes()
