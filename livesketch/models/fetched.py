"""What is known about a fetched file: whether it is what it should be, where it came from, and the model's card."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..errors import CheckpointError, DataError, LivesketchError
from ..files import replacing
from .fields import parse_json
from .magenta import import_magenta
from .model import Checkpoint

WEIGHTS_LICENCE: Final = "not stated by Google"
WEIGHTS_CREDIT: Final = "The weights are Google's (Magenta, Sketch-RNN)"
DRAWINGS_LICENCE: Final = "CC-BY-4.0"
DRAWINGS_CREDIT: Final = "Quick, Draw! Dataset, Google Creative Lab, CC BY 4.0"

_LINES: Final = 20
"""Lines looked at, from the beginning of an ndjson file."""
_LONGEST: Final = 1 << 20
"""Bytes of the longest line of an ndjson file, and the end of it that is looked at."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept beside a fetched file, as JSON."""

    name: str
    """As in ``magenta:owl``."""
    url: str
    fetched: str
    """Date and time, UTC."""
    bytes: int
    sha256: str
    licence: str
    attribution: str
    replaced: str
    """The SHA-256 of the file that was there before, where it was another one; else empty."""


def record_path(target: Path) -> Path:
    """Where the record of a fetched file is."""
    return target.with_name(f"{target.name}.origin")


def read_record(target: Path) -> Record | None:
    """The record of a fetched file; None where there is none that can be read: the file was put there by hand."""
    try:
        values = json.loads(record_path(target).read_text(encoding="utf-8"))
        record = Record(**values)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    sound = all(isinstance(getattr(record, entry.name), entry.type) for entry in dataclasses.fields(record))  # type: ignore[arg-type]
    return record if sound else None


def keep_record(target: Path, url: str, name: str, *, official: bool) -> tuple[Record, Record | None]:
    """Writes the record of a file that has just come, and a model's card; gives it and the one before it.

    Raises:
        OSError: the file or the folder is not to be had.
    """
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    before = read_record(target)
    model = target.suffix == ".json"
    credit = WEIGHTS_CREDIT if model else DRAWINGS_CREDIT
    record = Record(
        name=name,
        url=url,
        fetched=datetime.now(UTC).isoformat(timespec="seconds"),
        bytes=target.stat().st_size,
        sha256=digest,
        licence=WEIGHTS_LICENCE if model else DRAWINGS_LICENCE,
        attribution=credit if official else f"{credit}; so says the name, it came from a copy",
        replaced=before.sha256 if before is not None and before.sha256 != digest else "",
    )
    with replacing(record_path(target)) as stream:
        stream.write((json.dumps(dataclasses.asdict(record), indent=1) + "\n").encode())
    if model:
        with replacing(target.with_suffix(".md")) as stream:
            stream.write(_card(target, record).encode())
    return record, before


def credited(checkpoint: Checkpoint, target: Path) -> Checkpoint:
    """A fetched model with its licence, attribution and address filled in; the file itself states none."""
    record = read_record(target)
    came = {"fetched": dataclasses.asdict(record)} if record is not None else {}
    return dataclasses.replace(
        checkpoint,
        licence=WEIGHTS_LICENCE,
        attribution=record.attribution if record is not None else WEIGHTS_CREDIT,
        source={**checkpoint.source, **came},
    )


def check_file(path: Path, target: Path) -> None:
    """Whether the file at ``path`` holds what the file name of ``target`` says.

    Raises:
        CheckpointError: it is no magenta model of that kind.
        DataError: it is no data set of that kind.
    """
    try:
        if target.suffix == ".json":
            _check_model(path, "sketch_vae" if target.name.endswith(".vae.json") else "sketch_decoder")
        elif target.suffix == ".npz":
            from ..data.sketch_npz import read_sketch_npz  # noqa: PLC0415 - models are opened without it

            read_sketch_npz(path)
        else:
            _check_ndjson(path)
    except LivesketchError as err:
        page = " (what came is a web page: does a login or a proxy stand between?)" if _is_page(path) else ""
        text = str(err).replace(str(path), target.name).replace(path.name, target.name)
        raise type(err)(f"{text}{page}") from err


def _check_model(path: Path, architecture: str) -> None:
    checkpoint = import_magenta(path)
    if checkpoint.architecture != architecture:
        raise CheckpointError(f"{path}: a {checkpoint.architecture}; expected a {architecture}")


def _check_ndjson(path: Path) -> None:
    """The first lines, and that the last one is whole.

    One drawing a line: ``{"word": ..., "drawing": [[[x, ...], [y, ...]], ...]}`` (googlecreativelab/quickdraw-dataset
    ``README.md``, "Simplified drawing files").
    """
    try:
        with path.open("rb") as stream:
            for number in range(_LINES):
                line = stream.readline(_LONGEST)
                if line.strip():
                    _check_drawing(line)
                elif not line and number:
                    break
                else:
                    raise DataError(f"{path}: line {number + 1} is empty; expected a drawing")
            stream.seek(max(0, stream.seek(0, 2) - _LONGEST))
            _check_drawing(stream.read().rstrip(b"\r\n").rpartition(b"\n")[2])
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror or err}") from err
    except ValueError as err:
        raise DataError(f"{path}: not an ndjson file of drawings that is whole ({err})") from err


def _check_drawing(line: bytes) -> None:
    """Raises ValueError where a line is no drawing."""
    value: Any = parse_json(line)
    strokes = value.get("drawing") if isinstance(value, dict) else None
    if not isinstance(strokes, list) or not all(isinstance(stroke, list) and len(stroke) >= 2 for stroke in strokes):
        raise ValueError("a line without a 'drawing' of strokes [[x, ...], [y, ...]]")


def _is_page(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(200).lstrip().startswith(b"<")
    except OSError:
        return False


def _card(target: Path, record: Record) -> str:
    kind = "encoder and decoder" if target.name.endswith(".vae.json") else "decoder"
    before = f"| it was before | sha256 {record.replaced} |\n" if record.replaced else ""
    return f"""# {record.name}

A Sketch-RNN {kind} of Google's Magenta project, fetched by livesketch. {record.attribution}.
livesketch did not train it and does not pass it on.

| | |
|---|---|
| file | {target.name} |
| from | {record.url} |
| fetched | {record.fetched} |
| bytes | {record.bytes} |
| sha256 | {record.sha256} |
{before}| licence of the weights | {record.licence} |
| attribution | {record.attribution} |

Google publishes no hash and no licence for this file: ask Google before you pass it on or sell what needs its weights.
"""
