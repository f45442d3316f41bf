"""Which GPU the cuda backend runs on, and its errors in our words; torch is imported when a device is asked for."""

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..errors import BackendUnavailableError, ControlError, MissingExtraError

if TYPE_CHECKING:
    import torch

Precision: TypeAlias = Literal["exact", "fast"]

PRECISIONS: Final[tuple[Precision, ...]] = ("exact", "fast")

LEAST_CAPABILITY: Final = (7, 0)
"""Volta: the oldest GPU that Triton compiles for."""

_BFLOAT_CAPABILITY: Final = (8, 0)
"""Ampere: the oldest with products in bf16; older ones take fp16 for ``fast``."""

_LOG: Final = logging.getLogger("livesketch")
_USABLE: Final = "usable: cpu, reference"
_DRIVER: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""What a driver puts into a Linux system, /dev/dxg under WSL: looked at without loading anything."""


def driver_seen() -> bool:
    """Whether an NVIDIA driver seems to be here; costs microseconds, loads nothing."""
    return any(path.exists() for path in _DRIVER)


def find() -> "torch.device":
    """The GPU that torch calls the current one; the environment's CUDA_VISIBLE_DEVICES chooses among several.

    Raises:
        MissingExtraError: no torch.
        BackendUnavailableError: torch has no CUDA, there is no driver or GPU, or it is too old; the message says which.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError(
            'backend "cuda" needs PyTorch, which is not installed: pip install "livesketch[cuda]"; ' + _USABLE
        )
    import torch  # noqa: PLC0415 - seconds, and only for those who draw on a GPU

    if torch.version.cuda is None:
        raise BackendUnavailableError(
            f'backend "cuda": PyTorch {torch.__version__} is built without CUDA; expected a build with it: see '
            f"pytorch.org for the one that fits the driver; {_USABLE}"
        )
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call, unused-ignore]
        number = torch.cuda.current_device()
        capability, name = torch.cuda.get_device_capability(number), torch.cuda.get_device_name(number)
    except (RuntimeError, AssertionError) as err:
        raise BackendUnavailableError(
            f'backend "cuda": PyTorch {torch.__version__} for CUDA {torch.version.cuda} finds no GPU to use '
            f"({_said(err)}); expected an NVIDIA driver and a GPU: see what `nvidia-smi` says, and "
            f"CUDA_VISIBLE_DEVICES; {_USABLE}"
        ) from err
    check_capability(capability, name, torch.cuda.get_arch_list())
    return torch.device("cuda", number)


def check_capability(capability: tuple[int, int], name: str, built_for: list[str]) -> None:
    """Refuses a GPU that this version or this PyTorch has no code for.

    Args:
        capability: compute capability, (major, minor).
        name: of the GPU.
        built_for: architectures as PyTorch lists them, such as ``sm_90`` and ``compute_90``.

    Raises:
        BackendUnavailableError: as said.
    """
    has = f"{name} has compute capability {capability[0]}.{capability[1]}"
    if capability < LEAST_CAPABILITY:
        least = ".".join(map(str, LEAST_CAPABILITY))
        raise BackendUnavailableError(f'backend "cuda": {has}; expected {least} or newer; {_USABLE}')
    if built_for and not any(_runs_on(built, capability) for built in built_for):
        raise BackendUnavailableError(
            f'backend "cuda": {has}, and this PyTorch is built for {", ".join(built_for)} only; expected a build for '
            f"it: another version of PyTorch, see pytorch.org; {_USABLE}"
        )


def _runs_on(built: str, capability: tuple[int, int]) -> bool:
    """Machine code runs on its own major version from its minor one on; ``compute_`` is translated for all newer."""
    kind, _, number = built.partition("_")
    digits = "".join(letter for letter in number if letter.isdigit())
    if not digits:
        return False
    own = divmod(int(digits), 10)
    return own <= capability and (kind == "compute" or own[0] == capability[0])


def product_type(precision: str, device: "torch.device") -> "torch.dtype":
    """In which numbers products with matrices are taken: float32, or for ``fast`` bf16, fp16 on older GPUs.

    Raises:
        ControlError: another precision.
    """
    import torch  # noqa: PLC0415 - here already

    if precision not in PRECISIONS:
        raise ControlError(f"precision {precision!r:.60}: expected one of {', '.join(PRECISIONS)}")
    if precision == "exact":
        return torch.float32
    old = device.type == "cuda" and torch.cuda.get_device_capability(device) < _BFLOAT_CAPABILITY
    return torch.float16 if old else torch.bfloat16


def with_triton(device: "torch.device") -> bool:
    """Whether the kernels in Triton are used: on a GPU, where it is installed. Says so where it is missing."""
    if device.type != "cuda":
        return False
    if importlib.util.find_spec("triton") is None:
        _LOG.warning(
            'backend "cuda": Triton is not installed, so that a step takes several times as long: '
            'pip install "livesketch[cuda]"'
        )
        return False
    return True


@contextmanager
def opening(device: "torch.device", what: str) -> Iterator[None]:
    """Errors while a batch is made, in our words.

    Raises:
        BackendUnavailableError: there is not enough memory on the device, or it failed.
    """
    import torch  # noqa: PLC0415 - here already

    try:
        yield
    except torch.OutOfMemoryError as err:
        raise BackendUnavailableError(
            f'backend "cuda": {what} does not fit into the memory of {_named(device)} ({_said(err)}); try fewer '
            f'voices, precision "fast", or end what else uses this GPU; {_USABLE}'
        ) from err
    except RuntimeError as err:
        if device.type != "cuda" or isinstance(err, BackendUnavailableError):
            raise
        raise BackendUnavailableError(
            f'backend "cuda": {_named(device)} failed while {what} was prepared ({_said(err)}); see what `nvidia-smi` '
            f"says; {_USABLE}"
        ) from err


def lost(device: "torch.device", err: BaseException) -> BackendUnavailableError:
    """The error of a device that failed in the middle, for this and every later call of the same batch."""
    return BackendUnavailableError(
        f'backend "cuda": {_named(device)} failed in a step ({_said(err)}), and what it held is lost; a new process '
        f"can draw the same again from its seed, there or with another backend; {_USABLE}"
    )


def _named(device: "torch.device") -> str:
    import torch  # noqa: PLC0415 - here already

    try:
        return f"{torch.cuda.get_device_name(device)} ({device})" if device.type == "cuda" else str(device)
    except (RuntimeError, AssertionError):  # a device that is lost may not even say its name
        return str(device)


def _said(err: BaseException) -> str:
    """The first line of an error, which with CUDA goes on with advice for programmers."""
    lines: list[Any] = str(err).strip().splitlines() or [type(err).__name__]
    return f"{lines[0]:.200}"
