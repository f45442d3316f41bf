"""Whether a model is sound: its fields, shapes and weights. All that is loaded, imported or saved is checked."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from ..errors import CheckpointError, UnsupportedModelError
from .cells import CELLS, CellSizes, Shape, model_shapes, sizes_of
from .fields import Fields, is_number
from .model import Checkpoint, CheckpointInfo
from .text_model import TextCheckpoint

MAX_WEIGHT: Final = 1e6
"""Largest weight: with more, sums of them leave float32."""

DTYPES: Final = ("int16", "float16", "float32")

MAX_UNITS: Final = 16384
_MAX_SPAN: Final = 1e9
_KNOWN: Final = {"architecture": ("sketch_decoder", "sketch_vae"), "cell": CELLS, "start_pen": ("down",)}


def info_values(info: CheckpointInfo) -> dict[str, Any]:
    """The fields of a ``CheckpointInfo`` by name; of a ``Checkpoint`` those without the tensors."""
    return {field.name: getattr(info, field.name) for field in fields(CheckpointInfo)}


def info_from(values: Mapping[str, Any], where: str) -> CheckpointInfo:
    """The fields out of a JSON object, each checked; ``where`` names the file in messages.

    Raises:
        CheckpointError: a field is missing or out of range; UnsupportedModelError for an unknown architecture.
    """
    get = Fields({**_defaults(values), **values}, where)
    for key, known in _KNOWN.items():
        if get.text(key) not in known:
            raise _unknown(key, values[key], known, where)
    info = CheckpointInfo(
        name=get.name("name"),
        architecture=get.text("architecture"),
        cell=get.text("cell"),
        hidden=get.whole("hidden", 1, MAX_UNITS),
        mixtures=get.whole("mixtures", 1, 1000),
        z_size=get.whole("z_size", 0, MAX_UNITS),
        label_size=get.whole("label_size", 0, MAX_UNITS),
        labels=get.names("labels", 10_000),
        scale_factor=get.number("scale_factor", 0, _MAX_SPAN),
        stage_units=get.number("stage_units", 0, _MAX_SPAN),
        max_steps=get.whole("max_steps", 1, 10**6),
        start_token=get.numbers("start_token", 5),
        start_pen=get.text("start_pen"),
        forget_bias=get.number("forget_bias", -MAX_WEIGHT, MAX_WEIGHT),
        licence=get.text("licence"),
        attribution=get.text("attribution"),
        data=get.text("data"),
        losses=get.numbers_by_name("losses"),
        source=get.table("source"),
        encoder_cell=get.text("encoder_cell"),
        z_optional=get.flag("z_optional"),
    )
    if (info.label_size > 0) != bool(info.labels):
        raise get.refuse("labels", f"{'names' if info.label_size else 'none'}, as 'label_size' is {info.label_size}")
    if info.architecture == "sketch_vae" and not info.z_size:
        raise get.refuse("z_size", "1 or more for a sketch_vae")
    cells = CELLS if info.architecture == "sketch_vae" else ("",)
    if info.encoder_cell not in cells:
        raise _unknown("encoder_cell", info.encoder_cell, cells, where)
    return info


def _defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that came later, as files without them mean them."""
    return {"encoder_cell": "lstm" if values.get("architecture") == "sketch_vae" else "", "z_optional": False}


def _unknown(key: str, came: Any, known: tuple[str, ...], where: str) -> UnsupportedModelError:
    names = ", ".join(name or "none" for name in known)
    return UnsupportedModelError(
        f"{where}: {key} is {str(came)[:80]!r}; this version knows {names}; try a newer livesketch"
    )


def shapes_of(
    info: CheckpointInfo, encoder: CellSizes | None = None, decoder: CellSizes | None = None
) -> dict[str, Shape]:
    """The tensors that a model has, and their shapes.

    ``encoder`` is the size of a VAE's encoder, each direction; ``decoder`` may be left out for cells whose size
    ``info.hidden`` says.
    """
    return model_shapes(
        decoder or CellSizes(info.cell, info.hidden), encoder,
        mixtures=info.mixtures, z_size=info.z_size, labels=len(info.labels), label_size=info.label_size,
    )  # fmt: skip


def _sizes(prefix: str, cell: str, came: Mapping[str, Shape], where: str) -> CellSizes:
    """The size of a cell in a file, refused where the shapes it is read off make no sense."""
    sizes = sizes_of(prefix, cell, came)
    counts = {"w_h": sizes.units}
    if cell == "hyper":
        counts |= {"hyper.w_h": sizes.hyper_units, "scale_x.w": sizes.embedding}
    for name, count in counts.items():
        if not 1 <= count <= MAX_UNITS:
            raise CheckpointError(
                f"{where}: {prefix}.{name} has shape {came.get(f'{prefix}.{name}', ())}, of which no size of a {cell} "
                f"cell from 1 to {MAX_UNITS} can be read; make the file again"
            )
    return sizes


def check_shapes(info: CheckpointInfo, came: Mapping[str, Shape], where: str) -> None:
    """Compares the shapes in a file with those that its fields call for; other sizes are read off its weights.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape.
    """
    encoder = _sizes("encoder.forward", info.encoder_cell, came, where) if info.encoder_cell else None
    decoder = CellSizes(info.cell, info.hidden)
    if info.cell == "hyper":
        decoder = replace(_sizes("decoder", info.cell, came, where), units=info.hidden)
    compare_shapes(shapes_of(info, encoder, decoder), came, where, info.architecture)


def compare_shapes(expected: Mapping[str, Shape], came: Mapping[str, Shape], where: str, architecture: str) -> None:
    """Compares the shapes in a file with those expected of an architecture.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape.
    """
    for name, shape in expected.items():
        if came.get(name) != shape:
            found = f"has shape {came[name]}" if name in came else "is missing"
            raise CheckpointError(
                f"{where}: tensor {name} {found}; expected {shape}; the file is damaged or of another kind"
            )
    unknown = sorted(set(came) - set(expected))
    if unknown:
        raise CheckpointError(
            f"{where}: unknown tensors {', '.join(unknown[:5])[:200]}; a {architecture} of this kind has "
            f"{', '.join(expected)[:500]}"
        )


def check_storage(dtypes: Mapping[str, str], scales: Mapping[str, Any], where: str) -> None:
    """Checks number types (NumPy's names) and scales, which must be there for the same tensors.

    Raises:
        CheckpointError: another type, or a scale that is missing, not finite, or not above 0.
    """
    for name, dtype in dtypes.items():
        if dtype not in DTYPES:
            raise CheckpointError(f"{where}: tensor {name} is {dtype}; expected {', '.join(DTYPES)}; convert it")
        scale = scales.get(name)
        if not is_number(scale) or not 0 < scale <= MAX_WEIGHT:
            raise CheckpointError(
                f"{where}: tensor {name} has scale {scale!r}; expected a finite number above 0, up to {MAX_WEIGHT:g}"
            )


def check_weights(checkpoint: Checkpoint | TextCheckpoint, where: str) -> None:
    """Checks that every weight is finite and within ±``MAX_WEIGHT``.

    Raises:
        CheckpointError: one is not; the message names its tensor.
    """
    for name, tensor in checkpoint.tensors.items():
        values = tensor.values
        least, most = float(values.min()), float(values.max())  # NaN comes through both
        peak = float(np.maximum(abs(least), abs(most))) * tensor.scale
        if not peak <= MAX_WEIGHT:
            raise CheckpointError(
                f"{where}: tensor {name} has weights from {least:g} to {most:g}, scale {tensor.scale:g}; expected "
                f"finite weights within ±{MAX_WEIGHT:g}; the training went wrong or the file is damaged"
            )


def check(checkpoint: Checkpoint, where: str) -> None:
    """Checks everything about a model; ``where`` names the file in messages.

    Raises:
        CheckpointError: what is wrong with it.
    """
    info = info_from(info_values(checkpoint), where)
    tensors = checkpoint.tensors
    check_shapes(info, {name: tensor.shape for name, tensor in tensors.items()}, where)
    dtypes = {name: tensor.values.dtype.name for name, tensor in tensors.items()}
    check_storage(dtypes, {name: tensor.scale for name, tensor in tensors.items()}, where)
    check_weights(checkpoint, where)
