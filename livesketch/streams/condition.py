"""What each voice draws: its label and its latent vector, as one frozen value that a step reads once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError
from ..events import Asked
from ..latents import USE_Z, Z_LIMIT, Floats, latent, latents, normals
from ..models.catalogue import SHOWN, listed, nearest, spelled
from ..models.checkpoint import Checkpoint, TextCheckpoint
from ..values import real

Label: TypeAlias = str | Mapping[str, float]
"""A label, or a mix of labels with their shares."""
Mix: TypeAlias = tuple[tuple[str, float], ...]
"""Labels with their shares, which sum to 1; empty for a model without labels."""

_SHARE_LIMIT: Final = 1e6
"""Of a label in a mix, as it is given."""


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """The labels and latents of n voices."""

    mixes: tuple[Mix, ...]
    """One for each voice."""
    z: Floats | None = None
    """Latents that were given, (n, z_size); None: zeros for models that learnt those, else one a drawing by chance."""

    def of(self, some: Sequence[int]) -> "Condition":
        """That of some of the voices."""
        return Condition(tuple(self.mixes[k] for k in some), None if self.z is None else self.z[some])


def asked_of(condition: Condition, k: int, name: str) -> Asked | None:
    """What voice k was asked for beyond what its stream's name says."""
    mix, z = condition.mixes[k], () if condition.z is None else tuple(condition.z[k].tolist())
    label = () if mix == ((name, 1.0),) else mix
    return Asked(label, z) if label or z else None


def draws_z(checkpoint: Checkpoint) -> bool:
    """Whether a drawing for which no latent is given gets one by chance."""
    return checkpoint.z_size > 0 and not checkpoint.z_optional


@lru_cache(maxsize=4096)
def chance_z(size: int, seed: int, voice: int, drawing: int) -> Floats:
    """The latent ~ N(0, I) of a drawing for which none is given, (size,), read-only."""
    z = normals(seed, size, voice, drawing, USE_Z)
    z.flags.writeable = False
    return z


def latents_of(
    checkpoint: Checkpoint, given: Condition, seed: int, voices: Sequence[int], drawings: NDArray[Any]
) -> Floats:
    """The latents (n, z_size) with which voices draw their drawings of these numbers (n,)."""
    if given.z is not None:
        return given.z
    if not draws_z(checkpoint):
        return np.zeros((len(voices), checkpoint.z_size))
    chosen = [chance_z(checkpoint.z_size, seed, *pair) for pair in zip(voices, drawings.tolist(), strict=True)]
    return np.array(chosen, np.float64)


def vectors_of(
    checkpoint: Checkpoint, given: Condition, seed: int, voices: Sequence[int], drawings: NDArray[Any]
) -> Floats:
    """The decoder's vectors [z; label], (n, z_size + label_size)."""
    named = {mix: label_vector(checkpoint, mix) for mix in set(given.mixes)}
    labels = np.array([named[mix] for mix in given.mixes], np.float64)
    return np.concatenate([latents_of(checkpoint, given, seed, voices, drawings), labels], axis=1)


def label_vector(checkpoint: Checkpoint | TextCheckpoint, mix: Mix) -> Floats:
    """The label vector (label_size,) of a mix in any order; that of one label alone is the model's own, bit for bit."""
    vector = np.zeros(checkpoint.label_size)
    for row, share in sorted((checkpoint.labels.index(label), share) for label, share in mix):
        weights = checkpoint.tensors["label.w"]
        vector = vector + share * (weights.values[row].astype(np.float64) * weights.scale)
    return vector


def label_mix(checkpoint: Checkpoint | TextCheckpoint, label: Any) -> Mix:
    """The mix that a label, or a mapping of labels to shares, stands for.

    Raises:
        ControlError: a label that the model does not have; shares that are no numbers or sum to nothing.
    """
    shares = label.items() if isinstance(label, Mapping) else [(label, 1.0)]
    mix: dict[str, float] = {}
    wanted = f"shares within ±{_SHARE_LIMIT:g} that sum to more than 0, as in {{'cat': 0.7, 'pig': 0.3}}"
    for asked, share in shares:
        name, number = _label(checkpoint, asked), real(f"share of {asked!r:.40}", share, wanted)
        if not abs(number) <= _SHARE_LIMIT:
            raise ControlError(f"share of {asked!r:.40} {share!r}: expected {wanted}")
        mix[name] = mix.get(name, 0.0) + number
    total = math.fsum(mix.values())
    if total <= 1e-6:
        raise ControlError(f"label {label!r:.80}: the shares sum to {total:g}; expected {wanted}")
    for name, share in mix.items():
        if abs(share) > Z_LIMIT * total:  # as far out as no latent may be
            raise ControlError(
                f"label {label!r:.80}: the share of {name!r} is {share / total:g} times the sum; expected at most "
                f"{Z_LIMIT:g} times; give shares that cancel less"
            )
    return tuple((name, share / total) for name, share in mix.items() if share)


def _label(checkpoint: Checkpoint | TextCheckpoint, asked: Any) -> str:
    labels = checkpoint.labels
    if not labels:
        does = "writes" if isinstance(checkpoint, TextCheckpoint) else "draws"
        raise ControlError(
            f"label {asked!r:.60}: model {checkpoint.name!r} {does} one thing and has no labels; open another model"
        )
    found = spelled(asked, labels) if isinstance(asked, str) else None
    if found is None:
        more = " (.labels)" if len(labels) > SHOWN else ""
        near = nearest(asked[:80], labels) if isinstance(asked, str) else ""
        raise ControlError(f"label {asked!r:.60}: expected one of {listed(labels)}{more}{near}")
    return found


def label_mixes(checkpoint: Checkpoint | TextCheckpoint, label: Any, n: int) -> tuple[Mix, ...]:
    """The mixes of n voices: of one label for all, or of a list of n."""
    if isinstance(label, str | Mapping) or not isinstance(label, Sequence):
        return (label_mix(checkpoint, label),) * n
    if len(label) != n:
        raise ControlError(f"{len(label)} labels: expected one label for all voices, or a list of {n}")
    return tuple(label_mix(checkpoint, one) for one in label)


def label_said(mix: Mix) -> str | dict[str, float] | None:
    """A mix as ``label`` gives it: one label's name, or the shares; None for a model without labels."""
    if len(mix) == 1:
        return mix[0][0]
    return dict(mix) or None


def given_z(checkpoint: Checkpoint, z: Any, n: int, *, each: bool) -> Floats | None:
    """Latents (n, z_size) of one vector for all voices, or, where ``each`` is allowed, of one each; None for None.

    Raises:
        ControlError: the model has no latent, or z is none that it takes.
    """
    if z is None:
        return None
    size = checkpoint.z_size
    if not size:
        raise ControlError(f"z: model {checkpoint.name!r} has no latent; expected None; open a model with a z_size")
    if each and _dimensions(z) == 2:
        return latents("z", z, (n, size), f"{size} numbers, or one such list for each of {n} voices, shape {n, size},")
    return np.repeat(latent("z", z, size)[None], n, axis=0)


def _dimensions(value: Any) -> int:
    try:
        return np.ndim(value)
    except (ValueError, TypeError, RuntimeError):
        return 1  # which the check of a vector then refuses in words
