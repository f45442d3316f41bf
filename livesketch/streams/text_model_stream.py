"""What text streams share: a text model on a backend, and the controls that all voices follow."""

from dataclasses import replace
from typing import Any, Final, Self

from .. import forms
from ..backends.protocol import TextBatch
from ..errors import BackendUnavailableError
from ..models.checkpoint import TextCheckpoint
from ..models.tokens import tokenizer
from ..token_sampling import MODES, Mode, TextSettings
from .base import Base
from .condition import Mix, label_vector
from .live import live
from .text_hold import Rule
from .text_options import temperature_of

_PLAIN: Final = TextSettings()


class TextModelStream(Base[TextCheckpoint]):
    """A batch of voices of one text model, and the controls that all of them follow."""

    CONTROLS = ("temperature", "top_k", "top_p", "min_p", "label")

    __slots__ = ("_applied", "_batch", "_conditioned", "_held", "_mixes", "_rule", "_settings", "_tokens")

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
        if not hasattr(self._backend, "open_text"):
            raise BackendUnavailableError(
                f"backend {backend!r} runs no text models, as {checkpoint.name!r} is one: it has no open_text; try "
                "backend='auto'"
            )
        self._batch: TextBatch = self._backend.open_text(checkpoint, len(voices))
        for k, voice in enumerate(voices):
            self._batch.seat(k, seed, voice)
        self._tokens = tokenizer(checkpoint)
        self._settings, self._applied = settings, _PLAIN
        self._mixes: tuple[Mix, ...] = ()
        self._conditioned: list[Mix | None] = [() for _ in voices]
        self._rule: Rule | None = None
        self._held: list[forms.Bias | bool | None] = [None for _ in voices]
        """What the batch holds each voice to; False where that is not known."""
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
    @live
    def temperature(self, value: float) -> None:
        self._settings = replace(self._settings, divisor=value)

    def asked(self, name: str) -> Any:
        """``Base.asked``: None for the label of a model that has none."""
        return None if name == "label" and not self.labels else getattr(self, name)

    @property
    def mode(self) -> Mode | None:
        """The temperature by name: ``conservative`` 0.6, ``normal`` 1.0, ``open`` 1.4; None for another."""
        return next((mode for mode, value in MODES.items() if value == self.temperature), None)

    @mode.setter
    @live
    def mode(self, mode: Mode) -> None:
        self.temperature = temperature_of(mode)

    @property
    def top_k(self) -> int:
        """Only so many of the likeliest tokens; 0 for all."""
        return self._settings.top_k

    @top_k.setter
    @live
    def top_k(self, value: int) -> None:
        self._settings = replace(self._settings, top_k=value)

    @property
    def top_p(self) -> float:
        """Only the fewest of the likeliest tokens that hold this share of the probability; 1 for all."""
        return self._settings.top_p

    @top_p.setter
    @live
    def top_p(self, value: float) -> None:
        self._settings = replace(self._settings, top_p=value)

    @property
    def min_p(self) -> float:
        """Only tokens with at least this share of the likeliest one's probability; 0 for all."""
        return self._settings.min_p

    @min_p.setter
    @live
    def min_p(self, value: float) -> None:
        self._settings = replace(self._settings, min_p=value)

    def constrain(self, *rules: Any) -> Self:
        """Holds the stream to these rules from the next token on, instead of what it was held to; none: to nothing.

        A rule is live, as temperature is: ``rewind`` and ``restore`` leave it as it is.

        Args:
            rules: of ``livesketch.forms``, such as ``form("五绝", rhyme=True)``, ``lines((5, 7, 5))``,
                ``without("e")``, ``grammar("[a-z ]+")``; or functions ``fn(text, symbols)`` of the piece so far and
                the vocabulary, that give what may come: None (anything), a set of symbols, an array (V,) of truth
                values, or one of nats to add.

        Raises:
            ControlError: no rule, or one that this vocabulary cannot meet; what it was held to stays.
        """
        rule = forms.all_of(*rules) if len(rules) > 1 else forms.as_rule(rules[0]) if rules else None
        bound = None if rule is None else Rule(rule, self._tokens.texts)
        with self._lock:
            self.taken_back()
            self._rule = bound
            if self._notes is not None:
                self._notes.append(("constrain", None if bound is None else bound.says()))
        return self

    def _prepare(self) -> None:
        """Gives the batch the settings and the labels of now, under the lock."""
        settings = self._settings  # read once: one consistent value for all voices
        if settings is not self._applied:
            for k in range(self._batch.size):
                self._batch.settle(
                    k, settings.divisor, settings.top_k, settings.top_p, settings.min_p, settings.unknown
                )
            self._applied = settings
        for k, mix in enumerate(self._mixes):
            if mix != self._conditioned[k]:
                self._condition(k, mix)

    def _condition(self, k: int, mix: Mix) -> None:
        """Gives voice k a label."""
        self._conditioned[k] = None  # neither the old nor the new one, until it is all there
        self._batch.condition(k, label_vector(self._checkpoint, mix))
        self._conditioned[k] = mix

    def _hold(self, k: int, bias: forms.Bias | None) -> None:
        """Holds voice k to this from its next step on."""
        if bias is self._held[k]:
            return
        self._held[k] = False  # likewise
        if bias is None:
            self._batch.constrain(k, None)
        else:
            self._batch.constrain(k, bias.hard, bias.common, bias.rare, bias.lost)
        self._held[k] = bias
