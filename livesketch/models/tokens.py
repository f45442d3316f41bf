r"""Text to tokens and back: characters, words with the space before them, or bytes of UTF-8.

Words are cut by the pattern of GPT-2's ``encoder.py`` (openai/gpt-2, src/encoder.py) with Python's own ``re``: a run of
letters and digits, apostrophes within it, or of other marks, each with one space before it; or a run of white space.
Every character belongs to some piece, so that the pieces joined are the text.
"""

import codecs
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from ..errors import ControlError
from ..token_sampling import END, UNK
from .text_model import TextInfo

_WORD: Final = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\s\w]+|\s+(?!\S)|\s+")
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def pieces(text: str, unit: str) -> list[str]:
    """A text cut into symbols, as a vocabulary holds them.

    >>> pieces("Don't stop, now", "word")
    ["Don't", ' stop', ',', ' now']
    >>> pieces("山", "byte")
    ['e5', 'b1', 'b1']

    Raises:
        ControlError: no text, or one that is not valid Unicode (half of a surrogate pair).
    """
    if not isinstance(text, str):
        raise ControlError(f"text {text!r:.60} of type {type(text).__name__}: expected a str")
    try:
        encoded = text.encode()
    except UnicodeEncodeError as err:
        raise ControlError(
            f"text with {text[err.start]!r} in place {err.start}: expected valid Unicode; leave that character out"
        ) from err
    if unit == "byte":
        return [f"{byte:02x}" for byte in encoded]
    return _WORD.findall(text) if unit == "word" else list(text)


class Tokens:
    """The vocabulary of a text model at work."""

    def __init__(self, vocabulary: Sequence[str], unit: str) -> None:
        self.vocabulary, self.unit = tuple(vocabulary), unit
        self._ids = {symbol: k for k, symbol in enumerate(self.vocabulary) if k > UNK}

    def __len__(self) -> int:
        return len(self.vocabulary)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, UNK for what is not in the vocabulary.

        Raises:
            ControlError: no text, or not valid Unicode.
        """
        return [self._ids.get(piece, UNK) for piece in pieces(text, self.unit)]

    def unknown(self, text: str) -> list[str]:
        """What of a text is not in the vocabulary, each once, in the text's order; bytes as characters that hold them.

        Raises:
            ControlError: no text, or not valid Unicode.
        """
        parts = pieces(text, "character" if self.unit == "byte" else self.unit)
        return [part for part in dict.fromkeys(parts) if UNK in self.ids(part)]

    def text(self, token: int) -> str:
        """What a token shows by itself; empty for END and UNK, U+FFFD for a byte that is no character by itself.

        Raises:
            ControlError: no token of this vocabulary.
        """
        return self.texts[self._checked(token)]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """``text`` of every token."""
        if self.unit != "byte":
            return self.vocabulary
        return "", "", *(bytes.fromhex(symbol).decode("utf-8", "replace") for symbol in self.vocabulary[2:])

    def decoder(self) -> "Decoder":
        """What puts the tokens of one piece together again."""
        return Decoder(self)

    def _checked(self, token: int) -> int:
        if not 0 <= token < len(self.vocabulary):
            raise ControlError(f"token {token!r:.60}: expected a number from 0 to {len(self.vocabulary) - 1}")
        return token


class Decoder:
    """Puts tokens together, one after another; a character of several bytes is given with its last byte.

    >>> decoder = Tokens(["", "", "e5", "b1"], "byte").decoder()
    >>> [decoder.feed(token) for token in (2, 3, 3)]
    ['', '', '山']
    """

    __slots__ = ("_bytes", "_tokens", "state")

    state: bytes
    """The bytes of an unfinished character; immutable, and all that a decoder remembers: set it to go back."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens, self.state = tokens, b""
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that this token completes; bytes that are not UTF-8 give U+FFFD, what is cut off by END too.

        Raises:
            ControlError: no token of this vocabulary.
        """
        if self._tokens.unit != "byte":
            return self._tokens.text(token)
        symbol = self._tokens.vocabulary[self._tokens._checked(token)]  # noqa: SLF001 - of one module
        self._bytes.setstate((self.state, 0))
        text = self._bytes.decode(bytes.fromhex(symbol), final=token in {END, UNK})
        self.state = b"" if token in {END, UNK} else self._bytes.getstate()[0]
        return text

    def flush(self) -> str:
        """What ends a piece that was cut: U+FFFD where a character is unfinished, else nothing."""
        unfinished, self.state = self.state, b""
        return _REPLACEMENT if unfinished else ""


def tokenizer(info: TextInfo) -> Tokens:
    """The vocabulary of a text model."""
    return Tokens(info.vocabulary, info.unit)
