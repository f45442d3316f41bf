"""Several rules at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ControlError
from .constraint import Bias, Constraint, Row, Rule, as_rule, leaves_some


def all_of(*rules: Any) -> Rule:
    """What every one of ``rules`` allows; functions count as rules. Penalties add up.

    Where nothing is left, the error names the rule that took the last symbol, and what those before it still allowed.

    Raises:
        ControlError: no rules, or something that is none.
    """
    if not rules:
        raise ControlError("all_of() got no rules: expected at least one, such as without('e')")
    return Together(tuple(as_rule(rule) for rule in rules))


@dataclass(frozen=True, slots=True)
class Together:
    """The rules that :func:`all_of` was given."""

    rules: tuple[Rule, ...]

    def says(self) -> str:
        """What it asks for, for messages."""
        return " and ".join(rule.says() for rule in self.rules)

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """Every rule bound; what one of them raises is passed on."""
        return BoundTogether(tuple(rule.bind(vocabulary) for rule in self.rules), vocabulary)


@dataclass(frozen=True, slots=True)
class BoundTogether:
    """The same, bound."""

    parts: tuple[Constraint, ...]
    vocabulary: tuple[str, ...]

    def says(self) -> str:
        """What it asks for, for messages."""
        return " and ".join(part.says() for part in self.parts)

    def bias(self, tokens: Sequence[int]) -> Bias | None:
        """The sum of the parts' rows.

        Raises:
            ControlError: see :func:`all_of`.
        """
        hard: Row | None = None
        soft: Row | None = None
        for number, part in enumerate(self.parts):
            bias = part.bias(tokens)
            if bias is None:
                continue
            before, hard = hard, bias.hard if hard is None else hard + bias.hard
            if not leaves_some(hard):
                raise ControlError(self._emptied(tokens, number, before))
            own = bias.soft
            if own is not None:
                soft = own if soft is None else soft + own
        return None if hard is None else Bias(hard, soft)

    def _emptied(self, tokens: Sequence[int], number: int, before: Row | None) -> str:
        """Which part left nothing, and what the parts before it allowed."""
        where = f"at place {len(tokens) + 1} of the piece"
        part = self.parts[number].says()
        if before is None or number == 0:
            return f"{part} forbids every symbol {where}; loosen it or take it away, the stream is as it was"
        names = [self.vocabulary[index] or "END" for index in (before == 0).nonzero()[0] if index != 1]
        allowed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        others = " and ".join(other.says() for other in self.parts[:number])
        return (
            f"{part} forbids every symbol that {others} allowed {where} ({allowed}); loosen one of them, the stream "
            "is as it was"
        )
