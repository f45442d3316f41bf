"""What a begun run notes of itself, so that it goes on with the same options or not at all."""

import hashlib
import json
import os
import secrets
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import ControlError, OutputError
from ..files import check_size
from ..models.checkpoint import Checkpoint
from ..streams.bulk import Subject

FORMAT: Final = 1
"""Of the notes and of what is kept with them."""

_MOST: Final = 1 << 20
_PASSED_OVER: Final = {"licence", "attribution", "data", "losses", "source", "tensors"}
"""What a model says and drawings do not depend on; its tensors are looked at apart."""


def version() -> str:
    """This program's; the package is loaded wherever a module of it is."""
    found: str = sys.modules[__name__.partition(".")[0]].__version__
    return found


def facts_of(subject: Subject) -> dict[str, Any]:
    """All that the drawings depend on, as JSON can hold it."""
    (mix,), z = subject.condition.mixes, subject.condition.z
    return {
        "format": FORMAT,
        "livesketch": version(),
        "model": subject.name,
        "weights": digest(subject.checkpoint),
        "seed": subject.seed,
        "temperature": subject.controls.temperature,
        "convention": subject.controls.convention,
        "label": dict(mix),
        "z": None if z is None else z[0].tolist(),
        "backend": subject.backend,
    }


def digest(checkpoint: Checkpoint) -> str:
    """A SHA-256 of all of a model that its drawings depend on."""
    own = {
        field.name: getattr(checkpoint, field.name) for field in fields(checkpoint) if field.name not in _PASSED_OVER
    }
    found = hashlib.sha256(json.dumps(own, sort_keys=True).encode())
    for name, tensor in sorted(checkpoint.tensors.items()):
        found.update(f"{name} {tensor.values.dtype.str} {tensor.values.shape} {tensor.scale!r}".encode())
        found.update(np.ascontiguousarray(tensor.values).tobytes())
    return found.hexdigest()


def _put(part: Path, path: Path) -> None:
    """The file comes to its place whole, and never over another's."""
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not path.exists():
            part.replace(path)


def noted(path: Path) -> dict[str, Any] | None:
    """What was noted; None where nothing was.

    Raises:
        OutputError: something else is there, or it cannot be read.
    """
    try:
        check_size(path, _MOST)
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found["seed"], int):
            raise TypeError("the seed is no number")  # noqa: TRY301 - as what json says
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as err:
        raise OutputError(
            f"{path}: notes of a begun run that cannot be read ({err}); delete the run and begin again"
        ) from err
    own: dict[str, Any] = found
    return own


def agree(path: Path, facts: dict[str, Any]) -> None:
    """Goes on with what was noted, or notes it; of several processes that come at once, the first does.

    Raises:
        ControlError: other options were noted.
        OutputError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        _put(part, path)
    except OSError as err:
        raise OutputError(f"{path}: cannot be written ({err.strerror or err}); see that the disk has room") from err
    finally:
        part.unlink(missing_ok=True)
    before = noted(path) or {}
    asked = json.loads(json.dumps(facts))
    other = [key for key in {**asked, **before} if before.get(key) != asked.get(key)]
    if other:
        said = ", ".join(f"{key} {before.get(key)!r:.60} and not {asked.get(key)!r:.60}" for key in other)
        raise ControlError(
            f"{path.parent}: a run was begun there with {said}; expected the same options, with which it goes on; give "
            "them, another name for the output, or delete what is there"
        )
