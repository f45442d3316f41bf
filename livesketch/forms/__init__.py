"""Forms: what a text stream is held to, as rows added to the logits of each next token.

    form("五绝", rhyme=True, tones=True)    Chinese verse (extra ``forms`` for rhyme and tones)
    lines((5, 7, 5))                        line lengths for any text
    without("e"), only("abc ")              letters
    grammar("[a-z]+( [a-z]+)*")             a regular expression over characters
    callable_constraint(fn)                 fn(text, symbols) -> None, a set, or an array
    all_of(rule, ...)                       several at once

A rule is bound to a vocabulary (``rule.bind(symbols)``) and then asked with :func:`bias_of`; see constraint.py.
"""

from .classical import Form, check_given, form
from .constraint import LEAST_MASS, SOFTENED, Bias, Constraint, Rule, as_rule, bias_of
from .functions import callable_constraint
from .grammar import grammar
from .letters import only, without
from .lines import lines
from .together import all_of

__all__ = [
    "LEAST_MASS",
    "SOFTENED",
    "Bias",
    "Constraint",
    "Form",
    "Rule",
    "all_of",
    "as_rule",
    "bias_of",
    "callable_constraint",
    "check_given",
    "form",
    "grammar",
    "lines",
    "only",
    "without",
]
