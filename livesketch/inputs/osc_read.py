"""OSC packets that anybody may have sent, taken apart with every length checked before it is used.

OSC 1.0 (opensoundcontrol.stanford.edu/spec-1_0.html), read strictly: no recursion, no lookup by what was sent, work in
proportion to the bytes. python-osc's reader is left alone here: of mutated packets a fifth escape it as
UnicodeDecodeError, and bundles within bundles as RecursionError.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np

Value: TypeAlias = int | float | str | bool | bytes | None
"""``i h`` are ints, ``f d`` floats, ``s S`` texts, ``T F I`` truth values, ``b`` bytes; all others None."""

MOST_MESSAGES: Final = 1000
"""Of one packet."""
LONGEST_ADDRESS: Final = 255
"""Bytes."""
_DEEPEST: Final = 8
"""Bundles within bundles."""
_BUNDLE: Final = b"#bundle\0"
_NUMBERS: Final = {"i": ">i", "h": ">q", "d": ">d"}
_CONSTANTS: Final[dict[str, Value]] = {"T": True, "F": False, "I": True, "N": None}
_SKIPPED: Final = {"t": 8, "c": 4, "r": 4, "m": 4}
"""Types that no control takes, with their sizes in bytes."""


class Message(NamedTuple):
    """One message."""

    address: str
    args: tuple[Value, ...]
    size: int
    """Bytes that it took."""


def read(packet: bytes) -> list[Message]:
    """The messages of one datagram, in order; timetags are passed over: what comes is meant for now.

    Raises:
        ValueError: it is not valid OSC as a whole, or has more than ``MOST_MESSAGES`` messages.
    """
    messages: list[Message] = []
    for data in unbundled(packet, _DEEPEST):
        if len(messages) == MOST_MESSAGES:
            raise ValueError(f"more than {MOST_MESSAGES} messages in one packet")
        messages.append(_message(data))
    return messages


def unbundled(packet: bytes, deepest: int) -> Iterator[bytes]:
    """What is in a datagram but the bundles around it, in order; bundles at most so many deep.

    Raises:
        ValueError: a bundle that is none.
    """
    waiting = [(packet, 0)]
    while waiting:
        data, depth = waiting.pop()
        if not data.startswith(_BUNDLE):
            yield data
        elif depth == deepest:
            raise ValueError(f"bundles within bundles, more than {deepest} deep")
        else:
            waiting += [(element, depth + 1) for element in reversed(_elements(data))]


def _elements(bundle: bytes) -> list[bytes]:
    at, found = len(_BUNDLE) + 8, []
    if len(bundle) < at:
        raise ValueError("a bundle without a timetag")
    while at < len(bundle):
        if at + 4 > len(bundle):
            raise ValueError("a bundle that ends within a size")
        (size,) = struct.unpack_from(">i", bundle, at)
        at += 4
        if size < 4 or size % 4 or at + size > len(bundle):
            raise ValueError(f"a bundle element of {size} bytes where {len(bundle) - at} are left")
        found.append(bundle[at : at + size])
        at += size
    return found


def _message(data: bytes) -> Message:
    if not data.startswith(b"/") or len(data) % 4:
        raise ValueError("neither a message nor a bundle" if data else "an empty packet")
    address, at = _string(data, 0, LONGEST_ADDRESS, "an address")
    if not address.isprintable():
        raise ValueError(f"an address with control characters, {address!r:.60}")
    if at == len(data):  # what has no arguments may leave its type tags out
        return Message(address, (), len(data))
    tags, at = _string(data, at, len(data), "type tags")
    if not tags.startswith(","):
        raise ValueError(f"type tags {tags!r:.40}, which begin with a comma")
    args = []
    for tag in tags[1:]:
        if tag not in "[]":  # lists within the list of arguments count as their items
            value, at = _argument(tag, data, at)
            args.append(value)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes behind the last argument")
    return Message(address, tuple(args), len(data))


def _argument(tag: str, data: bytes, at: int) -> tuple[Value, int]:
    if tag == "f":
        _check(data, at, 4)
        return decimal(*struct.unpack_from(">f", data, at)), at + 4
    if tag in _NUMBERS:
        size = struct.calcsize(_NUMBERS[tag])
        _check(data, at, size)
        (number,) = struct.unpack_from(_NUMBERS[tag], data, at)
        return number, at + size
    if tag in "sS":
        return _string(data, at, len(data), "a text")
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    if tag in _SKIPPED:
        _check(data, at, _SKIPPED[tag])
        return None, at + _SKIPPED[tag]
    if tag == "b":
        _check(data, at, 4)
        (size,) = struct.unpack_from(">i", data, at)
        padded = (size + 3) // 4 * 4
        if size < 0:
            raise ValueError(f"a blob of {size} bytes")
        _check(data, at + 4, padded)
        return data[at + 4 : at + 4 + size], at + 4 + padded
    raise ValueError(f"an unknown type {tag!r}")


def _check(data: bytes, at: int, size: int) -> None:
    if at + size > len(data):
        raise ValueError(f"an argument of {size} bytes where {len(data) - at} are left")


def _string(data: bytes, at: int, longest: int, what: str) -> tuple[str, int]:
    """The text at a place, and where what follows it begins."""
    end = data.find(b"\0", at, at + longest + 1)
    if end < 0:
        raise ValueError(f"{what} without an end, or of more than {longest} bytes")
    try:
        text = data[at:end].decode()
    except UnicodeDecodeError as err:
        raise ValueError(f"{what} that is not UTF-8: {err}") from err
    return text, (end // 4 + 1) * 4  # within the data, whose length and start are multiples of 4


def decimal(number: float) -> float:
    """The shortest decimal number that is this one in single precision: what a person typed at the sender.

    So 0.4 sent as ``f`` is 0.4, the very number of ``cat.temperature = 0.4``, and draws the same bit for bit.
    """
    return float(str(np.float32(number)))
