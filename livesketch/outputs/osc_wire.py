"""The bytes of OSC messages and bundles, the names in their addresses, and where they go.

python-osc builds the bytes; it guesses types, refuses NumPy's scalars and sends invalid addresses unchecked, so which
types, which names and which sizes is settled here.
"""

import re
import socket
from typing import TYPE_CHECKING, Any, Final

from ..errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pythonosc.osc_message import OscMessage

MAX_DATAGRAM: Final = 1400
"""Most bytes in one datagram: with its headers it fits the 1,500 bytes of an Ethernet frame."""

INT_MAX: Final = 2**31 - 1
"""The largest number of the type ``i``."""

_FLOAT_MAX = (2 - 2.0**-23) * 2.0**127
_MAX_NAME = 100
_BUNDLE_HEAD = 16  # "#bundle", its NUL and the timetag


def osc_name(name: str) -> str:
    """``name`` as one part of an OSC address: lower case, forbidden characters as ``-``, others than ASCII in hex.

    ``Wild Cat #2`` becomes ``wild-cat--2``, and a character like U+732B becomes ``u732b``, so that two such characters
    stay apart; ASCII names that differ only in case or forbidden characters share an address. OutputError: an empty
    name, or one of more than 100 characters once converted.
    """
    safe = re.sub(r"[\x00-\x20\x7f#*,/?\[\]{}]", "-", str(name).lower())
    safe = "".join(c if c.isascii() else f"u{ord(c):04x}" for c in safe)
    if not 1 <= len(safe) <= _MAX_NAME:
        raise OutputError(
            f"the name {name!r:.60} makes an OSC address part of {len(safe)} characters: expected 1 to {_MAX_NAME}; "
            'try name="cat"'
        )
    return safe


def osc_message(address: str, types: str, *values: object) -> "OscMessage":
    """One message of the types ``i`` (limited to 32 bits), ``f`` (single precision) and ``s`` (UTF-8).

    NumPy scalars are taken like Python's. ValueError: a number that is not finite in single precision, a text with a
    NUL or an unpaired surrogate, or a message of more than 1,400 bytes; an OSC string cannot carry those.
    """
    from pythonosc.osc_message_builder import OscMessageBuilder  # noqa: PLC0415 - loaded when first used

    builder = OscMessageBuilder(address)
    for kind, value in zip(types, values, strict=True):
        converted: Any = _CONVERT[kind](value)
        builder.add_arg(converted, kind)
    message = builder.build()
    if message.size > MAX_DATAGRAM:
        raise ValueError(f"{address} would take {message.size} bytes, more than the {MAX_DATAGRAM} of a datagram")
    return message


def osc_packets(messages: "list[OscMessage]", moment: float | None = None) -> "Iterator[tuple[int, bytes]]":
    """The messages, in order, in as few datagrams as hold them: (number of messages, bytes) of each datagram.

    A message alone goes as it is; several share a bundle with the timetag "immediately". With a moment, seconds since
    1970, all go in bundles with that timetag.
    """
    group: list[OscMessage] = []
    size = _BUNDLE_HEAD
    for message in messages:
        if group and size + 4 + message.size > MAX_DATAGRAM:
            yield len(group), _bytes(group, moment)
            group, size = [], _BUNDLE_HEAD
        group.append(message)
        size += 4 + message.size
    if group:
        yield len(group), _bytes(group, moment)


def _bytes(messages: "list[OscMessage]", moment: float | None) -> bytes:
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder  # noqa: PLC0415 - loaded when first used

    if len(messages) == 1 and moment is None:
        return bytes(messages[0].dgram)
    builder = OscBundleBuilder(IMMEDIATELY if moment is None else moment)  # type: ignore[arg-type] # its float is a moment
    for message in messages:
        builder.add_content(message)
    return bytes(builder.build().dgram)


def _int32(value: Any) -> int:
    return max(-INT_MAX - 1, min(INT_MAX, int(value)))


def float32(value: Any) -> float:
    """``value`` as a number of the type ``f``. ValueError: not finite in single precision."""
    number = float(value)
    if not abs(number) <= _FLOAT_MAX:  # also so for NaN
        raise ValueError(f"the number {number} cannot be sent as a 32-bit float")
    return number


def _text(value: Any) -> str:
    text = str(value)
    if "\0" in text:
        raise ValueError(f"the text {text!r:.40} has a NUL, which ends an OSC string")
    text.encode()  # UnicodeEncodeError, a ValueError, for an unpaired surrogate
    return text


_CONVERT: Final = {"i": _int32, "f": float32, "s": _text}


def resolve(target: str) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The socket family and address of ``host:port``. OutputError: anything that is not one reachable by name."""
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+):([0-9]{1,5})", str(target).strip())
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise OutputError(
            f"OSC target {target!r:.80}: expected host:port with a port of 1 to 65535; "
            'try "127.0.0.1:9000", or "[::1]:9000" for IPv6'
        )
    host = match[1].strip("[]")
    try:
        found = socket.getaddrinfo(host, int(match[2]), type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise OutputError(
            f"OSC host {host!r:.80} does not resolve ({error}): expected a name or address on this network; "
            "try its IP address"
        ) from error
    family, _, _, _, address = found[0]
    return family, address
