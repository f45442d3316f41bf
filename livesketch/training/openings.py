"""First lines of training documents, which a model carries so that a piece can begin with one of them."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ..data.corpus import Corpus
from ..models.text_model import UNK
from ..models.tokens import Tokens

MOST: Final = 256
"""First lines in a model, of all classes together."""

LONGEST: Final = 40
"""Characters of one."""

_MARK: Final = re.compile("[\n，。！？；]")
"""What ends a line: the line feed, and the marks that end a line of Chinese verse."""


def openings_of(corpus: Corpus, tokens: Tokens) -> dict[str, list[str]]:
    """First lines by class, up to but without the first mark that ends a line, each once.

    They are taken evenly from the training documents, of running text from its lines. Left out are those of more than
    40 characters and those with symbols that are not in the vocabulary.
    """
    share = MOST // len(corpus.labels)
    found = {}
    for number, label in enumerate(corpus.labels):
        own = [document for document, k in zip(corpus.train.documents, corpus.train.label, strict=True) if k == number]
        lines = [line for document in own for line in document.split("\n")] if corpus.running else own
        usable = dict.fromkeys(_usable(lines, tokens))
        found[label] = spread(list(usable), share)
    return found


def _usable(lines: Sequence[str], tokens: Tokens) -> Iterator[str]:
    for line in lines:
        first = _MARK.split(line.strip(), maxsplit=1)[0].strip()
        if 0 < len(first) <= LONGEST and UNK not in tokens.ids(first):
            yield first


def spread(items: Sequence[str], most: int) -> list[str]:
    """At most so many of them, evenly from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[k * len(items) // most] for k in range(most)]
