"""The three recurrent cells: which tensors each has, and their shapes.

Matrices are for row vectors, x @ W; four blocks of columns are the gates i, j (the tanh), f, o. Sources:
magenta/magenta ``sketch_rnn/rnn.py``, classes LSTMCell, LayerNormLSTMCell and HyperLSTMCell. All add ``forget_bias`` to
f when they run.

``lstm``
    gates = x @ w_x + h @ w_h + b
``layer_norm``
    gates = norm(x @ w_x + h @ w_h), each gate by itself, times ``gamma`` plus ``beta``; no bias
``hyper``
    a layer_norm cell ``hyper`` of U units on [x, h] scales every gate:
    gates = norm(scale_x * (x @ w_x) + scale_h * (h @ w_h) + shift + b), times ``gamma`` plus ``beta``, where, for each
    gate g and with the hyper cell's new output u,
    scale = (u @ z[:, g] + z_b[g]) @ w[g] and shift = (u @ shift.z[:, g]) @ shift.w[g]; E numbers a gate in between

All three: c' = sigmoid(f) c + sigmoid(i) tanh(j); h' = sigmoid(o) tanh(c'), where the last two cells take
norm(c') ``c_gamma`` + ``c_beta`` for c' in h' only. The norms have epsilon 1e-3 inside the root.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CELLS: Final = ("lstm", "layer_norm", "hyper")

ROW: Final = 5
"""Numbers of a stroke-5 row."""

NORM_EPSILON: Final = 1e-3
"""Added to the variance inside the root (``rnn.py`` layer_norm)."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CellSizes:
    """How large a cell is."""

    cell: str
    """``lstm``, ``layer_norm`` or ``hyper``."""
    units: int
    """H: the length of h and of c."""
    hyper_units: int = 0
    """U of a hyper cell; 256 in magenta."""
    embedding: int = 0
    """E of a hyper cell; 32 in magenta."""

    @property
    def state(self) -> int:
        """The length of h with the hyper cell's behind it, and of c likewise."""
        return self.units + self.hyper_units


def cell_shapes(prefix: str, sizes: CellSizes, inputs: int) -> dict[str, Shape]:
    """A cell's tensors by name, ``prefix`` and a dot before each, and their shapes."""
    units, hyper, embedding = sizes.units, sizes.hyper_units, sizes.embedding
    shapes: dict[str, Shape] = {"w_x": (inputs, 4 * units), "w_h": (units, 4 * units)}
    if sizes.cell != "layer_norm":
        shapes["b"] = (4 * units,)
    if sizes.cell != "lstm":
        shapes |= _norms(units)
    if sizes.cell == "hyper":
        shapes |= {"hyper.w_x": (inputs + units, 4 * hyper), "hyper.w_h": (hyper, 4 * hyper)}
        shapes |= {f"hyper.{name}": shape for name, shape in _norms(hyper).items()}
        for part in ("scale_x", "scale_h", "shift"):
            shapes |= {f"{part}.z": (hyper, 4 * embedding), f"{part}.w": (4, embedding, units)}
        shapes |= {"scale_x.z_b": (4 * embedding,), "scale_h.z_b": (4 * embedding,)}
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def model_shapes(
    decoder: CellSizes, encoder: CellSizes | None, *, mixtures: int, z_size: int, labels: int, label_size: int
) -> dict[str, Shape]:
    """A model's tensors by name, and their shapes.

    ``encoder`` is the size of a VAE's encoder, each direction. The condition is [z; label vector]; ``labels`` counts.
    """
    head, condition = 3 + 6 * mixtures, z_size + label_size
    shapes = cell_shapes("decoder", decoder, ROW + condition)
    shapes |= {"head.w": (decoder.units, head), "head.b": (head,)}
    if condition:
        shapes |= {"start.w": (condition, 2 * decoder.state), "start.b": (2 * decoder.state,)}
    if label_size:
        shapes["label.w"] = (labels, label_size)
    if encoder is not None:
        for way in ("encoder.forward", "encoder.backward"):
            shapes |= cell_shapes(way, encoder, ROW)
        for part in ("mu", "sigma"):
            shapes |= {f"{part}.w": (2 * encoder.units, z_size), f"{part}.b": (z_size,)}
    return shapes


def _norms(units: int) -> dict[str, Shape]:
    return {"gamma": (4 * units,), "beta": (4 * units,), "c_gamma": (units,), "c_beta": (units,)}


def sizes_of(prefix: str, cell: str, shapes: Mapping[str, Shape]) -> CellSizes:
    """A cell's sizes, read off the shapes of its weights; 0 for what is missing or makes no sense."""
    hyper = (_first(shapes, f"{prefix}.hyper.w_h", 2), _middle(shapes, f"{prefix}.scale_x.w"))
    return CellSizes(cell, _first(shapes, f"{prefix}.w_h", 2), *(hyper if cell == "hyper" else (0, 0)))


def _first(shapes: Mapping[str, Shape], name: str, dimensions: int) -> int:
    shape = shapes.get(name, ())
    return shape[0] if len(shape) == dimensions else 0


def _middle(shapes: Mapping[str, Shape], name: str) -> int:
    shape = shapes.get(name, ())
    return shape[1] if len(shape) == 3 else 0
