"""What a person gives a piece of text to hold to: how it begins, its first line, or the heads of its lines.

A plan is a pure function of the tokens so far, so that going back and branching off need nothing kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

LINE_ENDS: Final = frozenset("，。？！；,.?!;")
"""What ends a line of verse, where a vocabulary has no line break."""


class Plan(Protocol):
    """What must come at some places of a piece."""

    def due(self, tokens: Sequence[int]) -> int | None:
        """The token that must come after these; None where there is a choice."""

    def among(self, tokens: Sequence[int]) -> frozenset[int] | None:
        """What the model chooses from after these; None: everything."""

    def may_end(self, tokens: Sequence[int]) -> bool:
        """Whether all that was given has its place, so that the piece may end."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The piece begins with these tokens; where ``ends`` are given they are a line, and one of those ends it."""

    tokens: tuple[int, ...]
    ends: frozenset[int] = frozenset()

    def due(self, tokens: Sequence[int]) -> int | None:
        """``Plan.due``."""
        return self.tokens[len(tokens)] if len(tokens) < len(self.tokens) else None

    def among(self, tokens: Sequence[int]) -> frozenset[int] | None:
        """``Plan.among``."""
        here = len(tokens) == len(self.tokens) and self.ends and self.tokens[-1] not in self.ends
        return self.ends if here else None

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

    def among(self, tokens: Sequence[int]) -> frozenset[int] | None:  # noqa: ARG002 - it never limits the choice
        """``Plan.among``."""
        return None

    def may_end(self, tokens: Sequence[int]) -> bool:
        """``Plan.may_end``: the last head's line has come to its end."""
        return sum(token in self.ends for token in tokens) >= len(self.heads)


def line_ends(texts: Sequence[str]) -> frozenset[int]:
    """The tokens, by the text of each, that end a line: those with a line break, or else those that are a mark."""
    breaks = frozenset(i for i, text in enumerate(texts) if "\n" in text)
    return breaks or frozenset(i for i, text in enumerate(texts) if text and text.strip() in LINE_ENDS)
