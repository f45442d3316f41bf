"""The rhyme and tone tables: readings, the four patterns, and what real poems say of them."""

import re
from pathlib import Path

import pytest
from poem_checker import EIGHT_LINES, complaints, level, made_vocabulary, sign, table

from livesketch import forms
from livesketch.errors import ControlError
from livesketch.forms.pingshui import is_ideograph, pingshui
from livesketch.forms.tones import patterns


def test_readings_of_simplified_characters() -> None:
    """发 is 發 (入聲) and 髮 (入聲), 云 is 云 and 雲, 后 後 and 后, 干 four characters; 看 has both tones by itself."""
    tables = pingshui()
    assert tables.tone_of("发") == 2
    assert tables.tone_of("看") == tables.tone_of("干") == 3
    assert tables.tone_of("雲") == tables.tone_of("云") == 1
    assert tables.names(tables.rhymes_of("云")) == "十二文"
    assert tables.names(tables.rhymes_of("东")) == tables.names(tables.rhymes_of("東")) == "一东"
    assert tables.rhymes_of("白") == 0
    assert tables.tone_of("白") == 2, "an entering tone, though Mandarin has it level"
    assert tables.tone_of("啼") == 3
    assert [group.title for group in tables.groups][15] == "下平聲一先"


def test_every_reading_is_the_one_that_the_checker_finds() -> None:
    tables = pingshui()
    numbers = {group.title: 1 << number for number, group in enumerate(tables.groups)}
    checked = 0
    for character in {*table(), *made_vocabulary()}:
        if not is_ideograph(character):
            continue
        assert tables.rhymes_of(character) == sum(numbers[title] for title in level(character))
        assert tables.tone_of(character) == {"P": 1, "Z": 2, "X": 3}[sign(character)]
        checked += 1
    assert checked > 8500


def test_the_four_patterns_are_those_of_the_checker() -> None:
    """A poem that keeps a pattern of ours keeps that of the checker; names agree for both lengths."""
    for name, lines, characters in (("五绝", 4, 5), ("七绝", 4, 7), ("五律", 8, 5), ("七律", 8, 7)):
        found = patterns(lines, characters)
        assert {pattern.name for pattern in found} == EIGHT_LINES.keys()
        for pattern in found:
            signs = "".join(line[0] + ("。" if number % 2 else "，") for number, line in enumerate(pattern.lines))
            poem = "".join({"平": "东", "仄": "日", "中": "看"}.get(symbol, symbol) for symbol in signs)
            assert complaints(poem, name, pattern=pattern.name) == []
            others = EIGHT_LINES.keys() - {pattern.name}
            assert all(complaints(poem, name, pattern=other) for other in others)


def real_poems(folder: Path, name: str) -> list[str]:
    file, count, length = {"五绝": ("wuyan", 4, 5), "七绝": ("qiyan", 4, 7), "五律": ("wuyan", 8, 5)}[name]
    shape = re.compile(rf"(?:[^，。？！]{{{length}}}，[^，。？！]{{{length}}}。){{{count // 2}}}")
    lines = (folder / "poetry" / f"{file}.txt").read_text(encoding="utf-8").split("\n")
    return [line for line in lines if shape.fullmatch(line) and all(is_ideograph(c) for c in line if c not in "，。")]


@pytest.mark.parametrize(
    ("name", "rhyming", "toned"), [("五绝", 0.75, 0.62), ("七绝", 0.92, 0.86), ("五律", 0.85, 0.68)]
)
def test_real_poems_mostly_rhyme_and_keep_the_tones(shared: Path, name: str, rhyming: float, toned: float) -> None:
    """The tables are sound where Tang poets agree with them; and the form accepts just what the checker accepts."""
    poems = real_poems(shared, name)[::4]
    rule = forms.form(name, rhyme=True)
    rhymed = [poem for poem in poems if not complaints(poem, name, rhyme=True)]
    assert [poem for poem in poems if accepts(rule, poem)] == rhymed
    assert len(rhymed) / len(poems) > rhyming
    kept = sum(not complaints(poem, name, tones=True) for poem in rhymed)
    assert kept / len(rhymed) > toned


def accepts(rule: forms.Form, poem: str) -> bool:
    try:
        rule.check_given(poem)
    except ControlError:
        return False
    return True


def test_real_poems_can_be_written_under_their_form(shared: Path) -> None:
    """Every symbol of a real poem that keeps all rules is allowed by the rows, one after another."""
    poems = [poem for poem in real_poems(shared, "七绝")[:400] if not complaints(poem, "七绝", rhyme=True, tones=True)]
    vocabulary = ("", "", "，", "。", *sorted(set("".join(poems)) - set("，。")))
    index = {text: number for number, text in enumerate(vocabulary)}
    verse = forms.form("七绝", rhyme=True, tones=True, repeat=0).bind(vocabulary)
    written = 0
    for poem in poems:
        if sign(poem[6]) != "Z" and not level(poem[6]) & level(poem[14]):
            continue  # 借韵: real first lines may rhyme with a neighbouring group
        tokens = [index[symbol] for symbol in poem]
        biases = [verse.bias(tokens[:length]) for length in range(len(tokens) + 1)]
        rows = [bias.row() for bias in biases if bias is not None]
        assert all(row[token] == 0 for row, token in zip(rows, [*tokens, 0], strict=True)), poem
        written += 1
    assert written > 200


def test_how_much_of_the_poems_the_tables_know(shared: Path) -> None:
    text = "".join((shared / "poetry" / name).read_text(encoding="utf-8") for name in ("wuyan.txt", "qiyan.txt"))
    characters = [symbol for symbol in text if is_ideograph(symbol)]
    tables = pingshui()
    assert sum(symbol in tables.tones for symbol in characters) / len(characters) > 0.989
