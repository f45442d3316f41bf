"""What a person gives a piece of text to hold to: how it begins, its first line, or the heads of its lines.

A plan is a pure function of the tokens so far, so that going back and branching off need nothing kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

LINE_ENDS: Final = frozenset("，。？！；,.?!;")
"""What ends a line of verse, where a vocabulary has no line break."""


class Wish(NamedTuple):
    """What a plan asks of one place."""

    due: int | None = None
    """The token that must come; None where there is a choice."""
    among: frozenset[int] | None = None
    """What the model chooses from; None: everything."""
    may_end: bool = False
    """Whether the piece may end here."""


class Plan(Protocol):
    """What must come at some places of a piece."""

    def wish(self, tokens: Sequence[int]) -> Wish | None:
        """What it asks of the place after these tokens; None: nothing, there and from there on."""

    def says(self) -> str:
        """What it is, for messages."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The piece begins with these tokens; where ``ends`` are given they are a line, and one of those ends it."""

    tokens: tuple[int, ...]
    ends: frozenset[int] = frozenset()

    def wish(self, tokens: Sequence[int]) -> Wish | None:
        """``Plan.wish``."""
        place, given = len(tokens), len(self.tokens)
        if place < given:
            return Wish(self.tokens[place])
        if place == given and self.ends and self.tokens[-1] not in self.ends:
            return Wish(among=self.ends)
        return None

    def says(self) -> str:
        """``Plan.says``."""
        return "the first line" if self.ends else "the beginning"


@dataclass(frozen=True, slots=True)
class Heads:
    """Each line begins with the next of these, of a token or more: an acrostic (藏头诗)."""

    heads: tuple[tuple[int, ...], ...]
    ends: frozenset[int]
    """The tokens that end a line."""

    def wish(self, tokens: Sequence[int]) -> Wish | None:
        """``Plan.wish``: the piece may not end before the last head's line does."""
        line = sum(token in self.ends for token in tokens)
        if line >= len(self.heads):
            return None
        within = next((i for i, token in enumerate(reversed(tokens)) if token in self.ends), len(tokens))
        head = self.heads[line]
        return Wish(head[within] if within < len(head) else None)

    def says(self) -> str:
        """``Plan.says``."""
        return "the acrostic"


def line_ends(texts: Sequence[str], marks: frozenset[str] = frozenset()) -> frozenset[int]:
    """The tokens, by the text of each, that end a line: ``marks``, those with a line break, or else any mark."""
    own = frozenset(i for i, text in enumerate(texts) if text and not marks.isdisjoint((text, text.strip())))
    breaks = frozenset(i for i, text in enumerate(texts) if "\n" in text)
    return own or breaks or frozenset(i for i, text in enumerate(texts) if text and text.strip() in LINE_ENDS)
