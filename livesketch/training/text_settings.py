"""What a training of a text model is asked to do."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ..data.text_files import WAYS
from ..errors import ControlError
from ..models.text_model import UNITS
from .options import Settings

ARCHITECTURES: Final = ("lstm", "attention")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings(Settings):
    """Options of ``livesketch train text``; the defaults suit some megabytes of poems or prose, on a CPU.

    Raises:
        ControlError: an option outside its legal range, or two that do not go together.
    """

    architecture: str = "lstm"
    unit: str = "character"
    """What a token is: ``character``, ``word`` or ``byte``."""
    documents: str = "auto"
    """What a document is: ``line``, ``blank``, ``file``; ``data.text_files.way_of`` says what ``auto`` takes."""
    min_count: int = 2
    """Symbols that come less often are unknown ones, so that the model learns about such."""
    vocabulary: int = 50_000
    """At most so many symbols; the rarer ones are unknown."""
    hidden: int = 384
    """Units of each LSTM layer, or numbers a token has in attention."""
    embedding: int = 0
    """Length of the LSTM's embeddings; 0: as many as units, and the head's matrix is theirs (tied)."""
    layers: int = 2
    heads: int = 6
    """Of attention; a divisor of ``hidden``."""
    window: int = 128
    """How many tokens attention looks back on."""
    label_size: int = 16
    """Of the LSTM; attention adds its label vectors to the embeddings, so that theirs is ``hidden``."""
    embedding_dropout: float = 0.25
    layer_dropout: float = 0.3
    output_dropout: float = 0.4
    length: int = 128
    """Longer documents are cut into chunks of so many tokens."""
    batch: int = 64
    """Chunks in a step."""
    steps: int = 10_000
    rate: float = 3e-3
    """Its highest value; it rises to it over ``warmup`` steps and falls along half a cosine to ``rate_min``."""
    warmup: int = 300
    clip: float = 1.0
    """Gradients are clipped to this norm, over all of them."""
    weight_decay: float = 0.02
    """Of matrices; not of vectors."""
    average: float = 0.998
    eval_tokens: int = 40_000
    """Validation tokens looked at during the training, chosen once."""
    max_steps: int = 0
    """Tokens after which a piece is cut when the model writes; 0: the longest document's, or 1,000 of running text."""
    openings: bool = True
    """Whether first lines of training documents go into the model, for ``random_line``."""

    WHOLE: ClassVar[dict[str, tuple[int, int]]] = Settings.WHOLE | {
        "min_count": (1, 10**9), "vocabulary": (2, 2**20 - 2), "embedding": (0, 16384), "layers": (1, 64),
        "heads": (1, 16384), "window": (1, 2**20), "length": (2, 10**6), "warmup": (0, 10**9),
        "eval_tokens": (1, 10**9), "max_steps": (0, 10**6),
    }  # fmt: skip
    REAL: ClassVar[dict[str, tuple[float, float]]] = Settings.REAL | {
        "embedding_dropout": (0, 0.99), "layer_dropout": (0, 0.99), "output_dropout": (0, 0.99),
    }  # fmt: skip
    WORDS: ClassVar[dict[str, tuple[str, ...]]] = Settings.WORDS | {
        "architecture": ARCHITECTURES, "unit": UNITS, "documents": WAYS,
    }  # fmt: skip
    FREE: ClassVar[frozenset[str]] = Settings.FREE | {
        "embedding_dropout", "layer_dropout", "output_dropout", "warmup", "eval_tokens", "max_steps", "openings",
    }  # fmt: skip

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.architecture != "attention":
            return
        if self.hidden % self.heads:
            raise ControlError(
                f"--heads {self.heads} with --hidden {self.hidden}: expected a divisor, so that the heads share the units"
            )
        if self.embedding:
            raise ControlError(
                f"--embedding {self.embedding} with attention: its embeddings are as long as --hidden; leave it out"
            )
