"""Latent vectors: what lies near one, between two, and where an analogy leads; and the normal numbers they come from.

Plain float64 vectors, shape (z_size,), as ``SketchStream.encode`` gives and ``SketchStream.z`` takes; no model is
asked. Under the prior of a Sketch-RNN model, N(0, I), a latent's length is about sqrt(z_size).
"""

import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ControlError
from .sampling import checked_seed, uniforms
from .values import real, whole

Floats: TypeAlias = NDArray[np.float64]

USE_Z: Final = 1
"""The ``use`` word of the random counter (``sampling.uniforms``) for the latent of a drawing; others below."""
USE_NOISE: Final = 2
"""For the noise of ``encode``."""
USE_NEAR: Final = 3
"""For the directions of ``near``."""

Z_LIMIT: Final = 1e3
"""Largest component of a latent; those of N(0, I) and of encoded drawings are mostly within 3."""

_FLAT: Final = 1e-7
"""Sines of angles below this are taken for 0: float64 tells no direction of a rotation there."""


def latent(what: str, value: Any, size: int | None = None) -> Floats:
    """The value as a float64 vector of its own, shape (size,); any length where ``size`` is None.

    Raises:
        ControlError: another shape, no numbers, NaN, or a component beyond ±``Z_LIMIT``; ``what`` names it.
    """
    return latents(what, value, (size,), f"a list of {size or 'z_size'} numbers")


def latents(what: str, value: Any, shape: tuple[int | None, ...], wanted: str) -> Floats:
    """The value as a float64 array of its own, checked as ``latent`` does; None in ``shape`` is any length from 1."""
    wanted = f"expected {wanted} within ±{Z_LIMIT:g}; encode() and near() give such"
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError) as err:
        raise ControlError(f"{what} cannot be read as numbers ({err}); {wanted}") from err
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape, strict=True))
    if not fits or array.dtype.kind not in "iuf" or not array.size:
        raise ControlError(f"{what}: shape {array.shape}, dtype {array.dtype}; {wanted}")
    with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes inf, and is refused below
        out = np.array(array, np.float64)
    within = np.abs(out) <= Z_LIMIT  # NaN fails the comparison too
    if not within.all():
        raise ControlError(f"{what}: component {int(np.argmin(within))} is {out[~within][0]:g}; {wanted}")
    return out


def normals(seed: int, size: int, voice: int, drawing: int, use: int) -> Floats:
    """Independent numbers of N(0, 1), shape (size,), that depend on the arguments only (Box-Muller on ``uniforms``)."""
    u = uniforms(seed, np.arange(math.ceil(size / 4)), voice, drawing, use)
    radius, angle = np.sqrt(-2 * np.log(u[:, ::2])), 2 * math.pi * u[:, 1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(-1)[:size]


def near(z: ArrayLike, radius: float, n: int, seed: int | None = None) -> Floats:
    """Points (n, z_size) at the distance ``radius`` from z, in directions chosen evenly from all.

    So they lie on a sphere around z, and spread as the radius grows. What is much depends on the model: compare with
    the distance of two drawings' latents, ``np.linalg.norm(a - b)``; a tenth of it is hardly seen.

    Args:
        z: the middle, shape (z_size,).
        radius: 0 and up; 0 gives z itself, n times.
        n: how many.
        seed: 0 … 2^64 - 1, the same for the same points; None for fresh ones.

    Raises:
        ControlError: z is no latent, a number is out of range, or a point would be beyond ±``Z_LIMIT``.
    """
    middle = latent("z", z)
    wanted = f"a number from 0 to {Z_LIMIT:g}; try 1"
    distance = real("radius", radius, wanted)
    if not 0 <= distance <= Z_LIMIT:
        raise ControlError(f"radius {radius!r}: expected {wanted}")
    count, key = whole("n", n, 1, 2**20), checked_seed(seed)
    ways = np.stack([normals(key, len(middle), k, 0, USE_NEAR) for k in range(count)])
    return _within(middle + distance * ways / np.linalg.norm(ways, axis=-1, keepdims=True))


def lerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Floats:
    """The straight way from a to b: (1 - t) a + t b. Its middle is shorter than its ends; ``slerp`` keeps the length.

    Args:
        a: a latent, shape (z_size,).
        b: another of the same length.
        t: 0 is a and 1 is b, exactly; beyond them the way goes on. A number gives a latent, (n,) numbers (n, z_size).

    Raises:
        ControlError: no latents, of different lengths, t is no number, or the way leads beyond ±``Z_LIMIT``.
    """
    start, end, parts = _ends(a, b, t)
    return _within((1 - parts[..., None]) * start + parts[..., None] * end)


def slerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Floats:
    """The way from a to b round the origin: the direction turns evenly (Shoemake 1985), the length changes evenly.

    Latents of N(0, I) lie near a sphere, so what this passes is as likely as its ends. Where there is no one way round,
    it is ``lerp``'s: equal and parallel vectors, a vector of zeros, and opposite vectors (the way then leads through
    the origin). The arguments, the result and the errors are those of ``lerp``.
    """
    start, end, parts = _ends(a, b, t)
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    straight = np.asarray((1 - parts[..., None]) * start + parts[..., None] * end, np.float64)
    if not min(lengths):
        return _within(straight)
    from_, to = start / lengths[0], end / lengths[1]
    angle = 2 * math.atan2(float(np.linalg.norm(from_ - to)), float(np.linalg.norm(from_ + to)))  # Kahan: exact near 0
    if math.sin(angle) < _FLAT:
        return _within(straight)
    way = np.sin((1 - parts[..., None]) * angle) * from_ + np.sin(parts[..., None] * angle) * to
    turned = way / math.sin(angle) * ((1 - parts) * lengths[0] + parts * lengths[1])[..., None]
    exact = (parts[..., None] == 0) | (parts[..., None] == 1)
    return _within(np.where(exact, straight, turned))


def analogy(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Floats:
    """What is to c as b is to a: c + b - a, shape (z_size,) (Ha & Eck 2017, section 4.3: head, body, another head).

    >>> analogy([1.0, 0.0], [1.0, 5.0], [2.0, 0.0]).tolist()
    [2.0, 5.0]

    Raises:
        ControlError: no latents, of different lengths, or the answer is beyond ±``Z_LIMIT``.
    """
    first = latent("a", a)
    return _within(latent("c", c, len(first)) + latent("b", b, len(first)) - first)


def _within(found: Floats) -> Floats:
    """Latents that were found, where a stream would take them."""
    if not (np.abs(found) <= Z_LIMIT).all():
        far = float(found.flat[np.abs(found).argmax()])
        raise ControlError(
            f"this leads to a component of {far:g}; expected latents within ±{Z_LIMIT:g}; begin nearer to 0, or "
            "go less far"
        )
    return np.asarray(found, np.float64)


def _ends(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> tuple[Floats, Floats, Floats]:
    start = latent("a", a)
    end = latent("b", b, len(start))
    wanted = f"expected a number, or numbers of shape (n,), within ±{Z_LIMIT:g}; 0 is a and 1 is b"
    try:
        parts = np.asarray(t)
    except (ValueError, TypeError, OverflowError, RuntimeError) as err:
        raise ControlError(f"t {t!r:.60} cannot be read as numbers ({err}); {wanted}") from err
    if parts.ndim > 1 or parts.dtype.kind not in "iuf" or not (np.abs(parts) <= Z_LIMIT).all():
        raise ControlError(f"t {t!r:.60}: {wanted}")
    return start, end, parts.astype(np.float64)
