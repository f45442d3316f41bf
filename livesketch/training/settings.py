"""What a training of a Sketch-RNN is asked to do."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ..errors import ControlError
from ..models.cells import CELLS
from .options import Settings

RATES: Final = ("exponential", "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class SketchSettings(Settings):
    """Options of ``livesketch train sketch``; the defaults are those of magenta's ``model.py get_default_hparams``.

    Where a default is another than magenta's, its docstring says so. Magenta has no label vectors, no weight decay and
    no average (0.999 here).

    Raises:
        ControlError: an option outside its legal range, or two that do not go together.
    """

    cell: str = "lstm"
    encoder_hidden: int = 256
    encoder_cell: str = "lstm"
    z_size: int = 128
    """Length of the latent vector; 0 trains a decoder alone."""
    mixtures: int = 20
    recurrent_dropout: float = 0.1
    output_dropout: float = 0.0
    z_dropout: float = 0.0
    """Share of drawings that are trained without a latent, so that the label alone draws too; magenta has none."""
    steps: int = 20_000
    """Magenta trains 10 million; 10,000 to 20,000 are where drawings begin to look like something."""
    rate_decay: float = 0.9999
    rate_shape: str = "exponential"
    """``exponential`` as magenta, or ``cosine`` from ``rate`` to ``rate_min`` over all steps."""
    kl_weight: float = 0.5
    kl_start: float = 0.01
    kl_decay: float = 0.99995
    kl_tolerance: float = 0.2
    clip: float = 1.0
    """Gradients are clipped by value, as magenta's."""
    scale_augment: float = 0.15
    drop_augment: float = 0.10
    max_rows: int = 250
    eval_drawings: int = 1000
    """Validation drawings looked at during the training, chosen once."""

    WHOLE: ClassVar[dict[str, tuple[int, int]]] = Settings.WHOLE | {
        "encoder_hidden": (1, 16384), "z_size": (0, 16384), "mixtures": (1, 1000), "max_rows": (2, 10**6),
        "eval_drawings": (1, 10**9),
    }  # fmt: skip
    REAL: ClassVar[dict[str, tuple[float, float]]] = Settings.REAL | {
        "recurrent_dropout": (0, 0.99), "output_dropout": (0, 0.99), "z_dropout": (0, 1), "rate_decay": (0, 1),
        "kl_weight": (0, 1000), "kl_start": (0, 1000), "kl_decay": (0, 1), "kl_tolerance": (0, 1000),
        "scale_augment": (0, 0.99), "drop_augment": (0, 1),
    }  # fmt: skip
    WORDS: ClassVar[dict[str, tuple[str, ...]]] = Settings.WORDS | {
        "cell": CELLS, "encoder_cell": CELLS, "rate_shape": RATES,
    }  # fmt: skip
    FREE: ClassVar[frozenset[str]] = Settings.FREE | {
        "rate_decay", "rate_shape", "kl_weight", "kl_start", "kl_decay", "recurrent_dropout", "output_dropout",
        "z_dropout", "eval_drawings", "scale_augment", "drop_augment",
    }  # fmt: skip

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.z_dropout and not self.z_size:
            raise ControlError(
                f"--z-dropout {self.z_dropout:g} with --z-size 0: there is no latent that drawings could be without; "
                "leave one of the two out"
            )
