"""TextStream: a text model as an iterator of tokens that never runs dry."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import forms, sampling, token_sampling
from ..errors import ControlError, UnsupportedModelError
from ..events import Token
from ..models.catalogue import open_text
from ..models.checkpoint import TextCheckpoint
from ..sampling import Floats
from ..token_sampling import END, UNK, Mode, TextSettings
from ..values import whole
from .condition import Label, Mix, label_mix, label_said
from .drawing import Piece
from .one_voice import OneVoice
from .past import Past
from .plans import Beginning, Heads, Plan, line_ends
from .text_model_stream import TextModelStream, temperature_of
from .trail import Trail

Row: TypeAlias = NDArray[np.float32]

USE_LINE: Final = 3
"""The ``use`` word of the counter for random first lines."""


class Candidate(NamedTuple):
    """What may come next."""

    text: str
    """Empty for the end of the piece."""
    probability: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What a text stream was asked for."""

    mix: Mix
    rule: forms.Rule | None = None
    constraint: forms.Constraint | None = None
    """The rule, bound to the vocabulary."""
    plan: Plan | None = None
    piece: int = 0
    """The piece that the plan is for."""


class TextStream(TextModelStream, OneVoice[Token]):
    """One voice of a text model: each ``next()`` is one step of the model and gives one ``Token``.

    After END, a token of empty text with ``last`` set, or a cut at the model's maximum length, the next call begins the
    next piece. Make one with ``livesketch.text``.

    >>> import livesketch as ls
    >>> poem = ls.text("wuyan", seed=7)
    >>> first = next(poem)
    >>> first.step, first.given
    (0, False)
    """

    __slots__ = ("_given", "_held", "_past", "_picked", "_so_far", "_trail", "_voice", "_wanted")

    def __init__(
        self, checkpoint: TextCheckpoint, label: str | None, settings: TextSettings, seed: int, backend: str, voice: int
    ) -> None:
        self._voice = whole("voice", voice, 0, 2**32 - 1)
        super().__init__(checkpoint, label, settings, seed, backend, range(self._voice, self._voice + 1))
        self._wanted = Standing(() if label is None else label_mix(checkpoint, label))
        self._trail: Trail[Token] = Trail()
        self._past: Past[Token] = Past()
        self._so_far: tuple[list[Token], list[int]] = [], []
        self._picked: int | None = None
        self._given = False
        self._held: tuple[Row | None, Row | None] = None, None

    def __repr__(self) -> str:
        label, rule = self.label, self._wanted.constraint
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
    def label(self, label: Label) -> None:
        mix = label_mix(self._checkpoint, label)
        with self._lock:
            self._wanted = replace(self._wanted, mix=mix)

    def constrain(self, *rules: Any) -> Self:
        """Holds the stream to these rules from the next token on, instead of what it was held to; none: to nothing.

        Args:
            rules: of ``livesketch.forms``, such as ``form("五绝", rhyme=True)``, ``lines((5, 7, 5))``,
                ``without("e")``, ``grammar("[a-z ]+")``; or functions ``fn(text, symbols)`` of the piece so far and
                the vocabulary, that give what may come: None (anything), a set of symbols, an array (V,) of truth
                values, or one of nats to add.

        Raises:
            ControlError: no rule, or one that this vocabulary cannot meet; what it was held to stays.
        """
        rule = forms.all_of(*rules) if len(rules) > 1 else forms.as_rule(rules[0]) if rules else None
        bound = rule.bind(self._tokens.texts) if rule is not None else None
        with self._lock:
            self._wanted = replace(self._wanted, rule=rule, constraint=bound)
        return self

    def piece(self) -> Piece:
        """An iterator over the rest of this piece, or over the next where this is over; ``str`` of it is the text."""
        return Piece(self, self._trail)

    def finish(self) -> Self:
        """Leaves the present piece where it is: the next token begins another."""
        with self._lock:
            self._keep_due()
            self._over()
        return self

    def _over(self) -> None:
        """The present piece is over where it has begun; under the lock."""
        self._batch.finish(0)
        self._trail.begin([], self._trail.unsent)
        self._so_far = [], []
        self._past.anchor(self._batch.snapshot(), self._wanted)

    def prompt(self, text: str, *, unknown: bool = False) -> Piece:
        """A new piece that begins with this text: an iterator over all of it, up to its end.

        Args:
            text: the beginning; its tokens come first, with ``given`` set.
            unknown: whether characters that the model does not know may stand, for which it reads its UNK symbol.

        Raises:
            ControlError: characters that the model does not know; a text that the form does not allow, or too long.
        """
        return self._begin(Beginning(tuple(self._ids(text, unknown=unknown))), text=text)

    def first_line(self, line: str, *, unknown: bool = False) -> Piece:
        """A new piece with this first line, which the model ends with a mark where it has none: see ``prompt``."""
        ids = self._ids(line, unknown=unknown)
        return self._begin(Beginning(tuple(ids), line_ends(self._tokens.texts)), first_line=line)

    def start(self, symbol: str, *, unknown: bool = False) -> Piece:
        """A new piece that begins with this one character or word: see ``prompt``."""
        ids = self._ids(symbol, unknown=unknown)
        if len(ids) != 1 and self._checkpoint.unit != "byte":
            raise ControlError(
                f"start {symbol!r:.60}: {len(ids)} {self._checkpoint.unit}s; expected one; longer beginnings: prompt"
            )
        return self._begin(Beginning(tuple(ids)), text=symbol)

    def acrostic(self, heads: str | Sequence[str], *, unknown: bool = False) -> Piece:
        """A new piece whose lines begin with these (藏头诗): the characters of a string, or a list of words.

        A line ends at a line break or, where the vocabulary has none, at a mark. The piece does not end before the last
        of these lines does. See ``prompt``.
        """
        each = [self._ids(head, unknown=unknown) for head in heads]
        wrong = [head for head, ids in zip(heads, each, strict=True) if len(ids) != 1]
        if not each or wrong:
            came = f"{wrong[0]!r:.40}" if wrong else "nothing"
            raise ControlError(f"acrostic with {came}: expected heads of one {self._checkpoint.unit} each")
        ends = line_ends(self._tokens.texts)
        if not ends:
            raise ControlError(f"acrostic: model {self.name!r} knows no mark or break that ends a line; use prompt")
        return self._begin(Heads(tuple(ids[0] for ids in each), ends), acrostic="".join(heads))

    def random_line(self) -> Piece:
        """A new piece that begins with a first line of the training's documents, by chance: see ``prompt``.

        Which one depends on seed, voice and piece. Where a form is asked for, only lines that fit it count.

        Raises:
            UnsupportedModelError: the model keeps none.
            ControlError: none of them fits.
        """
        openings = self._openings()
        with self._lock:
            number = self._coming()
        u = sampling.uniforms(self._seed, 0, self._voice, number, USE_LINE)
        fitting = openings
        if self._wanted.constraint is not None:
            fitting = [line for line in openings if self._fits(self._ids(line, unknown=False))]
        if not fitting:
            raise ControlError(
                f"random_line: none of {len(openings)} lines fits {self._said()}; loosen it, or first_line"
            )
        line = fitting[min(int(u[0] * len(fitting)), len(fitting) - 1)]
        return self.first_line(line)

    def peek(self, n: int = 10) -> list[Candidate]:
        """The n likeliest next tokens with their probabilities as they would be drawn; the stream does not move."""
        n = whole("peek", n, 1, 2**20)
        with self._lock:
            probabilities = self._next_probabilities()
        order = np.argsort(-probabilities, kind="stable")[:n]
        texts = self._tokens.texts
        return [Candidate(texts[i], float(probabilities[i])) for i in order.tolist() if probabilities[i] > 0]

    def pick(self, i: int) -> Token:
        """The person chooses: the i-th of ``peek`` comes next, from 0 for the likeliest; returns it, ``given`` set.

        Raises:
            ControlError: there are not so many.
        """
        i = whole("pick", i, 0, 2**20)
        with self._lock:
            self._keep_due()
            probabilities = self._next_probabilities()
            order = np.argsort(-probabilities, kind="stable")
            if i >= len(order) or not probabilities[order[i]] > 0:
                raise ControlError(f"pick {i}: {int((probabilities > 0).sum())} tokens may come next; see peek()")
            self._picked = int(order[i])
            return next(self)

    def feed(self, text: str, *, unknown: bool = False) -> list[Token]:
        """The person writes: this text becomes the piece's own past, and the next token goes on from there.

        Raises:
            ControlError: nothing, characters that the model does not know, or more than is left of a piece.
        """
        ids = np.array(self._ids(text, unknown=unknown), np.int64)
        with self._lock:
            self._keep_due()
            before = self._trail.present()
            room = self._checkpoint.max_steps - (before.step + 1 if before else 0) - 1
            if len(ids) > room:
                raise ControlError(
                    f"{len(ids)} {self._checkpoint.unit}s: a piece of {self.name!r} has at most "
                    f"{self._checkpoint.max_steps}; expected at most {max(room, 0)} more: shorten the text"
                )
            return self._feed(ids)

    def _openings(self) -> list[str]:
        kept = self._checkpoint.source.get("openings", ())
        if isinstance(kept, dict):  # by label
            main = max(self._wanted.mix, key=lambda pair: pair[1], default=("", 0.0))[0]
            kept = kept.get(main, ())
        openings = [line for line in kept if isinstance(line, str) and line and not self._tokens.unknown(line)]
        if not openings:
            raise UnsupportedModelError(
                f"model {self.name!r} keeps no first lines of what it was trained on; use first_line with one of yours"
            )
        return openings

    def _ids(self, text: str, *, unknown: bool) -> list[int]:
        ids = self._tokens.ids(text)
        if not ids:
            raise ControlError("an empty text: expected at least one character")
        missing = self._tokens.unknown(text)
        if missing and not unknown:
            raise ControlError(
                f"{self.name!r} does not know {', '.join(map(repr, missing[:8]))}; leave that out, or give unknown=True"
            )
        if len(ids) >= self._checkpoint.max_steps:
            raise ControlError(f"{len(ids)} {self._checkpoint.unit}s: expected fewer than {self._checkpoint.max_steps}")
        return ids

    def _begin(self, plan: Plan, **given: str) -> Piece:
        """Begins another piece with a plan."""
        forms.check_given(self._wanted.rule, **given)
        with self._lock:
            if isinstance(plan, Beginning) and not self._fits(plan.tokens):
                raise ControlError(f"{next(iter(given.values()))!r:.60} does not fit {self._said()}")
            self._keep_due()
            self._over()
            self._wanted = replace(self._wanted, plan=plan, piece=self._coming())
            self._past.anchor(self._batch.snapshot(), self._wanted)
            return Piece(self, self._trail)

    def _said(self) -> str:
        return self._wanted.constraint.says() if self._wanted.constraint is not None else "nothing"

    def _fits(self, tokens: Sequence[int]) -> bool:
        """Whether the constraint lets a piece begin with these."""
        constraint = self._wanted.constraint
        if constraint is None:
            return True
        try:
            biases = [forms.bias_of(constraint, tokens[:i]) for i in range(len(tokens))]
        except ControlError:
            return False
        return all(bias is None or bias.hard[token] == 0 for bias, token in zip(biases, tokens, strict=True))

    def _coming(self) -> int:
        """The number of the piece of the next token."""
        writer = self._batch.writers[0]
        return int(writer["piece"]) + bool(writer["done"])

    def _present(self) -> list[int]:
        """The tokens so far of the piece of the next one."""
        if self._trail.present() is None:
            return []
        actions, ids = self._so_far
        if actions is not self._trail.actions:
            actions, ids = self._so_far = self._trail.actions, []
        ids.extend(token.index for token in actions[len(ids) :])
        return ids

    def _plan(self) -> Plan | None:
        wanted = self._wanted
        return wanted.plan if wanted.plan is not None and wanted.piece == self._coming() else None

    def _prepare(self) -> bool:
        """What the next token needs to know, under the lock; whether the label changed."""
        if self._batch.steps != self._taken:
            return False  # the next one is made already
        wanted = self._wanted
        plan = self._plan()
        tokens = self._present() if plan is not None or wanted.constraint is not None else []
        due = self._picked
        if due is None and plan is not None:
            due = plan.due(tokens)
        rows = self._only(due) if due is not None else self._rows(plan, wanted.constraint, tokens)
        if self._held[0] is not None and (due == UNK) != self._applied.unknown:
            self._hold((None, None))  # it may leave UNK alone, which is not allowed before and after
        changed = self._apply(wanted.mix, unknown=due == UNK)
        self._hold(rows)
        self._given = due is not None
        return changed

    def _rows(
        self, plan: Plan | None, constraint: forms.Constraint | None, tokens: list[int]
    ) -> tuple[Row | None, Row | None]:
        """What is added to the logits of the next token: hard and soft, each (V,) or None."""
        bias = forms.bias_of(constraint, tokens) if constraint is not None else None
        hard, soft = (bias.hard, bias.soft) if bias is not None else (None, None)
        if plan is None:
            return hard, soft
        among, may_end = plan.among(tokens), plan.may_end(tokens)
        if among is None and may_end:
            return hard, soft
        hard = np.zeros(len(self._tokens), np.float32) if hard is None else hard.copy()
        if among is not None:
            others = np.ones(len(hard), bool)
            others[list(among)] = False
            hard[others] = -np.inf
        if not may_end:
            hard[END] = -np.inf
        if not np.isfinite(np.delete(hard, UNK)).any():
            raise ControlError(
                f"what was given and {self._said()} leave nothing for place {len(tokens) + 1} of the piece; "
                "loosen one of them, the stream is as it was"
            )
        return hard, soft

    def _only(self, token: int) -> tuple[Row, None]:
        row = np.full(len(self._tokens), -np.inf, np.float32)
        row[token] = 0
        return row, None

    def _hold(self, rows: tuple[Row | None, Row | None]) -> None:
        if rows[0] is not self._held[0] or rows[1] is not self._held[1]:
            self._held = rows  # first: broken off, they are given again or are the same
            self._batch.constrain(0, *rows)

    def _next_probabilities(self) -> Floats:
        """(V,) as the next token would be drawn; nothing moves."""
        self._prepare()
        if self._batch.steps != self._taken:
            return np.zeros(len(self._tokens))
        logits = np.zeros((1, len(self._tokens)))
        self._batch.force(0, np.zeros(0, np.int64), logits, end=True)
        drawn_from, _ = token_sampling.held(logits[0], *self._held, self._applied)
        return np.asarray(np.exp(drawn_from.log_probs), np.float64)

    def _keep(self, event: Token) -> None:
        super()._keep(event)
        self._picked = None

    def _event(self, record: Any, *, given: bool) -> Token:
        piece, step, index, log_prob, entropy, mass, last, ended, softened = record.item()
        given = given or self._given
        said = self._said_by(index, step, last=last and not ended)
        nats = math.log(mass)
        return Token(
            0.0, self.name, self._voice, step, said, log_prob + nats if given else log_prob, entropy, given,
            piece, last, ended, 0.0 if given else max(0.0, -nats), softened, index,
        )  # fmt: skip

    def _said_by(self, index: int, step: int, *, last: bool) -> str:
        """The text that a token completes: a character of several bytes comes with its last byte."""
        if self._checkpoint.unit != "byte":
            return self._tokens.texts[index]
        decoder, before = self._tokens.decoder(), self._trail.actions if step else []
        for token in before[max(0, step - 3) : step]:  # no character has more than four
            decoder.feed(token.index)
        text = decoder.feed(index)
        return text + decoder.flush() if last else text

    def _standing(self) -> Standing:
        return self._wanted

    def _stand(self, standing: Standing) -> None:
        self._wanted = standing
        self._so_far = [], []
        self._picked = None

    def _twin(self, seed: int, voice: int) -> Self:
        twin = type(self)(self._checkpoint, None, self._settings, seed, self.backend, voice)
        twin.name = self.name
        return twin


def text(
    name_or_path: str | os.PathLike[str] = "wuyan",
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
    voice: int = 0,
) -> TextStream:
    """A stream of tokens from a text model; nothing moves until it is asked for a token.

    Args:
        name_or_path: a bundled name (``livesketch.catalogue()``), or a checkpoint's path, with ``#label`` after it for
            one class of several.
        seed: 0 … 2^64 - 1; None takes a fresh one, readable as ``.seed``.
        temperature: 0 (greedy) and up; 1 where nothing is said.
        mode: the temperature by name: ``conservative`` 0.6, ``normal`` 1.0, ``open`` 1.4.
        form: of Chinese verse, ``五绝``, ``七绝``, ``五律`` or ``七律``; other forms: ``constrain``.
        rhyme: with a form: even lines rhyme, in a group that the first of them chooses, or in this one.
        tones: with a form: level and oblique tones as its patterns have them, or in this pattern.
        top_k: only so many of the likeliest tokens; 0 for all.
        top_p: only the fewest of the likeliest that hold this share; 1 for all.
        min_p: only tokens with at least this share of the likeliest one's probability; 0 for all.
        backend: ``auto``, ``cpu`` or ``reference``; a named one is used or refused.
        voice: the voice's number in the random counter: same seed, other voice, other text.

    Raises:
        ModelNotFoundError, CheckpointError, UnsupportedModelError, BackendUnavailableError.
        ControlError: a value out of range; temperature and mode at once; rhyme or tones without a form.
        MissingExtraError: rhyme or tones without the extra ``forms``.
    """
    if temperature is not None and mode is not None:
        raise ControlError(f"temperature {temperature!r} and mode {mode!r}: expected one of them")
    heat = temperature_of(mode or "normal") if temperature is None else temperature
    settings = TextSettings(heat, top_k, top_p, min_p)
    if form is None and (rhyme or tones):
        raise ControlError("rhyme and tones belong to a form; expected form='五绝', '七绝', '五律' or '七律' with them")
    rules = [] if form is None else [forms.form(form, rhyme, tones)]
    checked = sampling.checked_seed(seed)
    checkpoint, label = open_text(name_or_path)
    return TextStream(checkpoint, label, settings, checked, backend, voice).constrain(*rules)
