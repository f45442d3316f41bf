"""Networks whose parameters have the names and the layout of a checkpoint's tensors; training only."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .cells import Shape


class NamedWeights(nn.Module):
    """A network whose parameters are the tensors of a checkpoint; made with random weights.

    Args:
        shapes: the tensors by checkpoint name.
        what: the network in words, for messages.
    """

    def __init__(self, shapes: Mapping[str, Shape], what: str) -> None:
        super().__init__()
        self._what = what
        self._weights = nn.ParameterDict(
            {_key(name): nn.Parameter(torch.empty(shape)) for name, shape in shapes.items()}
        )
        self.reset()

    def begin(self, name: str, value: Tensor) -> None:
        """Fills one tensor with random weights, from PyTorch's generator."""
        raise NotImplementedError

    @torch.no_grad()
    def reset(self) -> None:
        """Random weights for all."""
        for name, value in self.tensors().items():
            self.begin(name, value)

    def tensors(self) -> dict[str, Tensor]:
        """The parameters by checkpoint tensor name."""
        return {_name(key): value for key, value in self._weights.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Any]) -> None:
        """Takes weights by checkpoint tensor name, tensors or arrays; on an error none is taken.

        Raises:
            CheckpointError: one is missing, unknown or of another shape.
        """
        own = self.tensors()
        unknown = sorted(set(tensors) ^ set(own))
        if unknown:
            raise CheckpointError(
                f"weights {', '.join(unknown[:5])} are missing or unknown; expected those of {self._what}; "
                "is this a model of another kind?"
            )
        came = {name: torch.as_tensor(value) for name, value in tensors.items()}
        for name, value in own.items():
            if came[name].shape != value.shape:
                raise CheckpointError(
                    f"weights {name} have shape {tuple(came[name].shape)}; expected {tuple(value.shape)}; "
                    "is this a model of another size?"
                )
        for name, value in own.items():
            value.copy_(came[name])


def orthogonal_gates(value: Tensor) -> None:
    """Fills (H, 4H) so that each gate's square is orthogonal."""
    for block in value.chunk(4, 1):
        block.copy_(nn.init.orthogonal_(torch.empty(block.shape)))


def _key(name: str) -> str:
    """A name that PyTorch takes for a parameter: without dots."""
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")
