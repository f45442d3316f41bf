"""First lines that a text model carries: beginnings of documents that it was trained on."""

from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError
from .text_model import TextInfo


def openings_in(info: TextInfo, label: str | None = None) -> tuple[str, ...]:
    """First lines without what ends them; none where the model was trained with ``--no-openings``.

    They stand in ``source["openings"]``: a list, or in a model with labels an object of a list for each.

    Args:
        info: the model.
        label: one of its labels; None takes those of all.

    Raises:
        CheckpointError: what stands there is something else.
    """
    found: Any = info.source.get("openings", [])
    lists = found if isinstance(found, Mapping) else {"": found}
    chosen = [lists[label]] if label in lists else list(lists.values()) if label is None or "" in lists else []
    for lines in chosen:
        if not isinstance(lines, list | tuple) or not all(isinstance(line, str) and line for line in lines):
            raise CheckpointError(
                f"{info.name!r}: 'openings' is {str(lines)[:80]!r}; expected a list of texts; make the file again"
            )
    return tuple(line for lines in chosen for line in lines)
