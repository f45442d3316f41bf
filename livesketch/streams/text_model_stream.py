"""What text streams share: a text model on a backend, and the controls that all voices follow."""

from dataclasses import replace
from typing import Final

from ..backends.protocol import TextBatch
from ..errors import ControlError
from ..models.checkpoint import TextCheckpoint
from ..models.tokens import tokenizer
from ..token_sampling import MODES, Mode, TextSettings
from .base import Base
from .condition import Mix, label_vector

_PLAIN: Final = TextSettings()


def temperature_of(mode: str) -> float:
    """The temperature of a mode.

    Raises:
        ControlError: none of that name.
    """
    value = MODES.get(mode) if isinstance(mode, str) else None  # type: ignore[call-overload]
    if value is None:
        raise ControlError(f"mode {mode!r:.60}: expected one of {', '.join(MODES)}, or a temperature")
    return float(value)


class TextModelStream(Base[TextCheckpoint]):
    """A batch of voices of one text model, and the controls that all of them follow."""

    __slots__ = ("_applied", "_batch", "_conditioned", "_settings", "_tokens")

    def __init__(
        self,
        checkpoint: TextCheckpoint,
        label: str | None,
        settings: TextSettings,
        seed: int,
        backend: str,
        voices: range,
    ) -> None:
        super().__init__(checkpoint, label or checkpoint.name, seed, backend, voices)
        self._batch: TextBatch = self._backend.open_text(checkpoint, len(voices))
        for k, voice in enumerate(voices):
            self._batch.seat(k, seed, voice)
        self._tokens = tokenizer(checkpoint)
        self._settings, self._applied = settings, _PLAIN
        self._conditioned: Mix = ()
        self._taken = self._batch.steps

    @property
    def stage_units(self) -> float:
        """1.0: a text has no stage."""
        return 1.0

    @property
    def convention(self) -> None:
        """None: the temperature of tokens has but one meaning, which divides the logits."""
        return

    @property
    def temperature(self) -> float:
        """0 (greedy) and up; a change acts on the very next token. Raises ControlError and keeps the old value."""
        return self._settings.divisor

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._settings = replace(self._settings, divisor=value)

    @property
    def mode(self) -> Mode | None:
        """The temperature by name: ``conservative`` 0.6, ``normal`` 1.0, ``open`` 1.4; None for another."""
        return next((mode for mode, value in MODES.items() if value == self.temperature), None)

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.temperature = temperature_of(mode)

    @property
    def top_k(self) -> int:
        """Only so many of the likeliest tokens; 0 for all."""
        return self._settings.top_k

    @top_k.setter
    def top_k(self, value: int) -> None:
        self._settings = replace(self._settings, top_k=value)

    @property
    def top_p(self) -> float:
        """Only the fewest of the likeliest tokens that hold this share of the probability; 1 for all."""
        return self._settings.top_p

    @top_p.setter
    def top_p(self, value: float) -> None:
        self._settings = replace(self._settings, top_p=value)

    @property
    def min_p(self) -> float:
        """Only tokens with at least this share of the likeliest one's probability; 0 for all."""
        return self._settings.min_p

    @min_p.setter
    def min_p(self, value: float) -> None:
        self._settings = replace(self._settings, min_p=value)

    def _apply(self, mix: Mix, *, unknown: bool = False) -> bool:
        """Gives the batch the settings and the label of now, under the lock; whether the label is another."""
        settings = replace(self._settings, unknown=True) if unknown else self._settings
        if settings is not self._applied:
            for k in range(self._batch.size):
                self._batch.settle(
                    k, settings.divisor, settings.top_k, settings.top_p, settings.min_p, settings.unknown
                )
            self._applied = settings
        if mix == self._conditioned:
            return False
        vector = label_vector(self._checkpoint, mix)
        for k in range(self._batch.size):
            self._batch.condition(k, vector)
        self._conditioned = mix
        return True
