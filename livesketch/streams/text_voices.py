"""Many voices of one text model, stepped together by one backend call."""

import os
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError
from ..events import Token
from ..models.catalogue import open_text
from ..models.checkpoint import TextCheckpoint
from ..models.tokens import Tokens
from ..sampling import checked_seed
from ..token_sampling import Mode, TextSettings
from ..values import whole
from .condition import Label, label_mix, label_mixes, label_said
from .live import live
from .many_voices import ManyVoices, Row
from .text_model_stream import TextModelStream
from .text_options import rules_of, settings_of
from .text_records import BYTES, said, token_of


class TokenRow(Row[Token]):
    """One step of n voices as arrays; indexing gives a voice's ``Token``."""

    def __init__(self, records: NDArray[Any], name: str, tokens: Tokens, before: Sequence[Sequence[int]]) -> None:
        super().__init__(records, name)
        self._tokens, self._before = tokens, before

    def _of(self, voice: int) -> Token:
        return token_of(self._records[voice].item(), self._name, voice, self._said(voice))

    def _said(self, voice: int) -> str:
        record = self._records[voice]
        before = self._before[voice] if self._before else ()
        return said(self._tokens, int(record["token"]), before, cut=bool(record["last"] and not record["ended"]))

    @property
    def texts(self) -> list[str]:
        """What each voice says; empty for the end of its piece."""
        return [self._said(voice) for voice in range(len(self))]

    @property
    def symbols(self) -> NDArray[np.int32]:
        """Places in the vocabulary, shape (n,): the tokens' ``index``."""
        return np.asarray(self._records["token"])

    @property
    def log_prob(self) -> NDArray[np.float64]:
        """Natural logarithms of the tokens' probabilities, shape (n,)."""
        return np.asarray(self._records["log_prob"])

    @property
    def entropy(self) -> NDArray[np.float64]:
        """Nats of the distributions that they were drawn from, shape (n,)."""
        return np.asarray(self._records["entropy"])

    @property
    def cost(self) -> NDArray[np.float64]:
        """Nats that rules took, shape (n,)."""
        return np.asarray(np.maximum(0.0, -np.log(self._records["mass"])))

    @property
    def piece(self) -> NDArray[np.int64]:
        """Which piece of the voice, shape (n,)."""
        return np.asarray(self._records["piece"])


class TextVoices(TextModelStream, ManyVoices[TokenRow]):
    """n voices of one text model. Voice k writes what ``text(model, seed=..., voice=k)`` writes alone, bit for bit.

    >>> import livesketch as ls
    >>> choir = ls.voices("wuyan", 8, seed=7)
    >>> tokens = choir.step()
    >>> tokens[3] == next(ls.text("wuyan", seed=7, voice=3))
    True
    """

    __slots__ = ("_ids",)

    def __init__(
        self, checkpoint: TextCheckpoint, label: str | None, n: int, settings: TextSettings, seed: int, backend: str
    ) -> None:
        super().__init__(checkpoint, label, settings, seed, backend, range(whole("voices", n, 1, 2**20)))
        self._mixes = (() if label is None else label_mix(checkpoint, label),) * n
        self._ids = [array("i") for _ in range(n)]
        """The symbols of each voice's piece."""

    def __repr__(self) -> str:
        rule = self._rule
        held = f" held to {rule.says()}" if rule is not None else ""
        controls = f"seed={self._seed} temperature={self.temperature:g}{held}"
        return f"<TextVoices {len(self)} x {self.name!r} {controls} on {self.backend}>"

    @property
    def label(self) -> tuple[str | dict[str, float] | None, ...]:
        """What each voice writes; set one for all, or a list of n. As ``TextStream.label``."""
        return tuple(map(label_said, self._mixes))

    @label.setter
    @live
    def label(self, label: Label | Sequence[Label]) -> None:
        self._mixes = label_mixes(self._checkpoint, label, len(self))

    def standing(self) -> tuple[Any, ...]:
        """Everything that decides what comes next, but for live controls: for ``stand_at``, also in another process."""
        with self._lock:
            self._prepare()
            return self._mixes, self._batch.snapshot(), self._batch.actions.copy(), [ids[:] for ids in self._ids]

    def stand_at(self, place: tuple[Any, ...]) -> None:
        """Takes up what ``standing`` gave."""
        with self._lock:
            self._mixes, snapshot, self._batch.actions[:], self._ids = place
            self._batch.restore(snapshot)
            self._conditioned, self._held = [None] * len(self), [False] * len(self)  # what it knew was of another place

    def _row(self) -> TokenRow:
        if self._batch.steps == self._taken:  # else Ctrl-C came between a step and its delivery: it is still due
            self._prepare()
            self._hold_all()
            self._batch.step()
        records = self._batch.actions.copy()
        before = []
        for ids, step, index in zip(self._ids, records["step"].tolist(), records["token"].tolist(), strict=True):
            del ids[step:]
            ids.append(index)
            if self._tokens.unit == "byte":
                before.append(ids[-BYTES - 1 : -1].tolist())
        return TokenRow(records, self.name, self._tokens, before)

    def _hold_all(self) -> None:
        """Holds every voice to the rule."""
        rule = self._rule
        for k, (ids, over) in enumerate(zip(self._ids, self._batch.writers["done"].tolist(), strict=True)):
            try:
                self._hold(k, None if rule is None else rule.bias(() if over else ids))
            except ControlError as err:
                raise ControlError(f"voice {k}: {err}") from err


def text_voices(
    model: str | os.PathLike[str],
    n: int,
    *,
    seed: int | None = None,
    temperature: float | None = None,
    mode: Mode | None = None,
    form: str | None = None,
    rhyme: bool | str = False,
    tones: bool | str = False,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    backend: str = "auto",
) -> TextVoices:
    """Many voices (n) of a text model; ``livesketch.voices`` finds out which kind of model it is."""
    settings, rules = settings_of(temperature, mode, top_k, top_p, min_p), rules_of(form, rhyme, tones)
    checked = checked_seed(seed)
    checkpoint, label = open_text(model)
    return TextVoices(checkpoint, label, n, settings, checked, backend).constrain(*rules)
