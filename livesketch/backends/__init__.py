"""Backends by name; each is imported when it is first used.

Third parties add one through the entry-point group ``livesketch.backends``: a module or object with ``name`` and
``open(checkpoint, size)``, as in ``livesketch.backends.protocol``.
"""

import importlib
from importlib.metadata import entry_points
from typing import Final

from ..errors import BackendUnavailableError
from . import cuda_auto
from .cuda_device import driver_seen
from .protocol import Backend

_OWN: Final = {
    "cpu": "livesketch.backends.cpu",
    "reference": "livesketch.backends.reference",
    "cuda": "livesketch.backends.cuda",
}


def names() -> list[str]:
    """The names that ``load`` accepts, own ones first; ``auto`` takes the first."""
    return [*_OWN, *sorted(point.name for point in entry_points(group="livesketch.backends"))]


def load(name: str = "auto", size: int = 1) -> Backend:
    """A backend by name; a named one is used or refused, never replaced.

    ``auto`` is ``cpu``, but for ``size`` voices from ``cuda_auto.MANY`` on where an NVIDIA driver is found: then it is
    the GPU, or ``cpu`` where the GPU turns out unusable before anything has begun, which is said as a warning.

    Raises:
        BackendUnavailableError: there is none of that name, or it does not load; the message says why.
    """
    if not isinstance(name, str):
        raise BackendUnavailableError(f"backend {name!r:.60}: expected a name, one of auto, {', '.join(names())}")
    if name == "auto" and size >= cuda_auto.MANY and driver_seen():
        return cuda_auto.Auto(_own("cuda"), _own("cpu"))
    wanted = names()[0] if name == "auto" else name
    if wanted in _OWN:
        return _own(wanted)
    for point in entry_points(group="livesketch.backends"):
        if point.name == wanted:
            try:
                loaded: Backend = point.load()
            except Exception as err:
                raise BackendUnavailableError(f"backend {wanted!r} ({point.value}) does not load: {err!r}") from err
            return loaded
    raise BackendUnavailableError(f"backend {name!r} does not exist; expected auto, {', '.join(names())}")


def _own(name: str) -> Backend:
    backend: Backend = importlib.import_module(_OWN[name]).BACKEND
    return backend
