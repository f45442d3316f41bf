"""What the next token of a piece is held to: what a person gave and what a rule allows."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .. import forms
from ..errors import ControlError
from ..forms.constraint import Row, leaves_some
from ..forms.lines import Lines
from ..token_sampling import END, UNK
from .plans import Plan, Wish

_KEPT: Final = 2**25
"""Bytes of rows that are known to leave something."""


class Rule:
    """A rule of ``forms``, as asked for and bound to a vocabulary."""

    def __init__(self, asked: forms.Rule, texts: tuple[str, ...]) -> None:
        """Raises ControlError where the vocabulary cannot meet it."""
        self.asked, self.bound = asked, asked.bind(texts)
        self._sound: dict[int, Row] = {}

    def says(self) -> str:
        """What it asks for, for messages."""
        return self.bound.says()

    def bias(self, tokens: Sequence[int]) -> forms.Bias | None:
        """What it allows after these tokens; None: anything. A row that is read-only is looked at once.

        Raises:
            ControlError: nothing, or the tokens themselves do not fit it.
        """
        bias = self.bound.bias(tokens)
        if bias is None or self._sound.get(id(bias.hard)) is bias.hard:
            return bias
        if not leaves_some(bias.hard):
            raise ControlError(
                f"{self.says()} forbids every symbol at place {len(tokens) + 1} of the piece; loosen it or take it "
                "away, the stream is as it was"
            )
        if not bias.hard.flags.writeable:
            if len(self._sound) * bias.hard.nbytes > _KEPT:
                self._sound.clear()
            self._sound[id(bias.hard)] = bias.hard
        return bias


def wished(
    wish: Wish, plan: Plan, rule: Rule | None, tokens: Sequence[int], texts: Sequence[str]
) -> tuple[int | None, forms.Bias | None]:
    """The token that must come after these, or None and what is chosen from: what a plan wishes and a rule allows.

    Raises:
        ControlError: they contradict each other, and which; or as ``Rule.bias``.
    """
    bias = None if rule is None else rule.bias(tokens)
    if wish.due is not None:
        if bias is not None and wish.due != UNK and not bias.hard[wish.due] > -np.inf:
            raise _contradiction(plan, rule, tokens, f"{texts[wish.due]!r}")
        return wish.due, None
    if wish.among is None and wish.may_end:
        return None, bias
    hard = np.zeros(len(texts), np.float32) if bias is None else bias.hard.copy()
    if wish.among is not None:
        others = np.ones(len(hard), bool)
        others[list(wish.among)] = False
        hard[others] = -np.inf
    if not wish.may_end:
        hard[END] = -np.inf
    if not leaves_some(hard):
        asked = [texts[token] for token in sorted(wish.among or ())]
        wanted = f"one of {' '.join(map(repr, asked[:8]))}" if asked else "more, as not all of it has come"
        raise _contradiction(plan, rule, tokens, wanted)
    return None, forms.Bias(hard) if bias is None else forms.Bias(hard, bias.common, bias.rare, bias.lost)


def check_given(
    rule: Rule | None, before: Sequence[int], given: Sequence[int], texts: Sequence[str], what: str
) -> None:
    """Whether a rule lets these tokens come after those before.

    Raises:
        ControlError: it does not; the message says where. ``what`` names them.
    """
    if rule is None:
        return
    tokens = [*before]
    for token in given:
        bias = _asked(rule, tokens, what)
        if bias is not None and token != UNK and not bias.hard[token] > -np.inf:
            raise ControlError(
                f"{what} has {texts[token]!r} in place {len(tokens) + 1} of the piece, which {rule.says()} forbids "
                "there; change it, or loosen the rule"
            )
        tokens.append(token)
    _asked(rule, tokens, what)


def line_marks(asked: Any, at: int) -> frozenset[str]:
    """What ends the lines of a form of verse or of ``lines``, alone or in ``all_of``; empty: the rule has no lines.

    ``at`` is 0 for what a mark begins with, -1 for what it ends with.
    """
    if isinstance(asked, forms.Form):
        return frozenset(asked.mark(line) for line in range(asked.lines))
    if isinstance(asked, Lines):
        return frozenset(mark[at] for mark in asked.ends if mark)
    return frozenset[str]().union(*(line_marks(part, at) for part in getattr(asked, "rules", ())))


def _asked(rule: Rule, tokens: Sequence[int], what: str) -> forms.Bias | None:
    try:
        return rule.bias(tokens)
    except ControlError as err:
        raise ControlError(f"{what} does not fit: {err}") from err


def _contradiction(plan: Plan, rule: Rule | None, tokens: Sequence[int], wanted: str) -> ControlError:
    return ControlError(
        f"{plan.says()} wants {wanted} in place {len(tokens) + 1} of the piece, which "
        f"{'the model' if rule is None else rule.says()} forbids there: they contradict each other; loosen the rule, "
        "or begin another piece; the stream is as it was"
    )
