"""Where a training stands, in one safetensors file: weights, their average, Adam's moments, and counters as JSON.

Written beside and moved into place, so that a kill or a full disk leaves the file before. No pickle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..files import check_size, replacing

MAX_BYTES: Final = 16 << 30
_KEY: Final = "livesketch.training"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class State:
    """All that a training needs to go on as if it had never stopped."""

    facts: Mapping[str, Any]
    """Settings, labels, counters and what was measured: JSON values."""
    tensors: Mapping[str, Tensor]
    """Tensors by ``part/name``: parts ``weights``, ``average``, ``kept``, ``moment1``, ``moment2``."""

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of one part by their own names."""
        return {key.partition("/")[2]: value for key, value in self.tensors.items() if key.startswith(f"{name}/")}


def save_state(state: State, path: Path) -> None:
    """Writes it.

    Raises:
        OutputError: it cannot be written; what was there stays.
    """
    from safetensors.torch import save  # noqa: PLC0415 - loaded when first used

    tensors = {name: value.detach().contiguous().cpu() for name, value in state.tensors.items()}
    text = json.dumps({"format": _FORMAT, **state.facts}, allow_nan=False)
    with replacing(path) as stream:
        stream.write(save(tensors, {_KEY: text}))


def load_state(path: Path) -> State:
    """Reads what ``save_state`` wrote.

    Raises:
        CheckpointError: damaged, or something else.
    """
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - likewise

    hint = "expected what `livesketch train` keeps beside its model; --fresh begins anew"
    try:
        check_size(path, MAX_BYTES)
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        facts = json.loads(text) if text is not None else None
    except (OSError, ValueError, SafetensorError) as err:
        raise CheckpointError(f"{path}: cannot be read: {err}; {hint}") from err
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: no training state of this version; {hint}")
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise CheckpointError(f"{path}: {broken[0]} holds numbers that are not finite; {hint}")
    return State(facts, tensors)
