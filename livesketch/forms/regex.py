r"""Regular expressions, parsed: Python's syntax as far as it describes a regular language.

Python's own ``re`` is asked twice: whether the pattern is sound, and which characters an atom (a class, an escape, a
dot, a letter) takes. Only the structure around the atoms is read here, so that ``\w`` or ``[一-龥]`` mean what they
mean in ``re``. The package interegular does the same job and was left aside: its ``\w`` knows ASCII letters only,
lookaheads are accepted and answered wrongly, and nothing bounds the number of states (version 0.3.3).
"""

import re
from dataclasses import dataclass

from ..errors import ControlError

MOST_REPEATS = 2000
"""The largest number in braces."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One character out of those that ``source``, a pattern of one character, takes."""

    source: str


@dataclass(frozen=True, slots=True)
class Join:
    """One part after another; none: the empty text."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Many:
    """``part`` from ``least`` to ``most`` times; None: without end."""

    part: "Node"
    least: int
    most: int | None


Node = Atom | Join | Choice | Many

_FLAGS = re.compile(r"\(\?([a-zA-Z]+)\)")
_COUNTS = re.compile(r"\{(\d*)(,?)(\d*)\}")
_GROUP = re.compile(r"\((\?:|\?P<\w+>|(?!\?))")
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


def parse(pattern: str) -> tuple[Node, int]:
    """The pattern's structure, and the flags (``re.IGNORECASE``, ``re.DOTALL``) that ``(?is)`` at its start sets.

    Raises:
        ControlError: ``re`` refuses the pattern, or it asks for more than a regular language (what is refused is
            named).
    """
    if not isinstance(pattern, str):
        raise ControlError(f"grammar {pattern!r:.60}: expected a regular expression as text, such as '[a-z ]+'")
    try:
        re.compile(pattern)
        return _Parser(pattern).whole()
    except (re.error, RecursionError, OverflowError) as error:
        raise ControlError(f"grammar {pattern!r:.80}: not a regular expression: {error}") from error


class _Parser:
    """One pass over a pattern that ``re`` has accepted, so that brackets match."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._at = pattern, 0

    def whole(self) -> tuple[Node, int]:
        flags = 0
        found = _FLAGS.match(self._pattern)
        if found:
            for letter in found[1]:
                if letter not in "is":
                    raise self._refuse(f"the flag {letter!r}", "only i and s, as in '(?i)abc'")
                flags |= {"i": re.IGNORECASE, "s": re.DOTALL}[letter]
            self._at = found.end()
        return self._choice(), int(flags)

    def _choice(self) -> Node:
        parts = [self._join()]
        while self._next() == "|":
            self._at += 1
            parts.append(self._join())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _join(self) -> Node:
        parts = []
        while self._next() not in {"", "|", ")"}:
            parts.append(self._counted(self._one()))
        return parts[0] if len(parts) == 1 else Join(tuple(parts))

    def _one(self) -> Node:
        letter = self._next()
        if letter == "(":
            found = _GROUP.match(self._pattern, self._at)
            if found is None:
                raise self._refuse("(?...", "groups (...) and (?:...); nothing can look ahead or behind")
            self._at = found.end()
            inside = self._choice()
            self._at += 1
            return inside
        if letter in "^$":
            raise self._refuse(
                f"'{letter}'", "no anchors: the whole text has to match anyway; a sign itself is '\\" + letter + "'"
            )
        if letter == "\\":
            return self._escape()
        if letter == "[":
            found = _CLASS.match(self._pattern, self._at)
            assert found is not None, "re has accepted this class"
            self._at = found.end()
            return Atom(found[0])
        self._at += 1
        return Atom(letter)

    def _escape(self) -> Node:
        found = _ESCAPE.match(self._pattern, self._at)
        assert found is not None, "re has accepted this escape"
        if found[0][1] in "bBAZ0123456789":
            raise self._refuse(f"'{found[0]}'", "escapes that stand for one character, such as '\\n', '\\d' and '\\.'")
        self._at = found.end()
        return Atom(found[0])

    def _counted(self, part: Node) -> Node:
        """The part with the repeats written after it."""
        sign = self._next()
        counts = _COUNTS.match(self._pattern, self._at)
        if sign and sign in "*+?":
            self._at += 1
            part = Many(part, int(sign == "+"), 1 if sign == "?" else None)
        elif counts and (counts[1] or counts[3] or counts[2]) and counts[0] != "{}":
            least = int(counts[1] or 0)
            most = least if not counts[2] else int(counts[3]) if counts[3] else None
            if max(least, most or 0) > MOST_REPEATS:
                raise self._refuse(counts[0], f"at most {MOST_REPEATS} repeats")
            self._at = counts.end()
            part = Many(part, least, most)
        else:
            return part
        if self._next() == "?":
            self._at += 1  # lazy or greedy: the same texts
        elif self._next() == "+":
            raise self._refuse("a possessive repeat", "repeats without a '+' after them")
        return part

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _refuse(self, what: str, wanted: str) -> ControlError:
        return ControlError(
            f"grammar {self._pattern!r:.80}, place {self._at + 1}: {what} is not possible; expected {wanted}"
        )
