"""Whether a model is sound: its fields, shapes and weights. All that is loaded, imported or saved is checked."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import numpy as np

from ..errors import CheckpointError, UnsupportedModelError
from .fields import Fields, is_number
from .model import Checkpoint, CheckpointInfo

MAX_WEIGHT: Final = 1e6
"""Largest weight: with more, sums of them leave float32."""

DTYPES: Final = ("int16", "float16", "float32")

_MAX_UNITS: Final = 1e9
_KNOWN: Final = {"architecture": ("sketch_decoder", "sketch_vae"), "cell": ("lstm",), "start_pen": ("down",)}


def info_values(info: CheckpointInfo) -> dict[str, Any]:
    """The fields of a ``CheckpointInfo`` by name; of a ``Checkpoint`` those without the tensors."""
    return {field.name: getattr(info, field.name) for field in fields(CheckpointInfo)}


def info_from(values: Mapping[str, Any], where: str) -> CheckpointInfo:
    """The fields out of a JSON object, each checked; ``where`` names the file in messages.

    Raises:
        CheckpointError: a field is missing or out of range; UnsupportedModelError for an unknown architecture.
    """
    get = Fields(values, where)
    for key, known in _KNOWN.items():
        if get.text(key) not in known:
            raise UnsupportedModelError(
                f"{where}: {key} is {str(values[key])[:80]!r}; this version knows {', '.join(known)}; "
                "try a newer livesketch"
            )
    info = CheckpointInfo(
        name=get.name("name"),
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


def shapes_of(info: CheckpointInfo, encoder: int = 0) -> dict[str, tuple[int, ...]]:
    """The tensors that a model has, and their shapes; ``encoder`` is the units of a VAE's encoder, each direction."""
    hidden, head, condition = info.hidden, 3 + 6 * info.mixtures, info.z_size + info.label_size
    shapes: dict[str, tuple[int, ...]] = {
        "decoder.w_x": (5 + condition, 4 * hidden),
        "decoder.w_h": (hidden, 4 * hidden),
        "decoder.b": (4 * hidden,),
        "head.w": (hidden, head),
        "head.b": (head,),
    }
    if condition:
        shapes |= {"start.w": (condition, 2 * hidden), "start.b": (2 * hidden,)}
    if info.label_size:
        shapes["label.w"] = (len(info.labels), info.label_size)
    if info.architecture == "sketch_vae":
        for way in ("encoder.forward", "encoder.backward"):
            shapes |= {f"{way}.w_x": (5, 4 * encoder), f"{way}.w_h": (encoder, 4 * encoder), f"{way}.b": (4 * encoder,)}
        for part in ("mu", "sigma"):
            shapes |= {f"{part}.w": (2 * encoder, info.z_size), f"{part}.b": (info.z_size,)}
    return shapes


def check_shapes(info: CheckpointInfo, came: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Compares the shapes in a file with those that its fields call for; the encoder's size is read off its weights.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape.
    """
    recurrent = came.get("encoder.forward.w_h", ())
    encoder = recurrent[0] if len(recurrent) == 2 else 0
    if info.architecture == "sketch_vae" and not 1 <= encoder <= 16384:
        raise CheckpointError(
            f"{where}: encoder.forward.w_h has shape {recurrent}; expected (E, 4E) with E from 1 to 16384; "
            "make the file again"
        )
    expected = shapes_of(info, encoder)
    for name, shape in expected.items():
        if came.get(name) != shape:
            found = f"has shape {came[name]}" if name in came else "is missing"
            raise CheckpointError(
                f"{where}: tensor {name} {found}; expected {shape}; the file is damaged or of another kind"
            )
    unknown = sorted(set(came) - set(expected))
    if unknown:
        raise CheckpointError(
            f"{where}: unknown tensors {', '.join(unknown[:5])[:200]}; a {info.architecture} of this kind has "
            f"{', '.join(expected)}"
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


def check_weights(checkpoint: Checkpoint, where: str) -> None:
    """Checks that every weight is finite and within ±``MAX_WEIGHT``.

    Raises:
        CheckpointError: one is not; the message names its tensor.
    """
    for name, tensor in checkpoint.tensors.items():
        values = tensor.values
        least, most = float(values.min()), float(values.max())  # NaN comes through both
        peak = np.maximum(abs(least), abs(most)) * tensor.scale
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
