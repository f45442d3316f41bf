"""The events of a trace made anew: from the model, the seed, what a human drew, and every control that was changed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.json_lines import json_lines
from ..errors import DataError
from ..events import PenAction
from ..models.catalogue import open_any
from ..models.text_model import TextCheckpoint
from ..streams.sketch import SketchStream, sketch
from ..streams.text import TextStream, text


@dataclass(frozen=True, slots=True)
class Remade:
    """What came of it."""

    events: int
    """Pen actions and tokens of the recording."""
    given: int
    """Of these, those that a human drew or wrote, which are taken from the recording."""
    first_difference: str
    """Where the first one is that came out otherwise, in words; empty: all are the same, bit for bit."""


def remake(path: str | os.PathLike[str], model: str | None = None, name: str | None = None) -> Remade:
    """Plays the seed and the controls of a trace again, and compares every event with the recorded one.

    Args:
        path: what ``livesketch.trace`` wrote, of one voice, from the beginning of a drawing or piece on.
        model: what to open, where the recorded name is not enough, as for a checkpoint of your own.
        name: of several plays this one's; None: the first.

    Raises:
        DataError: it is no trace of one voice, or begins in the middle.
        ModelNotFoundError and the others of ``livesketch.sketch``.
    """
    where = Path(path)
    records = _play(where, name)
    header = next(records, None)
    if header is None:
        raise DataError(f"{where}: no play{f' of {name!r}' if name else ''} in it; expected a file of livesketch.trace")
    if header["voices"] != 1:
        raise DataError(f"{where}: a play of {header['voices']} voices; only those of one voice are made again")
    stream: SketchStream | TextStream | None = None
    given: list[dict[str, Any]] = []
    count = fed = 0
    controls: list[dict[str, Any]] = []
    for record in records:
        kind = record["event"]
        if kind == "control":
            controls.append(record)
            continue
        if stream is None:
            stream = _opened(model or header["model"], header["seed"], record, where)
        if record.get("source") == "human" or (kind == "token" and record["given"]):
            given.append(record)
            fed += 1
            count += 1
            continue
        _set(stream, controls, where)
        _feed(stream, given)
        difference = _difference(record, next(stream))
        count += 1
        if difference:
            return Remade(count, fed, f"event {count}, {difference}")
    return Remade(count, fed, "")


def _play(path: Path, name: str | None) -> Iterator[dict[str, Any]]:
    """The header of a play, and its records."""
    inside = False
    for _, record in json_lines(path):
        if isinstance(record, str):
            continue
        if "trace" in record:
            if inside:
                return
            inside = name is None or record.get("name") == name
            if inside:
                yield record
        elif inside and record.get("event") in {"pen", "token", "control"}:
            yield record


def _opened(model: str, seed: int, first: dict[str, Any], path: Path) -> SketchStream | TextStream:
    number = first["drawing"] if first["event"] == "pen" else first["piece"]
    if first["step"] or number:
        raise DataError(
            f"{path}: the play begins at step {first['step']} of number {number}; only those from the very beginning "
            "are made again"
        )
    if isinstance(open_any(model), TextCheckpoint):
        return text(model, seed=seed, voice=first["voice"])
    return sketch(model, seed=seed, voice=first["voice"])


def _set(stream: Any, controls: list[dict[str, Any]], path: Path) -> None:
    for record in controls:
        control = record["control"]
        if not isinstance(control, str) or not isinstance(getattr(type(stream), control, None), property):
            raise DataError(f"{path}: a control {control!r:.40}; this livesketch has none of that name")
        if record["value"] is not None or control == "z":
            setattr(stream, control, record["value"])
    controls.clear()


def _feed(stream: Any, given: list[dict[str, Any]]) -> None:
    if given and given[0]["event"] == "pen":
        stream.feed([(record["dx"], record["dy"], float(record["pen"] == "up")) for record in given])
    elif given:
        stream.feed("".join(record["text"] for record in given), unknown=True)
    given.clear()


def _difference(record: dict[str, Any], event: Any) -> str:
    made = "pen" if isinstance(event, PenAction) else "token"
    if record["event"] != made:
        return f"event: recorded {record['event']!r}, made again {made!r}"
    names = ("drawing", "step", "dx", "dy", "ink", "last") if record["event"] == "pen" else ("piece", "step", "text")
    for name in names:
        if record[name] != getattr(event, name):
            return f"{name}: recorded {record[name]!r}, made again {getattr(event, name)!r}"
    return ""
