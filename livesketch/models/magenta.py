"""Magenta's JSON models: ``.gen.json`` (decoders) in and out, ``.vae.json`` (encoder and decoder) in.

A file is ``[info, shapes, blobs]``; each blob is base64 of little-endian int16 in row order, and a weight is
10 q / 32767. Format and array order: magenta/magenta-demos ``sketch-rnn-js/lib/sketch_rnn.js``.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError, UnsupportedModelError
from ..files import check_size, replacing
from .checkpoint import check_target, is_path
from .checks import check, check_shapes, info_from, info_values
from .fields import Fields, is_number, parse_json
from .model import Checkpoint, CheckpointInfo, Tensor

INT16_SCALE: Final = 10 / 32767
"""What one step of a stored integer is worth."""

DEFAULT_STAGE_SCALE: Final = 29.0
"""Stage units of a model whose training drawings are not at hand, in scale factors.

Measured on 100 drawings of each of five official decoders at temperature 0.65: 95 % of them reach 11.5 to 15.7 scale
factors (on average 14.3) from their start to one side; the stage reaches as far to each side.
"""

MAX_BYTES: Final = 256 << 20
"""Most bytes of a JSON model; the official ones have 3 million."""

NEWEST_VERSION: Final = 6

_DECODER: Final = ("head.w", "head.b", "decoder.w_x", "decoder.w_h", "decoder.b")
_ENCODER: Final = tuple(f"encoder.{way}.{part}" for way in ("forward", "backward") for part in ("w_x", "w_h", "b"))
_ORDER: Final = {
    "sketch_decoder": _DECODER,
    "sketch_vae": (*_ENCODER, "mu.w", "mu.b", "sigma.w", "sigma.b", "start.w", "start.b", *_DECODER),
}
_MODES: Final[dict[object, str]] = {
    **dict.fromkeys((2, "gen"), "sketch_decoder"),
    **dict.fromkeys((0, 1, "vae"), "sketch_vae"),
}
_FORMATS: Final = {"sketch_decoder": "magenta gen.json", "sketch_vae": "magenta vae.json"}
# The official decoders were trained to start from zeros, unlike those of the Python code: sketch_rnn.js, zero_input.
_ZEROS: Final = (0.0, 0.0, 0.0, 0.0, 0.0)
_START: Final = (0.0, 0.0, 1.0, 0.0, 0.0)


def import_magenta(path: str | Path) -> Checkpoint:
    """The checkpoint of a ``.gen.json`` or ``.vae.json`` file, versions 1 to 6; its contents say which it is.

    The integers are kept as they are. Nothing is decoded before the sizes of all arrays agree with each other and
    with the length of the text.

    Raises:
        CheckpointError: it cannot be read, is damaged, of absurd size or something else; UnsupportedModelError for a
            version that is not known.
    """
    if not is_path(path):
        raise CheckpointError(
            f"the path is {path!r:.60} of type {type(path).__name__}; expected a name such as bird.gen.json"
        )
    where = str(path)
    described, shapes, blobs = _parts(Path(path))
    get = Fields(described, where)
    architecture = _architecture(get)
    order = _ORDER[architecture]
    if len(shapes) != len(order) or len(blobs) != len(order):
        raise CheckpointError(
            f"{where}: {len(shapes)} shapes and {len(blobs)} arrays; expected {len(order)} of each in a "
            f"{_FORMATS[architecture]} file"
        )
    layout = {name: _shape(shape, where) for name, shape in zip(order, shapes, strict=True)}
    info = _info(get, architecture, layout)
    check_shapes(info, layout, where)
    coded = dict(zip(order, blobs, strict=True))
    for name, shape in layout.items():
        _check_blob(name, shape, coded[name], where)
    tensors = {name: Tensor(_decode(name, shape, coded[name], where), INT16_SCALE) for name, shape in layout.items()}
    return Checkpoint(**info_values(info), tensors=tensors)


def export_magenta(checkpoint: Checkpoint, path: str | Path) -> None:
    """Writes a decoder as ``.gen.json``; an imported one comes out with the same integers and the same info.

    Weights that are not already multiples of 10/32767 are rounded to them, and clipped to ±10. A start token other
    than zeros is kept as ``start_token`` in the info, where ``import_magenta`` finds it; magenta's own players pass
    over it and start from what they always start from.

    Raises:
        CheckpointError: the checkpoint is not sound; UnsupportedModelError where it is not a decoder that draws one
            thing by itself.
        OutputError: another ending than .json, or the file cannot be written.
    """
    check_target(checkpoint, path, ".gen.json")
    check(checkpoint, checkpoint.name)
    if checkpoint.architecture != "sketch_decoder" or checkpoint.z_size or checkpoint.label_size:
        kind = f"with {len(checkpoint.labels)} labels" if checkpoint.label_size else "with a latent vector"
        raise UnsupportedModelError(
            f"model {checkpoint.name!r} is a {checkpoint.architecture} {kind}; .gen.json holds decoders that draw one "
            "thing by themselves; keep this one as .safetensors"
        )
    integers = {name: _integers(checkpoint.tensors[name]) for name in _DECODER}
    if checkpoint.forget_bias != 1.0:  # a .gen.json player always adds 1
        hidden = checkpoint.hidden
        bias = checkpoint.tensors["decoder.b"].dense()
        bias[2 * hidden : 3 * hidden] += checkpoint.forget_bias - 1.0
        integers["decoder.b"] = _rounded(bias)
    blobs = [base64.b64encode(integers[name].astype("<i2").tobytes()).decode() for name in _DECODER]
    shapes = [list(integers[name].shape) for name in _DECODER]
    text = json.dumps([_described(checkpoint), shapes, blobs], allow_nan=False, separators=(",", ":"))
    with replacing(path) as stream:
        stream.write(text.encode())


def _parts(path: Path) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """The three parts of a file: info, shapes, blobs."""
    expected = "expected magenta's .gen.json or .vae.json, [info, shapes, arrays]"
    try:
        check_size(path, MAX_BYTES)
        content = parse_json(path.read_bytes())
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise CheckpointError(f"{path}: cannot be read: {reason}; {expected}") from err
    if not isinstance(content, list) or len(content) != 3:
        came = f"a list of {len(content)}" if isinstance(content, list) else f"a JSON {type(content).__name__}"
        raise CheckpointError(f"{path}: {came}; {expected}")
    described, shapes, blobs = content
    if not isinstance(described, dict) or not isinstance(shapes, list) or not isinstance(blobs, list):
        kinds = ", ".join(type(part).__name__ for part in content)
        raise CheckpointError(f"{path}: a list of {kinds}; {expected}")
    return described, shapes, blobs


def _architecture(get: Fields) -> str:
    version = get.whole("version", 1, 10**6)
    if version > NEWEST_VERSION:
        raise UnsupportedModelError(
            f"{get.where}: version {version}; versions 1 to {NEWEST_VERSION} are known; try a newer livesketch"
        )
    mode = get.values.get("mode")
    if isinstance(mode, bool) or not isinstance(mode, int | str) or mode not in _MODES:
        raise get.refuse("mode", '2 or "gen" for a decoder, 0, 1 or "vae" for an encoder and decoder')
    return _MODES[mode]


def _shape(shape: Any, where: str) -> tuple[int, ...]:
    whole = isinstance(shape, list) and all(isinstance(size, int) and not isinstance(size, bool) for size in shape)
    if not whole or not 1 <= len(shape) <= 2 or min(shape) < 1:
        raise CheckpointError(f"{where}: an array has the shape {str(shape)[:80]}; expected one or two sizes above 0")
    return tuple(shape)


def _info(get: Fields, architecture: str, layout: Mapping[str, tuple[int, ...]]) -> CheckpointInfo:
    """The fields of a checkpoint, from the info and the shapes; whether those agree is for ``check_shapes`` to say."""
    scale = get.number("scale_factor", 0, 1e9)
    token = get.numbers("start_token", 5) if "start_token" in get.values else None
    decoder = architecture == "sketch_decoder"
    losses = {key: get.values[key] for key in ("r_loss", "kl_loss") if is_number(get.values.get(key))}
    values = {
        "name": get.name("name"),
        "architecture": architecture,
        "cell": "lstm",
        "hidden": layout["decoder.w_h"][0],
        "mixtures": max(1, (layout["head.b"][0] - 3) // 6),
        "z_size": 0 if decoder else layout["start.w"][0],
        "label_size": 0,
        "labels": (),
        "scale_factor": scale,
        "stage_units": DEFAULT_STAGE_SCALE * scale,
        "max_steps": get.whole("max_seq_len", 1, 10**6),
        "start_token": token or (_ZEROS if decoder else _START),
        "start_pen": "down",
        "forget_bias": 1.0,
        "licence": "not stated in the file",
        "attribution": "",
        "data": "not stated in the file",
        "losses": losses,
        "source": {"format": _FORMATS[architecture], "info": dict(get.values)},
    }
    return info_from(values, get.where)


def _check_blob(name: str, shape: tuple[int, ...], blob: Any, where: str) -> None:
    length = 4 * math.ceil(2 * math.prod(shape) / 3)
    if not isinstance(blob, str) or len(blob) != length:
        came = f"{len(blob)} characters" if isinstance(blob, str) else f"a JSON {type(blob).__name__}"
        raise CheckpointError(
            f"{where}: array {name} is {came}; its shape {shape} calls for {length}; the file is cut or damaged"
        )


def _decode(name: str, shape: tuple[int, ...], blob: str, where: str) -> NDArray[np.int16]:
    try:
        content = base64.b64decode(blob, validate=True)
        return np.frombuffer(content, "<i2").reshape(shape).astype(np.int16)
    except (binascii.Error, ValueError) as err:
        raise CheckpointError(f"{where}: array {name} is not base64 of int16 ({err}); the file is damaged") from err


def _integers(tensor: Tensor) -> NDArray[np.int16]:
    if tensor.values.dtype == np.int16 and tensor.scale == INT16_SCALE:
        return tensor.values
    return _rounded(tensor.dense())


def _rounded(dense: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.rint(np.clip(dense, -10, 10) / INT16_SCALE).astype(np.int16)


def _described(checkpoint: Checkpoint) -> dict[str, Any]:
    """The info to write: what an imported one came with, as far as it is still true."""
    described: dict[str, Any] = {"mode": 2, "version": NEWEST_VERSION}
    kept = checkpoint.source.get("info")
    if checkpoint.source.get("format") == _FORMATS["sketch_decoder"] and isinstance(kept, Mapping):
        described = dict(kept)
    token = list(checkpoint.start_token)
    now = {
        "name": checkpoint.name,
        "max_seq_len": checkpoint.max_steps,
        "scale_factor": checkpoint.scale_factor,
        **({"start_token": token} if token != list(described.get("start_token", _ZEROS)) else {}),
    }
    described |= {key: value for key, value in now.items() if described.get(key) != value}
    return described
