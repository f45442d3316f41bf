"""What every training is asked, as one frozen value that goes into its files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final

from ..errors import ControlError

PRECISIONS: Final = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Options that all trainings have; a kind of training adds its own, and may have other defaults.

    Raises:
        ControlError: an option outside its legal range.
    """

    hidden: int = 512
    label_size: int = 64
    """Length of the learned label vectors, where there are several classes."""
    batch: int = 100
    steps: int = 20_000
    rate: float = 1e-3
    rate_min: float = 1e-5
    clip: float = 1.0
    weight_decay: float = 0.0
    average: float = 0.999
    """Of the moving average of the weights that is evaluated and kept; 0 keeps the weights themselves."""
    eval_every: int = 500
    patience: int = 0
    """Stop after so many evaluations without a better one; 0 never."""
    seed: int = 1
    device: str = "cpu"
    precision: str = "auto"
    """``bf16`` multiplies matrices in bfloat16, all else in float32; ``auto`` does so where the processor can."""

    WHOLE: ClassVar[dict[str, tuple[int, int]]] = {
        "hidden": (1, 16384), "label_size": (1, 16384), "batch": (1, 100_000), "steps": (1, 10**9),
        "eval_every": (1, 10**9), "patience": (0, 10**6), "seed": (0, 2**63 - 1),
    }  # fmt: skip
    REAL: ClassVar[dict[str, tuple[float, float]]] = {
        "rate": (1e-9, 10), "rate_min": (0, 10), "clip": (1e-9, 1e9), "weight_decay": (0, 10), "average": (0, 0.999999),
    }  # fmt: skip
    WORDS: ClassVar[dict[str, tuple[str, ...]]] = {"precision": PRECISIONS}
    FREE: ClassVar[frozenset[str]] = frozenset(
        {"steps", "rate", "rate_min", "clip", "weight_decay", "eval_every", "patience", "device", "precision"}
    )
    """What may change when a training goes on."""

    def __post_init__(self) -> None:
        for name, (least, most) in self.WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ControlError(f"{option(name)} {value!r}: expected a whole number from {least} to {most}")
        for name, (lowest, highest) in self.REAL.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
                raise ControlError(f"{option(name)} {value!r}: expected a number from {lowest:g} to {highest:g}")
        for name, words in self.WORDS.items():
            if getattr(self, name) not in words:
                raise ControlError(f"{option(name)} {getattr(self, name)!r}: expected {', '.join(words)}")

    def values(self) -> dict[str, Any]:
        """All of them by name, as JSON values."""
        return asdict(self)

    def command(self) -> str:
        """The options that are not at their defaults, as they are typed."""
        changed = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return " ".join(_typed(name, value) for name, value, default in changed if value != default)

    def must_agree(self, other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The options that a training cannot change when it goes on, and differ: name to (before, now)."""
        return {
            name: (other.get(name), value)
            for name, value in self.values().items()
            if name not in self.FREE and other.get(name) != value
        }


def option(name: str) -> str:
    """An option as it is typed."""
    return f"--{name.replace('_', '-')}"


def _typed(name: str, value: object) -> str:
    """An option with its value; of a switch, which is on by default, what turns it off."""
    return option(f"no_{name}") if value is False else f"{option(name)} {value}"
