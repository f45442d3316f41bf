"""From the records of a text backend to tokens."""

import math
from collections.abc import Iterable
from typing import Any, Final

from ..events import Token
from ..models.tokens import Tokens

BYTES: Final = 3
"""How many tokens before it the text of a byte depends on: no character of UTF-8 has more than four."""


def token_of(fields: tuple[Any, ...], name: str, voice: int, text: str) -> Token:
    """The token of the fields of a record (``backends.protocol.TOKEN``)."""
    piece, step, index, log_prob, entropy, mass, last, ended, softened, given = fields
    cost = 0.0 if mass >= 1 else -math.log(mass)
    return Token(
        0.0, name, voice, step, text, log_prob, entropy, given, piece, last, ended, cost, softened, index
    )  # fmt: skip


def said(tokens: Tokens, index: int, before: Iterable[int], *, cut: bool) -> str:
    """The text that a token completes: a character of several bytes comes with its last byte.

    ``before`` are the last ``BYTES`` tokens of its piece before it; ``cut``: it is the last one, and not END.
    """
    if tokens.unit != "byte":
        return tokens.texts[index]
    decoder = tokens.decoder()
    for token in before:
        decoder.feed(token)
    text = decoder.feed(index)
    return text + decoder.flush() if cut else text
