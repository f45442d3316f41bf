"""Whether a text model is sound: its fields, vocabulary, shapes and weights; the counterpart of ``checks``."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from ..errors import UnsupportedModelError
from .cells import Shape
from .checks import MAX_UNITS, MAX_WEIGHT, check_storage, check_weights, compare_shapes
from .fields import Fields
from .text_model import ARCHITECTURES, UNITS, TextCheckpoint, TextInfo, text_shapes

MAX_VOCABULARY: Final = 2**20

MAX_SYMBOL: Final = 1000
"""Most characters of a word."""

MAX_RING: Final = 2**28
"""Most numbers that a voice of a text_attention keeps: 1 GiB in float32."""

_KNOWN: Final = {"architecture": ARCHITECTURES, "unit": UNITS}
_BYTE: Final = re.compile("[0-9a-f]{2}")


def text_values(info: TextInfo) -> dict[str, Any]:
    """The fields of a ``TextInfo`` by name; of a ``TextCheckpoint`` those without the tensors."""
    return {field.name: getattr(info, field.name) for field in fields(TextInfo)}


def text_from(values: Mapping[str, Any], where: str) -> TextInfo:
    """The fields out of a JSON object, each checked; ``where`` names the file in messages.

    Raises:
        CheckpointError: a field is missing or out of range; UnsupportedModelError for an unknown architecture or unit.
    """
    get = Fields(values, where)
    for key, known in _KNOWN.items():
        if get.text(key) not in known:
            raise UnsupportedModelError(
                f"{where}: {key} is {values[key][:80]!r}; this version knows {', '.join(known)}; try a newer livesketch"
            )
    attention = get.text("architecture") == "text_attention"
    info = TextInfo(
        name=get.name("name"),
        architecture=get.text("architecture"),
        unit=get.text("unit"),
        vocabulary=_vocabulary(get),
        embedding=get.whole("embedding", 1, MAX_UNITS),
        hidden=get.whole("hidden", 1, MAX_UNITS),
        layers=get.whole("layers", 1, 64),
        tied=get.flag("tied"),
        heads=get.whole("heads", int(attention), MAX_UNITS if attention else 0),
        window=get.whole("window", int(attention), 2**20 if attention else 0),
        label_size=get.whole("label_size", 0, MAX_UNITS),
        labels=get.names("labels", 10_000),
        max_steps=get.whole("max_steps", 1, 10**6),
        forget_bias=get.number("forget_bias", -MAX_WEIGHT, MAX_WEIGHT),
        licence=get.text("licence"),
        attribution=get.text("attribution"),
        data=get.text("data"),
        losses=get.numbers_by_name("losses"),
        source=get.table("source"),
    )
    _check_sizes(info, get)
    return info


def _vocabulary(get: Fields) -> tuple[str, ...]:
    """END and UNK, both "", then symbols that differ and that the unit has."""
    symbols, unit = get.values.get("vocabulary"), get.text("unit")
    most = 258 if unit == "byte" else MAX_VOCABULARY
    if not isinstance(symbols, list | tuple) or not 3 <= len(symbols) <= most or list(symbols[:2]) != ["", ""]:
        raise get.refuse("vocabulary", f'a list of 3 to {most} symbols that begins with "", "" (END and UNK)')
    for symbol in symbols[2:]:
        if not _is_symbol(symbol, unit):
            what = {"character": "single characters", "word": f"texts of 1 to {MAX_SYMBOL} characters"}
            wanted = what.get(unit, "bytes as two hexadecimal digits, such as e5")
            raise Fields({"vocabulary": symbol}, get.where).refuse("vocabulary", f"{wanted} from its third place on")
    if len(set(symbols[2:])) != len(symbols) - 2:
        raise get.refuse("vocabulary", "symbols that differ")
    return tuple(symbols)


def _is_symbol(symbol: object, unit: str) -> bool:
    if not isinstance(symbol, str):
        return False
    if unit == "byte":
        return _BYTE.fullmatch(symbol) is not None
    whole = not any("\ud800" <= character <= "\udfff" for character in symbol)  # half of a pair cannot be written
    return whole and 1 <= len(symbol) <= (1 if unit == "character" else MAX_SYMBOL)


def _check_sizes(info: TextInfo, get: Fields) -> None:
    """Refuses sizes that do not go together."""
    if (info.label_size > 0) != bool(info.labels):
        raise get.refuse("labels", f"{'names' if info.label_size else 'none'}, as 'label_size' is {info.label_size}")
    attention = info.architecture == "text_attention"
    if info.embedding != info.hidden and (info.tied or attention):
        raise get.refuse("embedding", f"{info.hidden}, as 'hidden' is, in a model that is tied or a text_attention")
    if not attention:
        return
    if info.embedding % info.heads:
        raise get.refuse("heads", f"a divisor of 'embedding', which is {info.embedding}")
    if info.label_size not in {0, info.embedding}:
        raise get.refuse("label_size", f"0 or, as 'embedding' is, {info.embedding}")
    if 2 * info.layers * info.embedding * info.window > MAX_RING:
        raise get.refuse("window", f"at most {MAX_RING // (2 * info.layers * info.embedding)} for a model of this size")


def check_text_shapes(info: TextInfo, came: Mapping[str, Shape], where: str) -> None:
    """Compares the shapes in a file with those that its fields call for.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape.
    """
    compare_shapes(text_shapes(info), came, where, info.architecture)


def check_text(checkpoint: TextCheckpoint, where: str) -> None:
    """Checks everything about a model; ``where`` names the file in messages.

    Raises:
        CheckpointError: what is wrong with it.
    """
    info = text_from(text_values(checkpoint), where)
    tensors = checkpoint.tensors
    check_text_shapes(info, {name: tensor.shape for name, tensor in tensors.items()}, where)
    dtypes = {name: tensor.values.dtype.name for name, tensor in tensors.items()}
    check_storage(dtypes, {name: tensor.scale for name, tensor in tensors.items()}, where)
    check_weights(checkpoint, where)
