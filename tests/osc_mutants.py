"""OSC messages for every address that livesketch listens to, and what is left of them when bytes are changed."""

import random
import struct
from collections.abc import Iterator
from itertools import cycle

from livesketch.outputs.osc_wire import osc_message, osc_packets

NAME = "/livesketch/cat"
GOOD = [
    (f"{NAME}/temperature", "f", 0.7), (f"{NAME}/rate", "f", 300.0), (f"{NAME}/label", "s", "pig"),
    (f"{NAME}/label", "sfsf", "cat", 0.7, "pig", 0.3), (f"{NAME}/z", "ffffff", 0.1, -0.2, 0.3, 0.4, 0.5, 0.6),
    (f"{NAME}/z", ""), (f"{NAME}/z/2", "f", 0.5), (f"{NAME}/top_k", "i", 5), (f"{NAME}/top_p", "f", 0.9),
    (f"{NAME}/min_p", "f", 0.1), (f"{NAME}/mode", "s", "open"), (f"{NAME}/convention", "s", "paper"),
    (f"{NAME}/pause", ""), (f"{NAME}/resume", ""), (f"{NAME}/mute", "i", 1), (f"{NAME}/mute", "i", 0),
    (f"{NAME}/solo", "i", 1), (f"{NAME}/solo", "i", 0), (f"{NAME}/restart", ""), (f"{NAME}/rewind", "i", 2),
    (f"{NAME}/feed", "ffffff", 0.2, 0.2, 0.4, 0.3, 0.5, 0.6), (f"{NAME}/feed/begin", "ff", 0.5, 0.5),
    (f"{NAME}/feed/point", "ff", 0.6, 0.5), (f"{NAME}/feed/end", ""), (f"{NAME}/feed/commit", ""),
    (f"{NAME}/feed/clear", ""), (f"{NAME}/prompt", "s", "山"), (f"{NAME}/first_line", "s", "山人"),
    (f"{NAME}/acrostic", "s", "山人"), (f"{NAME}/swap", "s", "no such model"), ("/livesketch/bpm", "f", 128.0),
    ("/livesketch/ping", "i", 9), ("/livesketch/nothing", "i", 1), ("/other/cat/pause", ""),
]  # fmt: skip
"""Messages that leave a player playing."""


def packets() -> list[bytes]:
    """Each alone, and some in bundles, one within another."""
    messages = [osc_message(address, types, *values) for address, types, *values in GOOD]
    alone = [bytes(message.dgram) for message in messages]
    bundles = [packet for k in range(0, len(messages), 5) for _, packet in osc_packets(messages[k : k + 5])]
    nested = [b"#bundle\0" + bytes(7) + b"\1" + struct.pack(">i", len(one)) + one for one in bundles]
    return [*alone, *bundles, *nested]


NUMBERS = (0, 1, -1, 2, 3, 7, 300, -(2**31), 2**31 - 1)
FLOATS = (0.0, -0.0, 0.3, 0.5, 1.0, 1.5, -1.0, 60.0, 1e-45, 1e30, -1e38, float("nan"), float("inf"))
TEXTS = (
    "",
    "cat",
    "pig",
    "CAT",
    "no such thing",
    "cat#pig",
    "../cat",
    "magenta:owl",
    "山",
    "\x1b[2J",
    "a" * 300,
    "open",
)


def packed(kind: str, chance: random.Random) -> bytes:
    """An argument of that type."""
    if kind == "s":
        text = chance.choice(TEXTS).encode() + b"\0"
        return text + bytes(-len(text) % 4)
    if kind == "b":
        return struct.pack(">i4s", 3, b"abc\0")
    if kind in "TFNI":
        return b""
    return struct.pack(f">{kind.replace('h', 'q')}", chance.choice(FLOATS if kind in "fd" else NUMBERS))


def sound(chance: random.Random) -> bytes:
    """Valid OSC: an address that exists, arguments that are not what it expects, or at times are."""
    address = chance.choice(GOOD)[0].encode() + b"\0"
    kinds = "".join(chance.choice("ffffiissshdbTFNI") for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 4, 6))))
    tags = f",{kinds}\0".encode()
    body = b"".join(packed(kind, chance) for kind in kinds)
    return address + bytes(-len(address) % 4) + tags + bytes(-len(tags) % 4) + body


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Packets with some bytes changed, cut, doubled, put in or replaced by another's; a third has odd arguments."""
    chance, sources = random.Random(seed), packets()
    for number, source in zip(range(count), cycle(sources), strict=False):
        yield sound(chance) if number % 3 == 0 else mutated(source, sources, chance)


EXTREMES = [struct.pack(">i", value) for value in (-1, -(2**31), 2**31 - 1, 0, 4, 65535)]
EXTREMES += [struct.pack(">f", value) for value in (float("nan"), float("inf"), -1e38, 1e-40, 1e9, -0.0)]
EXTREMES += [b"#bun", b"/\0\0\0", b",\0\0\0", b",[[[", b",bbb", b"\xff" * 4, b"*?[{"]


def mutated(source: bytes, sources: list[bytes], chance: random.Random) -> bytes:
    """One packet, changed in one to five places."""
    data = bytearray(source)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(data) + 1)
        way = chance.randrange(6)
        if way == 0 and data:
            data[at - 1] ^= 1 << chance.randrange(8)
        elif way == 1:
            del data[at:]
        elif way == 2:
            data[at:at] = data[at : at + chance.randrange(40)]
        elif way == 3:
            place = at // 4 * 4
            data[place : place + 4] = chance.choice(EXTREMES)
        elif way == 4:
            data[at:] = chance.choice(sources)[at:]
        else:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 4, 8))))
    return bytes(data)
