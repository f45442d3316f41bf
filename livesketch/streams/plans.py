"""What a person gives a piece of text to hold to: how it begins, or the heads of its lines.

A plan is a pure function of the tokens so far, so that going back and branching off need nothing kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

LINE_ENDS: Final = frozenset("，。？！；,.?!;\n")
"""What ends a line of verse. Where a vocabulary has line breaks, they alone do."""


class Plan(Protocol):
    """What must come at some places of a piece."""

    def due(self, tokens: Sequence[int]) -> int | None:
        """The token that must come after these; None where the model chooses."""

    def may_end(self, tokens: Sequence[int]) -> bool:
        """Whether all that was given has been placed, so that the piece may end."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The piece begins with these tokens."""

    tokens: tuple[int, ...] = ()

    def due(self, tokens: Sequence[int]) -> int | None:
        """``Plan.due``."""
        return self.tokens[len(tokens)] if len(tokens) < len(self.tokens) else None

    def may_end(self, tokens: Sequence[int]) -> bool:
        """``Plan.may_end``."""
        return len(tokens) >= len(self.tokens)


@dataclass(frozen=True, slots=True)
class Heads:
    """Each line begins with the next of these: an acrostic (藏头诗)."""

    heads: tuple[int, ...]
    ends: frozenset[int]
    """The tokens that end a line."""

    def due(self, tokens: Sequence[int]) -> int | None:
        """``Plan.due``."""
        if tokens and tokens[-1] not in self.ends:
            return None
        line = sum(token in self.ends for token in tokens)
        return self.heads[line] if line < len(self.heads) else None

    def may_end(self, tokens: Sequence[int]) -> bool:
        """``Plan.may_end``: the last head's line has come to its end, as far as lines do."""
        return sum(token in self.ends for token in tokens) >= len(self.heads)


def line_ends(vocabulary: Sequence[str]) -> frozenset[int]:
    """The tokens of a vocabulary that end a line: those with a line break, or else those with a mark."""
    ends = frozenset(i for i, text in enumerate(vocabulary) if "\n" in text)
    return ends or frozenset(i for i, text in enumerate(vocabulary) if text and text.strip() in LINE_ENDS)
