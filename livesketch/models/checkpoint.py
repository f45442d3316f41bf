"""Checkpoints: one safetensors file with the weights, and what is known about them as JSON in its header.

The header's metadata has the key ``livesketch``: a JSON object with ``format`` (1), the fields of ``CheckpointInfo`` or
of ``TextInfo``, whose ``architecture`` tells them apart, and ``scales``, one number per tensor. Fields that this
version does not know are passed over. The tensors and their shapes are those of ``checks.shapes_of`` and
``text_model.text_shapes``.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import CheckpointError, OutputError, UnsupportedModelError
from ..files import check_size, replacing
from .checks import check, check_shapes, check_storage, check_weights, info_from, info_values, shapes_of
from .fields import Fields, parse_json
from .model import Checkpoint, CheckpointInfo, Tensor, quantize
from .text_checks import check_text, check_text_shapes, text_from, text_values
from .text_model import TextCheckpoint, TextInfo

__all__ = [
    "FORMAT",
    "MAX_BYTES",
    "MAX_HEADER",
    "Checkpoint",
    "CheckpointInfo",
    "Tensor",
    "TextCheckpoint",
    "TextInfo",
    "check",
    "load_checkpoint",
    "load_text",
    "other_kind",
    "quantize",
    "read_header",
    "save_checkpoint",
    "save_text",
    "shapes_of",
]

FORMAT: Final = 1
"""The version of the metadata."""

MAX_BYTES: Final = 4 << 30
"""Most bytes of a checkpoint file."""

MAX_HEADER: Final = 16 << 20
"""Most bytes of its header."""

_KEY: Final = "livesketch"
_DTYPES: Final = {"I16": "int16", "F16": "float16", "F32": "float32"}


def save_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Writes one ``.safetensors`` file; the same checkpoint gives the same bytes.

    Raises:
        CheckpointError: no checkpoint, or a field or tensor that ``load_checkpoint`` would refuse.
        OutputError: another ending, by which the file would not be known for a model; or it cannot be written.
    """
    check_target(checkpoint, path, ".safetensors")
    check(checkpoint, str(path))
    _save(info_values(checkpoint), checkpoint.tensors, path)


def save_text(checkpoint: TextCheckpoint, path: str | Path) -> None:
    """``save_checkpoint`` for a text model.

    Raises:
        CheckpointError: no text model, or a field or tensor that ``load_text`` would refuse.
        OutputError: as ``save_checkpoint``.
    """
    check_target(checkpoint, path, ".safetensors", TextCheckpoint)
    check_text(checkpoint, str(path))
    _save(text_values(checkpoint), checkpoint.tensors, path)


def _save(info: dict[str, Any], tensors_by_name: Mapping[str, Tensor], path: str | Path) -> None:
    """Writes checked fields and tensors."""
    from safetensors.numpy import save  # noqa: PLC0415 - loaded when first used

    tensors = sorted(tensors_by_name.items())
    values = {"format": FORMAT, **info, "scales": {name: tensor.scale for name, tensor in tensors}}
    values |= {"losses": dict(info["losses"]), "source": dict(info["source"])}
    try:
        text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as err:
        raise CheckpointError(f"{path}: metadata that is not JSON ({err}); 'source' takes JSON values only") from err
    if 2 * len(text) > MAX_HEADER:  # the header escapes it once more
        raise CheckpointError(f"{path}: metadata of {len(text)} bytes, at most {MAX_HEADER // 2} fit; shorten 'source'")
    arrays = {name: np.ascontiguousarray(tensor.values) for name, tensor in tensors}
    with replacing(path) as stream:
        stream.write(save(arrays, {_KEY: text}))


def check_target(
    checkpoint: Any, path: Any, ending: str, kind: type[Checkpoint] | type[TextCheckpoint] = Checkpoint
) -> None:
    """Refuses what is no checkpoint, and names under which a model could not be opened, before anything is written.

    Raises:
        CheckpointError: no checkpoint.
        OutputError: no path, or its last suffix is not that of ``ending``, such as ``.gen.json``.
    """
    example = f"bird{ending}"
    if not is_path(path):
        raise OutputError(f"the path is {path!r:.60} of type {type(path).__name__}; expected a name such as {example}")
    if Path(path).suffix.lower() != Path(example).suffix:
        raise OutputError(f"{path}: a model of this kind is known by its ending; give a name such as {example}")
    if not isinstance(checkpoint, kind):
        such = "load_checkpoint or import_magenta gives" if kind is Checkpoint else "load_text gives"
        raise CheckpointError(
            f"{path}: the model is {checkpoint!r:.60} of type {type(checkpoint).__name__}; expected a {kind.__name__}, "
            f"such as {such} (save_checkpoint keeps what draws, save_text what writes)"
        )


def is_path(path: Any) -> bool:
    """Whether this can name a file: a string, or a path object of one."""
    return isinstance(path, str | os.PathLike) and isinstance(os.fspath(path), str)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a file that ``save_checkpoint`` wrote; fields, shapes and types are checked before weights are read.

    Raises:
        CheckpointError: it cannot be read, is damaged, of absurd size, or something else; UnsupportedModelError where
            it is a file of a newer version or of an unknown architecture.
    """
    with _opened(path) as file:
        info, scales = _described(file, str(path))
        if not isinstance(info, CheckpointInfo):
            raise other_kind(str(path), "text")
        checkpoint = Checkpoint(**info_values(info), tensors=_tensors(file, scales))
    check_weights(checkpoint, str(path))
    return checkpoint


def load_text(path: str | Path) -> TextCheckpoint:
    """Reads a file that ``save_text`` wrote, as ``load_checkpoint`` does.

    Raises:
        CheckpointError: as ``load_checkpoint``; UnsupportedModelError also for a model that draws.
    """
    with _opened(path) as file:
        info, scales = _described(file, str(path))
        if not isinstance(info, TextInfo):
            raise other_kind(str(path), "sketch")
        checkpoint = TextCheckpoint(**text_values(info), tensors=_tensors(file, scales))
    check_weights(checkpoint, str(path))
    return checkpoint


def read_header(path: str | Path) -> CheckpointInfo | TextInfo:
    """What a file says about its model, without reading any weights.

    Raises:
        CheckpointError: as ``load_checkpoint`` and ``load_text``, but for what only the weights show.
    """
    with _opened(path) as file:
        return _described(file, str(path))[0]


def other_kind(where: str, kind: str) -> UnsupportedModelError:
    """The error for a model of this kind, ``text`` or ``sketch``, where the other is wanted."""
    does, wanted = ("writes", "draws") if kind == "text" else ("draws", "writes")
    command = "write" if kind == "text" else "draw"
    return UnsupportedModelError(
        f"{where}: a {kind} model, which {does}; expected one that {wanted}; for this one call ls.{kind}({where!r}) or "
        f"run `livesketch {command}`"
    )


def _tensors(file: Any, scales: Mapping[str, float]) -> dict[str, Tensor]:
    return {name: Tensor(file.get_tensor(name), scales[name]) for name in sorted(file.keys())}


def _check_header(path: Path) -> None:
    """Refuses a file whose size or header size cannot be true, before anything parses it."""
    size = check_size(path, MAX_BYTES)
    with path.open("rb") as stream:
        header = int.from_bytes(stream.read(8), "little")
    if size < 8 or header > min(MAX_HEADER, size - 8):
        raise ValueError(f"{size} bytes that claim a header of {header}: cut short, or no safetensors")


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """The ``safe_open`` of a file; whatever goes wrong with it in the block is a CheckpointError."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - loaded when first used

    hint = "expected a livesketch checkpoint (.safetensors); a .gen.json is turned into one by `livesketch import`"
    if not is_path(path):
        raise CheckpointError(f"the path is {path!r:.60} of type {type(path).__name__}; {hint}")
    try:
        _check_header(Path(path))
        with safe_open(str(path), framework="np") as file:
            yield file
    except CheckpointError:
        raise
    except (OSError, ValueError, SafetensorError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise CheckpointError(f"{path}: cannot be read: {reason}; {hint}") from err


def _described(file: Any, where: str) -> tuple[CheckpointInfo | TextInfo, Mapping[str, float]]:
    """The checked fields and scales of an opened file, whose shapes and types are checked against them."""
    values, get = _metadata(file, where)
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    info: CheckpointInfo | TextInfo
    if str(values.get("architecture")).startswith("text_"):
        info = text_from(values, where)
        check_text_shapes(info, shapes, where)
    else:
        info = info_from(values, where)
        check_shapes(info, shapes, where)
    scales = get.table("scales")
    dtypes = {name: part.get_dtype() for name, part in slices.items()}
    check_storage({name: _DTYPES.get(dtype, dtype) for name, dtype in dtypes.items()}, scales, where)
    return info, {name: float(scales[name]) for name in slices}


def _metadata(file: Any, where: str) -> tuple[dict[str, Any], Fields]:
    """The JSON object of an opened file, of a version that can be read."""
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
        raise CheckpointError(f"{where}: safetensors, but not of livesketch: its metadata has no {_KEY!r}")
    values = parse_json(text)
    if not isinstance(values, dict):
        raise CheckpointError(f"{where}: its metadata is a {type(values).__name__}; expected an object")
    get = Fields(values, where)
    version = get.whole("format", 1, 10**9)
    if version > FORMAT:
        raise UnsupportedModelError(f"{where}: format {version}; this version reads {FORMAT}; try a newer livesketch")
    return values, get
