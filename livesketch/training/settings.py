"""What a training is asked to do, as one frozen value that goes into its files."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from ..errors import ControlError
from ..models.cells import CELLS

PRECISIONS: Final = ("auto", "fp32", "bf16")
RATES: Final = ("exponential", "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class SketchSettings:
    """Options of ``livesketch train sketch``; the defaults are those of magenta's ``model.py get_default_hparams``.

    Where a default is another than magenta's, its docstring says so.
    """

    hidden: int = 512
    cell: str = "lstm"
    encoder_hidden: int = 256
    encoder_cell: str = "lstm"
    z_size: int = 128
    """Length of the latent vector; 0 trains a decoder alone."""
    label_size: int = 64
    """Length of the learned label vectors, where there are several classes; magenta has none."""
    mixtures: int = 20
    recurrent_dropout: float = 0.1
    output_dropout: float = 0.0
    z_dropout: float = 0.0
    """Share of drawings that are trained without a latent, so that the label alone draws too; magenta has none."""
    batch: int = 100
    steps: int = 20_000
    """Magenta trains 10 million; 10,000 to 20,000 are where drawings begin to look like something."""
    rate: float = 1e-3
    rate_decay: float = 0.9999
    rate_min: float = 1e-5
    rate_shape: str = "exponential"
    """``exponential`` as magenta, or ``cosine`` from ``rate`` to ``rate_min`` over all steps."""
    kl_weight: float = 0.5
    kl_start: float = 0.01
    kl_decay: float = 0.99995
    kl_tolerance: float = 0.2
    clip: float = 1.0
    """Gradients are clipped by value, as magenta's."""
    weight_decay: float = 0.0
    average: float = 0.999
    """Of the moving average of the weights that is evaluated and kept; 0 keeps the weights themselves, as magenta."""
    scale_augment: float = 0.15
    drop_augment: float = 0.10
    max_rows: int = 250
    eval_every: int = 500
    eval_drawings: int = 1000
    """Validation drawings looked at during the training, chosen once."""
    patience: int = 0
    """Stop after so many evaluations without a better one; 0 never."""
    seed: int = 1
    device: str = "cpu"
    precision: str = "auto"
    """``bf16`` multiplies matrices in bfloat16, all else in float32; ``auto`` does so where the processor can."""

    def __post_init__(self) -> None:
        for name, least, most in _WHOLE:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ControlError(f"{_option(name)} {value!r}: expected a whole number from {least} to {most}")
        for name, lowest, highest in _REAL:
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
                raise ControlError(f"{_option(name)} {value!r}: expected a number from {lowest:g} to {highest:g}")
        for name, words in _WORDS:
            if getattr(self, name) not in words:
                raise ControlError(f"{_option(name)} {getattr(self, name)!r}: expected {', '.join(words)}")

    def values(self) -> dict[str, Any]:
        """All of them by name, as JSON values."""
        return asdict(self)

    def command(self) -> str:
        """The options that are not at their defaults, as they are typed."""
        changed = {name: value for name, value in self.values().items() if value != _DEFAULTS[name]}
        return " ".join(f"{_option(name)} {value}" for name, value in changed.items())

    def must_agree(self, other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The options that a training cannot change when it goes on, and differ: name to (before, now)."""
        return {
            name: (other.get(name), value)
            for name, value in self.values().items()
            if name not in _FREE and other.get(name) != value
        }


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


_WHOLE: Final = (
    ("hidden", 1, 16384), ("encoder_hidden", 1, 16384), ("z_size", 0, 16384), ("label_size", 1, 16384),
    ("mixtures", 1, 1000), ("batch", 1, 100_000), ("steps", 1, 10**9), ("max_rows", 2, 10**6), ("eval_every", 1, 10**9),
    ("eval_drawings", 1, 10**9), ("patience", 0, 10**6), ("seed", 0, 2**63 - 1),
)  # fmt: skip
_REAL: Final = (
    ("recurrent_dropout", 0, 0.99), ("output_dropout", 0, 0.99), ("z_dropout", 0, 1), ("rate", 1e-9, 10),
    ("rate_decay", 0, 1), ("rate_min", 0, 10), ("kl_weight", 0, 1000), ("kl_start", 0, 1000), ("kl_decay", 0, 1),
    ("kl_tolerance", 0, 1000), ("clip", 1e-9, 1e9), ("weight_decay", 0, 10), ("average", 0, 0.999999),
    ("scale_augment", 0, 0.99), ("drop_augment", 0, 1),
)  # fmt: skip
_WORDS: Final = (("cell", CELLS), ("encoder_cell", CELLS), ("rate_shape", RATES), ("precision", PRECISIONS))
_FREE: Final = {
    "steps", "rate", "rate_decay", "rate_min", "rate_shape", "kl_weight", "kl_start", "kl_decay", "clip",
    "weight_decay", "recurrent_dropout", "output_dropout", "z_dropout", "eval_every", "eval_drawings", "patience",
    "device", "precision", "scale_augment", "drop_augment",
}  # fmt: skip
_DEFAULTS: Final = SketchSettings().values()
