"""Where tests of the cuda backend run it: the CPU, where its torch code is the same, and a GPU where there is one."""

import functools
from inspect import signature
from types import ModuleType

import pytest
from conftest import skip_or_fail

from livesketch import BackendUnavailableError, MissingExtraError
from livesketch.backends import cuda_device

DEVICES = ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)]
REAL = cuda_device.find


@functools.cache
def missing() -> str:
    """Why there is no GPU to use; empty where there is one."""
    try:
        REAL()
    except (BackendUnavailableError, MissingExtraError) as err:
        return str(err)
    return ""


def use(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``backends.load("cuda")`` opens on the CPU, or on the GPU, without which the test skips."""
    if kind == "gpu":
        if missing():
            skip_or_fail("cuda", missing())
        return
    import torch

    monkeypatch.setattr(cuda_device, "find", lambda: torch.device("cpu"))


def contract(module: ModuleType, *left_out: str) -> dict[str, object]:
    """A module's tests of any backend, by name, to run again beside another ``backend`` fixture."""
    found = {name: test for name, test in vars(module).items() if name.startswith("test_") and callable(test)}
    assert set(left_out) <= set(found), "a clause that is left out has another name now"
    return {
        name: test for name, test in found.items() if "backend" in signature(test).parameters and name not in left_out
    }
