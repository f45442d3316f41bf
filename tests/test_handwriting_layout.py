"""Lines, words and pages: where each character stands."""

import itertools
import random

import numpy as np
import pytest

from livesketch.errors import ControlError
from livesketch.handwriting.glyphs import Glyph
from livesketch.handwriting.page import (
    INNER,
    LEADING,
    fitted_page,
    is_silent,
    is_space,
    is_wide,
    set_character,
    stream_page,
    wanted_page,
)
from livesketch.handwriting.setting import Setting
from livesketch.handwriting.sources import Strokes

SQUARE = np.array([[0.1, 0.1], [0.9, 0.9]])


class Plain:
    """Letters of half a cell, other characters of a whole one; no capitals."""

    attribution = ""

    def glyph(self, character):
        if character.isupper() or character == " ":
            return None
        wide = is_wide(character)
        return Glyph((SQUARE * [1 if wide else 0.5, 1],), 1.0 if wide else 0.5, wide)


STROKES = Strokes([Plain()])
POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"


def placed(text, line, *, verse=True):
    setting, out = Setting(line, verse), []
    for character in text:
        setting, more = set_character(setting, character, STROKES, "model")
        out += more
    return out + setting.flush()[1]


def rows(text, line, *, verse=True):
    """The lines as strings, without spaces."""
    out = {}
    for item in placed(text, line, verse=verse):
        out[item.row] = out.get(item.row, "") + item.mark.character
    return [out.get(row, "") for row in range(max(out, default=-1) + 1)]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"layout": "diagonal"}, "'horizontal' or 'vertical'"),
        ({"layout": None}, "layout"),
        ({"layout": ["vertical"]}, "layout"),
        ({"line": 0}, "line"),
        ({"line": 2.5}, "line"),
        ({"line": 201}, "line"),
        ({"lines": True}, "lines"),
        ({"lines": -1}, "lines"),
        ({"size": 0}, "size"),
        ({"size": float("nan")}, "size"),
        ({"size": "large"}, "size"),
        ({"size": 1.5}, "size"),
    ],
)
def test_bad_options_are_refused(options, why):
    with pytest.raises(ControlError, match=why):
        wanted_page(**{"layout": "horizontal", "line": None, "lines": None, "size": None, "verse": True} | options)


def test_verse_ends_lines_at_punctuation():
    five = ["床前明月光，", "疑是地上霜。", "举头望明月，", "低头思故乡。"]
    assert rows(POEM, 8) == rows(POEM, 6) == rows(POEM, 11) == five
    assert rows(POEM, 12) == ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"]
    assert rows(POEM, 8, verse=False) == ["床前明月光，疑是", "地上霜。举头望明", "月，低头思故乡。"]
    assert rows("朝辞白帝彩云间，千里江陵一日还。", 8) == ["朝辞白帝彩云间，", "千里江陵一日还。"]


def test_a_newline_behind_a_verse_is_the_same_line_end():
    assert rows(POEM.replace("，", "，\n").replace("。", "。\r\n"), 8) == rows(POEM, 8)
    assert rows("一。\n\n二", 8) == ["一。", "", "二"]
    assert rows("一\n\n\n二\n", 8) == ["一", "", "", "二"]
    assert rows("一\u2028二\v三", 8) == ["一", "二", "三"]


def test_words_go_to_the_next_line_as_a_whole():
    assert rows("the rough winds do shake", 5) == ["therough", "windsdo", "shake"]
    assert rows("abcdefghij", 2) == ["abcd", "efgh", "ij"]
    assert rows("ab abcdefghij", 3) == ["ab", "abcdef", "ghij"]
    assert rows("一二三ab cd", 4) == ["一二三ab", "cd"]
    assert rows("一二三abc 四", 4) == ["一二三", "abc四"]


def test_closing_marks_hang_over_the_end_and_opening_ones_do_not_end_a_line():
    assert rows("一二三四，五", 4) == ["一二三四，", "五"]
    assert rows("一二三四。」五", 4) == ["一二三四。」", "五"]
    assert rows("一二三四」」」」", 4) == ["一二三四」」", "」」"], "not without end"
    assert rows("一二三「四」", 4) == ["一二三", "「四」"]
    assert rows("「「「", 1) == ["「", "「", "「"]
    assert rows("一二三「abcd」", 4) == ["一二三", "「abcd」"]
    assert rows("一二「「三」」四", 4) == ["一二", "「「三」」", "四"]
    assert rows("一二三「\n四", 4) == ["一二三「", "四"], "as the text says"
    assert rows("一。」二", 8) == ["一。」", "二"]


def test_spaces_are_lost_at_the_end_of_a_line_and_kept_where_the_text_indents():
    assert [item.along for item in placed("ab cd", 1)] == [0, 0.5, 0, 0.5]
    assert [item.along for item in placed("ab  cd", 9)] == [0, 0.5, 2, 2.5]
    assert [item.along for item in placed("a\n  b", 9)] == [0, 1]
    assert [item.along for item in placed("一。 二", 9)] == [0, 1, 0]
    assert [item.along for item in placed("一二  三", 2)] == [0, 1, 0]
    assert [item.along for item in placed("一\u3000二\t三", 9)] == [0, 2, 5]


def test_control_and_format_characters_take_no_room():
    assert rows("一\u200b二\ufeff三\x00\ufe0f四", 9) == ["一二三四"]
    assert rows("一\u0301二", 9) == ["一\u0301二"], "what has strokes is set"


def test_what_has_no_strokes_takes_the_room_it_would_have():
    assert [item.along for item in placed("aBc", 9)] == [0, 0.5, 1]
    empty = Strokes([])
    assert empty.find("床") is None
    setting, items = set_character(Setting(9, True), "床", empty, "model")
    assert (setting.along, len(items)) == (1, 1)
    assert set_character(Setting(9, True), "\u0301", empty, "model") == (Setting(9, True), [])


@pytest.mark.parametrize("seed", range(40))
def test_every_character_is_placed_once_in_order_and_none_upon_another(seed):
    chance = random.Random(seed)
    text = "".join(chance.choices("一二三abcd，。、「」（）！ \n\u3000E", k=200))
    line, verse = chance.randint(1, 12), chance.random() < 0.5
    items = placed(text, line, verse=verse)
    assert "".join(item.mark.character for item in items) == "".join(text.split())
    for before, after in itertools.pairwise(items):
        assert (before.row, before.along + before.mark.width) <= (after.row, after.along + 1e-9) or (
            before.row < after.row
        )
    for row, group in itertools.groupby(items, lambda item: item.row):
        line_of = list(group)
        end = line_of[-1].along + line_of[-1].mark.width
        spaces = line_of[0].along > 0  # indented beyond the line's end: the text asked for it
        assert end <= line + 2 + 1e-6 or spaces or len(line_of) == 1, row


def test_a_setting_is_a_value():
    start = Setting(4, True)
    one, _ = set_character(start, "一", STROKES, "model")
    assert start == Setting(4, True)
    assert (one.along, start.along) == (1, 0)
    word, items = set_character(one, "a", STROKES, "human")
    assert items == []
    assert [item.mark.source for item in word.flush()[1]] == ["human"]


def wanted(**options):
    return wanted_page(**{"layout": "horizontal", "line": None, "lines": None, "size": None, "verse": True} | options)


@pytest.mark.parametrize("layout", ["horizontal", "vertical"])
@pytest.mark.parametrize("options", [{}, {"line": 12}, {"line": 6, "lines": 9}, {"size": 0.05}])
def test_every_character_of_a_poem_is_in_a_cell_of_its_own_within_the_margins(layout, options):
    page = fitted_page(wanted(layout=layout, **options), POEM, STROKES)
    corners = [page.corner(item.row, item.along) for item in placed(POEM, page.line)]
    assert len(corners) == 24
    for x, y in corners:
        assert 0.1 - 1e-9 <= min(x, y) <= max(x, y) + page.size <= 0.9 + 1e-9
    for (x, y), (u, v) in itertools.combinations(corners, 2):
        assert max(abs(x - u), abs(y - v)) >= page.size - 1e-9


def test_columns_go_down_and_from_right_to_left():
    page = fitted_page(wanted(layout="vertical"), POEM, STROKES)
    (x0, y0), (x1, y1), (x2, y2) = page.corner(0, 0), page.corner(0, 1), page.corner(1, 0)
    assert x0 == x1 > x2
    assert y0 == y2 < y1
    assert x0 - x2 == pytest.approx(LEADING * page.size)
    page = fitted_page(wanted(), POEM, STROKES)
    (x0, y0), (x1, y1), (x2, y2) = page.corner(0, 0), page.corner(0, 1), page.corner(1, 0)
    assert y0 == y1 < y2
    assert x0 == x2 < x1


def test_a_known_text_fills_the_stage_with_the_lines_it_has():
    page = fitted_page(wanted(), POEM, STROKES)
    assert page.block == (6, 1 + 3 * LEADING)
    assert page.size == INNER / 6
    assert page.lines == 4
    short = fitted_page(wanted(), "ab", STROKES)
    assert short.size == INNER
    long = fitted_page(wanted(), "一" * 5000, STROKES)
    assert (long.line, long.lines) == (40, 28)
    assert fitted_page(wanted(verse=False), POEM, STROKES).line == 8


def test_what_is_before_the_first_character_does_not_count():
    assert fitted_page(wanted(), "\n\n  " + POEM + "\n\n", STROKES) == fitted_page(wanted(), POEM, STROKES)


def test_an_empty_text_has_a_page():
    for text in ("", "\n", " \u200b"):
        page = fitted_page(wanted(), text, STROKES)
        assert page.line >= 1
        assert page.lines >= 1
        assert 0 < page.size <= 1


def test_a_text_that_is_not_known_gets_eight_lines_of_eight_or_sixteen_for_letters():
    page = stream_page(wanted(), wide=True)
    assert (page.line, page.lines) == (8, 8)
    assert page.corner(7, 7)[1] + page.size == pytest.approx(0.9)
    assert stream_page(wanted(), wide=False).line == 16
    page = stream_page(wanted(line=6, lines=4), wide=True)
    assert (page.line, page.lines, page.size) == (6, 4, INNER / 6)
    page = stream_page(wanted(size=0.1), wide=True)
    assert (page.line, page.lines, page.size) == (8, 6, 0.1)
    assert stream_page(wanted(size=1), wide=True).lines == 1


def test_spaces_and_silence():
    assert all(is_space(character) for character in " \n\t\u3000\u2028\x85")
    assert all(is_silent(character) for character in "\u200b\ufeff\x00\r\ufe0f")
    assert not any(is_space(character) or is_silent(character) for character in "一a，\u0301")
