"""One voice of a text model, step by step; what a person gives it is in ``text``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .. import forms
from ..errors import ControlError
from ..events import Token
from ..models.checkpoint import TextCheckpoint
from ..token_sampling import END, TextSettings
from ..values import whole
from .condition import Label, Mix, label_mix, label_said
from .drawing import Piece
from .live import live
from .one_voice import OneVoice
from .past import Past
from .plans import Plan, Wish
from .text_hold import check_given, wished
from .text_model_stream import TextModelStream
from .text_records import BYTES, said, token_of
from .text_trail import Script


@dataclass(frozen=True, slots=True)
class Standing:
    """What a text stream was asked for."""

    mix: Mix
    plan: Plan | None = None
    piece: int = 0
    """The piece that the plan is for."""


class TextVoice(TextModelStream, OneVoice[Token]):
    """One voice of a text model: each ``next()`` is one step of the model and gives one ``Token``."""

    __slots__ = ("_met", "_past", "_picked", "_trail", "_voice", "_wanted")

    _trail: Script

    def __init__(
        self, checkpoint: TextCheckpoint, label: str | None, settings: TextSettings, seed: int, backend: str, voice: int
    ) -> None:
        self._voice = whole("voice", voice, 0, 2**32 - 1)
        super().__init__(checkpoint, label, settings, seed, backend, range(self._voice, self._voice + 1))
        self._wanted = Standing(() if label is None else label_mix(checkpoint, label))
        self._trail = Script()
        self._past: Past[Token] = Past()
        self._met: Plan | None = None
        """A plan that asks for nothing any more."""
        self._picked: tuple[int, int, int] | None = None
        """What a person chose: the piece, the step, the token."""

    def __repr__(self) -> str:
        label, rule = self.label, self._rule
        named = "" if label is None or label == self.name else f" label={label!r}"
        held = f" held to {rule.says()}" if rule is not None else ""
        return (
            f"<TextStream {self.name!r}{named} seed={self._seed} temperature={self.temperature:g}{held} "
            f"voice={self._voice} on {self.backend}>"
        )

    @property
    def label(self) -> str | dict[str, float] | None:
        """What it writes: one of ``labels``, or a mix of them; a change acts on the very next token.

        As ``SketchStream.label``. Raises ControlError and keeps the old value.
        """
        return label_said(self._wanted.mix)

    @label.setter
    @live
    def label(self, label: Label) -> None:
        self._wanted = replace(self._wanted, mix=label_mix(self._checkpoint, label))

    def piece(self) -> Piece:
        """An iterator over the rest of this piece, or over the next where this is over; ``str`` of it is the text."""
        return Piece(self, self._trail)

    def finish(self) -> Self:
        """Leaves the present piece, where one has begun, as it is: the next token begins another."""
        with self._lock, self._heard(), self._whole():
            self._keep_due()
            if self._coming()[1]:
                self._leave()
        return self

    def feed(self, text: str, *, unknown: bool = False) -> list[Token]:
        """The person writes: this text becomes the piece's own past, and the next token goes on from there.

        Raises:
            ControlError: nothing, characters that the model does not know, more than is left of a piece, or what the
                stream is held to does not let come.
        """
        ids = self._ids(text, unknown=unknown)
        with self._lock, self._heard(), self._whole():
            self._keep_due()
            place = self._coming()
            room = self._checkpoint.max_steps - place[1] - 1
            if len(ids) > room:
                raise ControlError(
                    f"{len(ids)} {self._checkpoint.unit}s: a piece of {self.name!r} has at most "
                    f"{self._checkpoint.max_steps}; expected at most {max(room, 0)} more: shorten the text"
                )
            check_given(self._rule, self._present(place), ids, self._tokens.texts, f"{text!r:.60}")
            return self._feed(np.array(ids, np.int64))

    def _ids(self, text: str, *, unknown: bool, longest: int | None = None) -> list[int]:
        """The tokens of a text that a person gives.

        Raises:
            ControlError: none, unknown ones that were not asked for, or more than a piece has.
        """
        ids = self._tokens.ids(text)
        if not ids:
            raise ControlError("an empty text: expected at least one character")
        if not unknown:
            self._refuse(self._tokens.unknown(text))
        if len(ids) >= (longest or self._checkpoint.max_steps):
            raise ControlError(
                f"a text of {len(ids)} {self._checkpoint.unit}s: a piece of {self.name!r} has at most "
                f"{self._checkpoint.max_steps}; expected fewer"
            )
        return ids

    def _refuse(self, missing: Sequence[str]) -> None:
        """Raises ControlError where symbols are missing in the vocabulary."""
        if missing:
            more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            raise ControlError(
                f"{self.name!r} does not know {', '.join(map(repr, missing[:8]))}{more}; leave that out, or give "
                "unknown=True (--unknown), with which its symbol for the unknown stands there"
            )

    def _leave(self) -> None:
        """The present piece is over where it has begun; under the lock, in ``_whole``."""
        self._past.outdated = True
        self._batch.finish(0)
        self._trail.leave()

    def _coming(self) -> tuple[int, int]:
        """The next token's piece and step."""
        _, _, _, piece, step, _, done = self._batch.writers[0].item()
        return (piece + 1, 0) if done else (piece, step)

    def _present(self, place: tuple[int, int]) -> Sequence[int]:
        """The tokens before the next one, in its piece."""
        return self._trail.ids if place[1] else ()

    def _wish(self, place: tuple[int, int], tokens: Sequence[int]) -> Wish | None:
        """What a plan asks of the next token."""
        wanted = self._wanted
        if wanted.plan is None or wanted.plan is self._met or wanted.piece != place[0]:
            return None
        wish = wanted.plan.wish(tokens)
        if wish is None:
            self._met = wanted.plan  # ``_stand`` forgets it
        return wish

    def _choice(self) -> tuple[int | None, forms.Bias | None]:
        """The token that comes next because a person said so, or None, and what the model chooses from.

        Raises:
            ControlError: what is wanted and allowed leaves nothing.
        """
        rule = self._rule
        if rule is None and self._wanted.plan is None and self._picked is None:
            return None, None
        place = self._coming()
        if self._picked is not None and self._picked[:2] == place:
            return self._picked[2], None
        tokens = self._present(place)
        wish = self._wish(place, tokens)
        if wish is None or self._wanted.plan is None:
            return None, None if rule is None else rule.bias(tokens)
        return wished(wish, self._wanted.plan, rule, tokens, self._tokens.texts)

    def _advance(self) -> None:
        token, bias = self._choice()
        if token is not None:
            self._batch.step(tokens=np.array([token]))
            return
        self._hold(0, bias)
        self._batch.step()

    def _prepare(self) -> None:
        self._mixes = (self._wanted.mix,)
        super()._prepare()

    def _condition(self, k: int, mix: Mix) -> None:
        self._past.outdated = True
        super()._condition(k, mix)

    def _event(self, record: Any, *, given: bool) -> Token:  # noqa: ARG002 - the record says it
        fields = record.item()
        piece, step, index, *_, last, ended, _, _ = fields
        before = self._before(piece, step) if self._tokens.unit == "byte" else ()
        return token_of(fields, self.name, self._voice, said(self._tokens, index, before, cut=last and not ended))

    def _before(self, piece: int, step: int) -> list[int]:
        """The last few tokens before a place."""
        known = [*self._trail.actions[-BYTES - 1 :], *self._past.last(BYTES + 1)]  # what is fed is in one of them first
        found = {token.step: token.index for token in known if token.piece == piece and 0 < step - token.step <= BYTES}
        return [found[key] for key in sorted(found)]

    def asked(self, name: str) -> Any:
        """``Base.asked``."""
        return None if name == "label" and not self.labels else getattr(self, name)

    def _standing(self) -> Standing:
        return self._wanted

    def _stand(self, standing: Standing) -> None:
        self._wanted = standing
        self._met = self._picked = None
        self._conditioned, self._held = [None], [False]

    def _place(self) -> tuple[int, int]:
        _, _, _, piece, step, token, done = self._batch.writers[0].item()
        left = token != END and step < self._checkpoint.max_steps
        asked = self._wanted.plan is not None and self._wanted.piece > piece
        return (piece + 1, 0) if done and (left or asked) else (piece, step)

    def _twin(self, seed: int, voice: int) -> Self:
        twin = type(self)(self._checkpoint, None, self._settings, seed, self.backend, voice)
        twin.name = self.name
        rule = self._rule
        return twin if rule is None else twin.constrain(rule.asked)
