"""TextStream: a text model as an iterator of tokens that never runs dry."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from .. import forms, sampling, token_sampling
from ..errors import ControlError, UnsupportedModelError
from ..events import Token
from ..models.catalogue import open_text
from ..sampling import Floats
from ..token_sampling import END, Mode
from ..values import whole
from .condition import label_vector
from .drawing import Piece
from .plans import Beginning, Heads, Plan, line_ends
from .text_hold import check_given, line_marks
from .text_likelihood import TextLogProb, nats_of
from .text_options import rules_of, settings_of
from .text_voice import TextVoice

USE_LINE: Final = 3
"""The ``use`` word of the counter for random first lines."""

_TRIES: Final = 500
"""Random first lines that are looked at one by one before all are."""


class Candidate(NamedTuple):
    """What may come next."""

    text: str
    """Empty for the end of the piece."""
    probability: float


class TextStream(TextVoice):
    """One voice of a text model: each ``next()`` is one step of the model and gives one ``Token``.

    After END, a token of empty text with ``last`` set, or a cut at the model's maximum length, the next call begins the
    next piece. Make one with ``livesketch.text``. Of a piece that never ends, ``actions`` holds the last tokens, 32,768
    of them at least, so that memory stays flat.

    >>> import livesketch as ls
    >>> poem = ls.text("wuyan", seed=7)
    >>> first = next(poem)
    >>> first.step, first.given
    (0, False)
    """

    __slots__ = ()

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
        return self._begin(Beginning(tuple(ids), self._line_ends(0)), first_line=line)

    def start(self, symbol: str, *, unknown: bool = False) -> Piece:
        """A new piece that begins with this one character or word: see ``prompt``."""
        ids = self._ids(symbol, unknown=unknown)
        if len(symbol if self._checkpoint.unit == "byte" else ids) != 1:
            unit = "character" if self._checkpoint.unit == "byte" else self._checkpoint.unit
            raise ControlError(f"start {symbol!r:.60}: expected one {unit}; longer beginnings: prompt")
        return self._begin(Beginning(tuple(ids)), text=symbol)

    def acrostic(self, heads: str | Sequence[str], *, unknown: bool = False) -> Piece:
        """A new piece whose lines begin with these (藏头诗): the characters of a string, or a list of words.

        A line ends as the form has it; without one at a line break or, where the vocabulary has none, at a mark. The
        piece does not end before the last of these lines does. See ``prompt``.
        """
        if not isinstance(heads, Sequence):
            raise ControlError(f"acrostic {heads!r:.60}: expected a string of characters, or a list of words")
        if not unknown:
            self._refuse([*dict.fromkeys(symbol for head in heads for symbol in self._tokens.unknown(head))])
        each = [tuple(self._ids(head, unknown=unknown)) for head in heads]
        byte = self._checkpoint.unit == "byte"
        wrong = [head for head, ids in zip(heads, each, strict=True) if len(head if byte else ids) != 1]
        if not each or wrong:
            came = f"{wrong[0]!r:.40}" if wrong else "nothing"
            raise ControlError(
                f"acrostic with {came}: expected heads of one {'character' if byte else self._checkpoint.unit} each"
            )
        ends, most = self._line_ends(-1), self._checkpoint.max_steps // 2
        if not ends:
            raise ControlError(f"acrostic: model {self.name!r} knows no mark or break that ends a line; use prompt")
        if len(each) > most:
            raise ControlError(
                f"acrostic of {len(each)} heads: a piece of {self.name!r} has at most {self._checkpoint.max_steps} "
                f"{self._checkpoint.unit}s, a line at least two; expected at most {most}"
            )
        return self._begin(Heads(tuple(each), ends), acrostic="".join(heads))

    def random_line(self) -> Piece:
        """A new piece that begins with a first line of the training's documents, by chance: see ``prompt``.

        Which one depends on seed, voice and piece. Where a form is asked for, only lines that fit it count.

        Raises:
            UnsupportedModelError: the model keeps none.
            ControlError: none of them fits.
        """
        lines = self._openings()
        with self._lock:
            self.taken_back()
            piece, step = self._coming()
            piece += step > 0
            for turn in range(_TRIES):
                line = lines[_place_of(self._seed, turn, self._voice, piece, len(lines))]
                if self._fits(line):
                    return self.first_line(line)
            fitting = [line for line in lines if self._fits(line)]
            if fitting:
                return self.first_line(fitting[_place_of(self._seed, _TRIES, self._voice, piece, len(fitting))])
        rule = self._rule
        raise ControlError(
            f"random_line: none of {len(lines)} lines fits {rule.says() if rule else 'this model'}; "
            "loosen it, or use first_line with one of yours"
        )

    def peek(self, n: int = 10) -> list[Candidate]:
        """The n likeliest next tokens with their probabilities as they would be drawn; the stream does not move.

        Where what comes next is settled, as a given character is, that is the only one.

        Raises:
            ControlError: what the stream is held to leaves nothing.
        """
        n = whole("peek", n, 1, 2**20)
        with self._lock:
            self.taken_back()
            due = self._due()
            if due is not None:
                return [Candidate(due.text, 1.0)]
            probabilities = self._next_probabilities()
        texts = self._tokens.texts
        return [Candidate(texts[i], float(probabilities[i])) for i in _likeliest(probabilities)[:n].tolist()]

    def pick(self, i: int) -> Token:
        """The person chooses: the i-th of ``peek`` comes next, from 0 for the likeliest; returns it, ``given`` set.

        Raises:
            ControlError: there are not so many.
        """
        i = whole("pick", i, 0, 2**20)
        with self._lock:
            self.taken_back()
            settled = self._due() is not None
            choices = np.zeros(1, np.intp) if settled else _likeliest(self._next_probabilities())
            if i >= len(choices):
                raise ControlError(f"pick {i}: expected 0 to {len(choices) - 1}, as only so many may come; see peek()")
            try:
                if not settled:
                    self._picked = (*self._coming(), int(choices[i]))
                return next(self)
            finally:
                self._picked = None

    def log_prob(self, text: str, *, unknown: bool = False) -> TextLogProb:
        """How likely the model finds this text as a whole piece, under the label in use; the stream does not move.

        As training measures it: the model's own probabilities at temperature 1, the one of UNK included, which a
        stream never draws; so tokens that were drawn have a ``log_prob`` that is larger by UNK's share.

        Raises:
            ControlError: nothing, or characters that the model does not know, unless ``unknown`` lets its UNK stand.
        """
        ids = self._ids(text, unknown=unknown, longest=10**9)
        batch = self._backend.open_text(replace(self._checkpoint, max_steps=len(ids) + 2), 1)
        batch.condition(0, label_vector(self._checkpoint, self._wanted.mix))
        nats = nats_of(batch, ids, END, len(self._tokens))
        return TextLogProb(nats, len(ids) + 1, len(text) + 1, ids.count(token_sampling.UNK))

    def _next_probabilities(self) -> Floats:
        """(V,) as the next token would be drawn; under the lock."""
        self._prepare()
        token, bias = self._choice()
        if token is not None:
            return np.asarray(np.arange(len(self._tokens)) == token, np.float64)
        logits = np.zeros((1, len(self._tokens)))
        self._batch.force(0, np.zeros(0, np.int64), logits, end=True)
        hard, soft = (None, None) if bias is None else (bias.hard, bias.soft)
        drawn_from, _ = token_sampling.held(logits[0], hard, soft, self._settings)
        return np.asarray(np.exp(drawn_from.log_probs), np.float64)

    def _openings(self) -> list[str]:
        """First lines that the model carries, of the label in use or, in a mix, of its largest part."""
        kept = self._checkpoint.source.get("openings", ())
        if isinstance(kept, dict):
            main = max(self._wanted.mix, key=lambda pair: pair[1], default=("", 0.0))[0]
            kept = kept.get(main, ())
        openings = [line for line in kept if isinstance(line, str) and line] if isinstance(kept, list | tuple) else []
        if not openings:
            raise UnsupportedModelError(
                f"model {self.name!r} keeps no first lines of what it was trained on; use first_line with one of yours"
            )
        return openings

    def _line_ends(self, at: int) -> frozenset[int]:
        """The tokens that end a line: of a mark of several characters the first (``at`` 0) or the last one (-1)."""
        rule = self._rule
        return line_ends(self._tokens.texts, line_marks(rule.asked, at) if rule else frozenset())

    def _fits(self, line: str) -> bool:
        """Whether a piece can begin with this line."""
        rule = self._rule
        try:
            forms.check_given(rule.asked if rule else None, first_line=line)
            check_given(rule, (), self._ids(line, unknown=False), self._tokens.texts, "it")
        except ControlError:
            return False
        return True

    def _begin(self, plan: Plan, **given: str) -> Piece:
        """Begins another piece with a plan."""
        with self._lock, self._heard(), self._whole():
            rule = self._rule
            forms.check_given(rule.asked if rule else None, **given)
            if isinstance(plan, Beginning):
                check_given(rule, (), plan.tokens, self._tokens.texts, f"{next(iter(given.values()))!r:.60}")
            self._keep_due()
            self._leave()
            self._wanted = replace(self._wanted, plan=plan, piece=self._coming()[0])
            return Piece(self, self._trail)


def _likeliest(probabilities: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.intp]]":
    """The tokens that may come, likeliest first, of equals the lower number."""
    order = np.argsort(-probabilities, kind="stable")
    return np.asarray(order[: int((probabilities > 0).sum())])


def _place_of(seed: int, turn: int, voice: int, piece: int, count: int) -> int:
    """One of ``count`` places by chance."""
    u = float(sampling.uniforms(seed, turn, voice, piece, USE_LINE)[0])
    return min(int(u * count), count - 1)


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
        backend: ``auto``, ``cpu``, ``reference`` or ``cuda``; a named one is used or refused.
        voice: the voice's number in the random counter: same seed, other voice, other text.

    Raises:
        ModelNotFoundError, CheckpointError, UnsupportedModelError, BackendUnavailableError.
        ControlError: a value out of range; temperature and mode at once; rhyme or tones without a form.
        MissingExtraError: rhyme or tones without the extra ``forms``.
    """
    settings, rules = settings_of(temperature, mode, top_k, top_p, min_p), rules_of(form, rhyme, tones)
    checked = sampling.checked_seed(seed)
    checkpoint, label = open_text(name_or_path)
    return TextStream(checkpoint, label, settings, checked, backend, voice).constrain(*rules)
