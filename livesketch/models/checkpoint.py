"""Checkpoints: one safetensors file with the weights, and what is known about them as JSON in its header.

The header's metadata has one key, ``livesketch``: a JSON object with ``format`` (1), the fields of ``CheckpointInfo``
and ``scales``, one number per tensor. Fields that this version does not know are passed over. Matrices are stored for
row vectors, x @ W; the gate columns come in the blocks i, j (the tanh), f, o, as in magenta's ``sketch_rnn/rnn.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError, UnsupportedModelError
from ..files import check_size, replacing
from .fields import Fields, is_number, parse_json
from .shapes import shapes_of

if TYPE_CHECKING:
    from safetensors import safe_open

FORMAT: Final = 1
MAX_BYTES: Final = 4 << 30
"""Most bytes of a checkpoint file."""

MAX_HEADER: Final = 16 << 20
"""Most bytes of its header."""

MAX_WEIGHT: Final = 1e6
"""Largest weight: with more, sums of them leave float32."""

_MAX_UNITS: Final = 1e9
_KEY: Final = "livesketch"
_DTYPES: Final = {"I16": "int16", "F16": "float16", "F32": "float32"}
_ARCHITECTURES: Final = ("sketch_decoder", "sketch_vae")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Stored weights; a weight is ``values`` times ``scale``."""

    values: NDArray[Any]
    """int16, float16 or float32."""
    scale: float = 1.0

    def dense(self) -> NDArray[np.float64]:
        """The weights, same shape."""
        return self.values.astype(np.float64) * self.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.values.shape


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointInfo:
    """All that a checkpoint says about a model, without its weights."""

    name: str
    architecture: str
    """``sketch_decoder``, which draws, or ``sketch_vae``, which also encodes."""
    cell: str
    """``lstm``."""
    hidden: int
    """Units H of the decoder, 1 … 16384."""
    mixtures: int
    """Gaussian components M, 1 … 1000."""
    z_size: int
    """Length of the latent vector; 0 without one."""
    label_size: int
    """Length of the label vector; 0 without labels."""
    labels: tuple[str, ...]
    """The classes of a class-conditional model; empty where it draws one thing."""
    scale_factor: float
    """Data units per model unit."""
    stage_units: float
    """Data units across the stage."""
    max_steps: int
    """A drawing is cut after so many steps, 1 … 10**6."""
    start_token: tuple[float, ...]
    """The stroke-5 input of the first step."""
    start_pen: str
    """``down``: the first move leaves ink."""
    forget_bias: float
    """Added to the forget gate when the model runs; not in the stored bias."""
    licence: str
    attribution: str
    data: str
    """What it was trained on."""
    losses: Mapping[str, float]
    """Measured, by name."""
    source: Mapping[str, Any]
    """Where the file came from; JSON values."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint(CheckpointInfo):
    """A model: weights, and what is known about them. ``shapes.shapes_of`` lists the tensors."""

    tensors: Mapping[str, Tensor]


def quantize(array: NDArray[Any]) -> Tensor:
    """Weights as int16 with one scale, largest / 32767; each is off by at most half a scale.

    Raises:
        CheckpointError: a weight is NaN or infinite.
    """
    dense = np.asarray(array, np.float64)
    if not np.isfinite(dense).all():
        raise CheckpointError("weights with NaN or infinity cannot be stored; look for a loss that went wrong")
    peak = float(np.abs(dense).max(initial=0.0))
    scale = max(peak / 32767, 1e-30) if peak else 1.0
    return Tensor(np.rint(dense / scale).astype(np.int16), scale)


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Writes one file; the same checkpoint gives the same bytes.

    Raises:
        CheckpointError: a field or tensor that ``load_checkpoint`` would refuse.
        OutputError: the file cannot be written.
    """
    from safetensors.numpy import save  # noqa: PLC0415 - loaded when first used

    check(checkpoint, str(path))
    info: dict[str, Any] = {"format": FORMAT}
    info |= {field.name: getattr(checkpoint, field.name) for field in fields(CheckpointInfo)}
    info["losses"], info["source"] = dict(checkpoint.losses), dict(checkpoint.source)
    info["scales"] = {name: tensor.scale for name, tensor in sorted(checkpoint.tensors.items())}
    try:
        text = json.dumps(info, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError) as err:
        raise CheckpointError(f"{path}: 'source' must hold JSON values only: {err}") from err
    if size > MAX_HEADER // 2:
        raise CheckpointError(f"{path}: {size} bytes of metadata; at most {MAX_HEADER // 2} fit; shorten 'source'")
    arrays = {name: np.ascontiguousarray(tensor.values) for name, tensor in sorted(checkpoint.tensors.items())}
    with replacing(path) as stream:
        stream.write(save(arrays, {_KEY: text}))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a file of ``save_checkpoint``; shapes and types are checked before any weight is read.

    Raises:
        CheckpointError: it cannot be read, is damaged, of absurd size, or something else; UnsupportedModelError where
            it is a sound file of a newer version or an unknown architecture.
    """
    with _Opened(path) as opened:
        info, scales = opened.info()
        opened.check_layout(info, scales)
        tensors = {name: Tensor(opened.file.get_tensor(name), scales[name]) for name in scales}
    checkpoint = Checkpoint(**_shallow(info), tensors=tensors)
    _check_values(checkpoint, str(path))
    return checkpoint


def read_header(path: str | Path) -> CheckpointInfo:
    """What a file says about its model; no weights are read.

    Raises:
        CheckpointError: as ``load_checkpoint``.
    """
    with _Opened(path) as opened:
        info, scales = opened.info()
        opened.check_layout(info, scales)
    return info


def check(checkpoint: Checkpoint, where: str) -> None:
    """Checks all fields, shapes and weights; ``where`` names the file in messages.

    Raises:
        CheckpointError: what is wrong with it.
    """
    info = info_from(asdict(CheckpointInfo(**_shallow(checkpoint))), where)
    layout = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    check_layout(info, layout, where)
    for name, tensor in checkpoint.tensors.items():
        _check_dtype(name, tensor.values.dtype.name, where)
    _check_scales({name: tensor.scale for name, tensor in checkpoint.tensors.items()}, layout, where)
    _check_values(checkpoint, where)


def info_from(values: Mapping[str, Any], where: str) -> CheckpointInfo:
    """The fields out of a JSON object, each checked.

    Raises:
        CheckpointError: a field is missing or out of range; UnsupportedModelError for an unknown architecture.
    """
    get = Fields(values, where)
    for key, known in (("architecture", _ARCHITECTURES), ("cell", ("lstm",)), ("start_pen", ("down",))):
        if get.text(key) not in known:
            raise UnsupportedModelError(
                f"{where}: {key} is {values[key]!r}; this version knows {', '.join(known)}; try a newer livesketch"
            )
    info = CheckpointInfo(
        name=get.text("name", empty=False),
        architecture=get.text("architecture"),
        cell=get.text("cell"),
        hidden=get.whole("hidden", 1, 16384),
        mixtures=get.whole("mixtures", 1, 1000),
        z_size=get.whole("z_size", 0, 16384),
        label_size=get.whole("label_size", 0, 16384),
        labels=get.names("labels", 10_000),
        scale_factor=get.number("scale_factor", 0, _MAX_UNITS),
        stage_units=get.number("stage_units", 0, _MAX_UNITS),
        max_steps=get.whole("max_steps", 1, 10**6),
        start_token=get.numbers("start_token", 5),
        start_pen=get.text("start_pen"),
        forget_bias=get.number("forget_bias", -MAX_WEIGHT, MAX_WEIGHT),
        licence=get.text("licence"),
        attribution=get.text("attribution"),
        data=get.text("data"),
        losses=get.numbers_by_name("losses"),
        source=get.table("source"),
    )
    if (info.label_size > 0) != bool(info.labels):
        raise get.refuse("labels", f"{'names' if info.label_size else 'none'}, as 'label_size' is {info.label_size}")
    if info.architecture == "sketch_vae" and not info.z_size:
        raise get.refuse("z_size", "1 or more for a sketch_vae")
    return info
