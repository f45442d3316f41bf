"""Backends by name; each is imported when it is first used.

Third parties add one through the entry-point group ``livesketch.backends``: a module or object with ``name`` and
``open(checkpoint, size)``, as in ``livesketch.backends.protocol``.
"""

import importlib
from importlib.metadata import entry_points
from typing import Final

from ..errors import BackendUnavailableError
from .protocol import Backend

_OWN: Final = {"cpu": "livesketch.backends.cpu", "reference": "livesketch.backends.reference"}
_PLANNED: Final = {"cuda": "the CUDA backend is not part of this version"}


def names() -> list[str]:
    """The names that ``load`` accepts, own ones first; ``auto`` takes the first."""
    return [*_OWN, *sorted(point.name for point in entry_points(group="livesketch.backends"))]


def load(name: str = "auto") -> Backend:
    """A backend by name; a named one is used or refused, never replaced.

    Raises:
        BackendUnavailableError: there is none of that name, or it does not load; the message says why.
    """
    if not isinstance(name, str):
        raise BackendUnavailableError(f"backend {name!r:.60}: expected a name, one of auto, {', '.join(names())}")
    wanted = names()[0] if name == "auto" else name
    if wanted in _OWN:
        module = importlib.import_module(_OWN[wanted])
        backend: Backend = module.BACKEND
        return backend
    if wanted in _PLANNED:
        raise BackendUnavailableError(f"backend {wanted!r}: {_PLANNED[wanted]}; usable: {', '.join(names())}")
    for point in entry_points(group="livesketch.backends"):
        if point.name == wanted:
            try:
                loaded: Backend = point.load()
            except Exception as err:
                raise BackendUnavailableError(f"backend {wanted!r} ({point.value}) does not load: {err!r}") from err
            return loaded
    raise BackendUnavailableError(f"backend {name!r} does not exist; expected auto, {', '.join(names())}")
