"""The vocabulary of a text model: the symbols of its training documents, by falling frequency."""

from collections import Counter
from collections.abc import Iterable

from ..errors import DataError
from ..models.text_checks import MAX_SYMBOL
from ..models.tokens import pieces

_BYTES = tuple(f"{byte:02x}" for byte in range(256))


def vocabulary_of(documents: Iterable[str], unit: str, min_count: int, most: int) -> tuple[str, ...]:
    """END, UNK, and the symbols that come at least ``min_count`` times, the most frequent first, at most ``most``.

    Equally frequent ones stand by code point. Bytes are all in it, whatever comes.

    Raises:
        DataError: fewer than two symbols are left, of which nothing can be learnt.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(pieces(document, unit))
    found = set(counts)
    if unit == "byte":
        counts.update(_BYTES)  # one more of each changes no order
        kept = list(counts)
    else:
        kept = [symbol for symbol, count in counts.items() if count >= min_count and len(symbol) <= MAX_SYMBOL]
    kept.sort(key=lambda symbol: (-counts[symbol], symbol))
    if len(found.intersection(kept[:most])) < 2:
        raise DataError(
            f"the training documents have {len(found)} distinct symbols ({unit}), of which {len(kept)} come "
            f"{min_count} times or more; expected two or more; give more text, or a smaller --min-count"
        )
    return "", "", *kept[:most]
