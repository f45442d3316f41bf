"""Backends by name; each is imported when it is first used.

Third parties add one through the entry-point group ``livesketch.backends``: a module or object with ``name`` and
``open(checkpoint, size)``, as in ``livesketch.backends.protocol``.
"""

import importlib
from importlib.metadata import entry_points
from typing import Final, Literal, TypeAlias, get_args

from ..errors import BackendUnavailableError, ControlError
from . import cuda_auto
from .cuda_device import driver_seen
from .protocol import Backend

Precision: TypeAlias = Literal["exact", "fast"]
_OWN: Final = {
    "cpu": "livesketch.backends.cpu",
    "cpu-two": "livesketch.backends.cpu_two",
    "reference": "livesketch.backends.reference",
    "cuda": "livesketch.backends.cuda",
}
_FAST: Final = "-fast"
"""Behind the name of a backend: in lower precision, where it has that (its module's ``FAST``)."""


def names() -> list[str]:
    """The names that ``load`` accepts, own ones first; ``auto`` takes the first."""
    return [*_OWN, *sorted(point.name for point in entry_points(group="livesketch.backends"))]


def precise(name: str, precision: Precision) -> str:
    """The name of a backend in this precision.

    Raises:
        ControlError: a precision other than ``exact`` and ``fast``.
    """
    if precision not in get_args(Precision):
        raise ControlError(f"precision {precision!r:.40}: expected 'exact' or 'fast'")
    if precision == "exact" or not isinstance(name, str):
        return name
    return (names()[0] if name == "auto" else name) + _FAST


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
    own = wanted.removesuffix(_FAST)
    if own != wanted and own in _OWN:
        fast: Backend | None = getattr(importlib.import_module(_OWN[own]), "FAST", None)
        if fast is None:
            raise BackendUnavailableError(f"precision 'fast': {own} has none; try backend='cpu', or precision='exact'")
        return fast
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
