"""Where strokes come from: damaged files first, then that strokes stay what and where their sources say."""

import json
import re
import sys
from importlib import metadata

import numpy as np
import pytest
from small_strokes import DOT, HOOK, MOUTH, TEN, write_medians

from livesketch.errors import ControlError, DataError, MissingExtraError
from livesketch.handwriting import glyphs, hershey, medians, sources
from livesketch.handwriting.hershey import Hershey
from livesketch.handwriting.kanjivg import BOX, KanjiVG
from livesketch.handwriting.medians import GRID, TOP, Medians
from livesketch.handwriting.punctuation import CLOSING, CORNER_MARKS, MIDDLE, OPENING, TURNED, Punctuation, in_column
from livesketch.handwriting.sources import open_strokes

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="109" height="109"><g>{}</g></svg>'


def bad_line(text):
    return '{"character": "坏", "medians": ' + text + "}"


@pytest.fixture
def file(tmp_path):
    return write_medians(tmp_path / "few.jsonl")


@pytest.mark.parametrize(
    "text",
    [
        "5", "{}", "[]", "[[]]", "[5]", "[[5]]", "[[[1, 2, 3]]]", "[[[1]]]", '[[["1", 2]]]', "[[[true, 2]]]",
        "[[[NaN, 2]]]", "[[[Infinity, 2]]]", "[[[1e999, 2]]]", "[[[4000, 2]]]", "[[[1, -4000]]]", "[[null]]",
        "[[[1, 2], [3]]]", "[[[1" + "0" * 400 + ", 2]]]", json.dumps([[[0, 0]]] * 201),
        json.dumps([[[0, 0], [1024, 0]] * 120]),
    ],
)  # fmt: skip
def test_medians_of_the_wrong_shape_are_refused_with_their_line_and_nothing_else_is(tmp_path, text):
    found = Medians(write_medians(tmp_path / "bad.jsonl", TEN, bad_line(text)))
    with pytest.raises(DataError, match=r"bad\.jsonl: line 2: .*(expected|no JSON)"):
        found.glyph("坏")
    assert len(found.glyph("十").strokes) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rubbish", "not one character"),
        ("[1, 2]", "not one character"),
        ('{"character": "十一", "medians": [[[1, 2]]]}', "'十一'"),
        ('{"character": "", "medians": [[[1, 2]]]}', "not one character"),
        ('{"character": 5, "medians": [[[1, 2]]]}', "not one character"),
        ('{"medians": [[[1, 2]]]}', "not one character"),
        ('{"character": "\\q", "medians": [[[1, 2]]]}', "no JSON"),
        ('{"character": "十", "x": "' + "x" * medians.MAX_LINE + '"}', "longer than 1 MiB"),
    ],
)
def test_a_line_that_is_about_no_character_is_found_at_once(tmp_path, line, why):
    with pytest.raises(DataError, match=why) as caught:
        Medians(write_medians(tmp_path / "bad.jsonl", TEN, "", line))
    assert "line 3" in str(caught.value)


def test_a_line_cut_off_in_the_middle(tmp_path):
    path = tmp_path / "cut.jsonl"
    path.write_bytes(json.dumps(TEN).encode() + b"\n" + json.dumps(MOUTH, ensure_ascii=False).encode()[:60])
    with pytest.raises(DataError, match=r"line 2: no JSON"):
        Medians(path).glyph("口")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"character": "\xff\xfe", "medians": []}\n')
    with pytest.raises(DataError, match="line 1"):
        Medians(path)
    path.write_bytes('{"character": "十", "medians": [[[1, 2]]], "note": "'.encode() + b'\xff"}\n')
    with pytest.raises(DataError, match="line 1"):
        Medians(path).glyph("十")


def test_no_file_an_empty_one_and_a_folder(tmp_path):
    with pytest.raises(ControlError, match=r"no such file.*'hershey'"):
        open_strokes(str(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="holds no character"):
        open_strokes(tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match="folder"):
        open_strokes(tmp_path)


def test_a_file_that_was_changed_meanwhile_gives_no_other_character(tmp_path, file):
    found = Medians(file)
    write_medians(tmp_path / "few.jsonl", HOOK, TEN, MOUTH)
    with pytest.raises(DataError, match="no longer about '十'"):
        found.glyph("十")
    assert len(Medians(file).glyph("十").strokes) == 2
    (tmp_path / "few.jsonl").unlink()
    with pytest.raises(DataError, match="cannot be read any more"):
        found.glyph("十")


@pytest.mark.parametrize("strokes", [5, [], "", [5], ["hershey", None], b"hershey", ["hershey", ""], {"hershey"}])
def test_what_is_no_source_is_refused(strokes):
    with pytest.raises(ControlError, match=r"expected 'hershey', 'hershey:FONT'"):
        open_strokes(strokes)


def test_an_unknown_font_is_answered_with_all_of_them_and_the_nearest():
    with pytest.raises(ControlError, match=r"futural.*scripts.*did you mean 'hershey:scripts'"):
        open_strokes("hershey:script_s")
    with pytest.raises(ControlError, match="expected one of the fonts"):
        open_strokes("hershey:../../etc")


def test_packages_that_are_not_installed_are_named_with_what_installs_them(monkeypatch, file):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(MissingExtraError, match=r'pip install "livesketch\[handwriting\]"'):
        open_strokes("kanjivg")
    assert [repr(source) for source in open_strokes(None).sources] == ["hershey:futural"]
    monkeypatch.setitem(sys.modules, "HersheyFonts", None)
    hershey._load.cache_clear()
    with pytest.raises(MissingExtraError, match=r'pip install "livesketch\[handwriting\]"'):
        open_strokes(["hershey", file])
    with pytest.raises(MissingExtraError, match="file of stroke medians"):
        open_strokes(None)
    assert open_strokes(file).find("十")


@pytest.mark.parametrize(
    "text",
    [
        "", "<svg", "<svg/>", "\0", SVG.format(""), SVG.format('<path d=""/>'), SVG.format("<path/>"),
        SVG.format('<path d="M"/>'), SVG.format('<path d="hello"/>'), SVG.format('<path d="M1,1 c1,2"/>'),
        SVG.format('<path d="M1e999,1 L2,2"/>'), SVG.format('<path d="M1,1 L900,2"/>'),
        SVG.format('<path d="M1,1 Lnan,2"/>'), SVG.format('<path d="M1,1L2,2"/>') + " " * 300_000,
    ],
)  # fmt: skip
def test_a_damaged_file_of_kanjivg_is_refused_and_the_others_are_not_read(tmp_path, text):
    (tmp_path / "05341.svg").write_text(text)
    (tmp_path / "053e3.svg").write_text(SVG.format('<path d="M10,10 L90,10"/>'))
    found = KanjiVG(tmp_path)
    assert len(found.glyph("口").strokes) == 1
    assert found.glyph("木") is None
    with pytest.raises(DataError, match=r"05341\.svg.*install kanjivg anew"):
        found.glyph("十")


def test_kanjivg_without_its_folder(monkeypatch, tmp_path):
    class Found:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(metadata, "distribution", lambda name: Found())
    with pytest.raises(DataError, match="without its characters"):
        KanjiVG()


def test_letters_of_a_damaged_font(monkeypatch):
    class Letter:
        left_offset, char_width, strokes = 0, 10, [["x", "y"]]

    monkeypatch.setitem(hershey._load("futural"), "A", Letter())
    with pytest.raises(DataError, match="'A' holds no points"):
        Hershey().glyph("A")
    Letter.strokes = [[(0, 1e9)]]
    with pytest.raises(DataError, match="'A' is too large"):
        Hershey().glyph("A")
    hershey._load.cache_clear()


def test_strokes_keep_their_order_and_go_through_all_points_of_the_file(file):
    found = Medians(file)
    for record in (TEN, MOUTH, HOOK):
        strokes = found.glyph(record["character"]).strokes
        assert len(strokes) == len(record["medians"])
        for line, median in zip(strokes, record["medians"], strict=True):
            points = [(x / GRID, (TOP - y) / GRID) for x, y in median]
            nearest = [np.hypot(*(line - point).T).argmin() for point in points]
            assert nearest == sorted(nearest)
            assert line[nearest] == pytest.approx(np.array(points))
            assert (nearest[0], nearest[-1]) == (0, len(line) - 1)


def test_strokes_without_length_are_dots(file):
    assert [len(line) for line in Medians(file).glyph("丶").strokes] == [1, 1]
    assert Medians(file).glyph("丶").strokes[1].tolist() == [[100 / GRID, 512 / GRID]]
    assert DOT["character"] == "丶"


def test_a_straight_line_stays_straight_and_is_cut_into_short_ones():
    line = glyphs.pen_curve(np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]))
    assert (line[:, 1] == 0).all()
    steps = np.diff(line[:, 0])
    assert 0 < steps.min() <= steps.max() <= glyphs.SPACING + 1e-9


def test_a_curve_through_points_of_a_circle_is_round_and_a_corner_stays_a_corner():
    turns = np.linspace(0, 5, 12)
    circle = glyphs.pen_curve(np.stack([np.cos(turns), np.sin(turns)], 1))
    assert np.hypot(*circle.T) == pytest.approx(1, abs=0.003)
    assert len(circle) > 50
    corner = glyphs.pen_curve(np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [1.0, 1.0]]))
    assert all(abs(y) < 1e-9 or abs(x - 1) < 1e-9 for x, y in corner.tolist())
    assert [1.0, 0.0] in corner.tolist()


def test_points_of_very_uneven_distance_make_no_loop():
    line = glyphs.pen_curve(np.array([[0.0, 0.0], [0.9, 0.0], [0.91, 0.005], [0.915, 0.015], [0.92, 0.9]]))
    assert (np.diff(line[:, 1]) > -0.02).all()
    assert (np.diff(line[:, 0]) > -0.02).all()


def test_points_that_turn_back_are_a_corner():
    line = glyphs.pen_curve(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    assert (line[:, 1] == 0).all()
    assert line[:, 0].max() == 1


@pytest.mark.shared
def test_real_medians_are_in_their_cell_in_order_open_and_smooth(shared):
    path = shared / "strokes" / "hanzi_medians.jsonl"
    found = Medians(path)
    count = 0
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            if number % 40:
                continue
            record = json.loads(line)
            strokes = found.glyph(record["character"]).strokes
            starts = [[median[0][0] / GRID, (TOP - median[0][1]) / GRID] for median in record["medians"]]
            assert [line[0].tolist() for line in strokes] == starts
            every = np.concatenate(strokes)
            assert every.min() >= 0
            assert every.max() <= 1
            assert all((line[0] != line[-1]).any() for line in strokes)
            assert max(np.hypot(*np.diff(line, axis=0).T).max() for line in strokes) < 1.1 * glyphs.SPACING
            count += len(strokes)
    assert count > 2000


def test_kanjivg_strokes_are_those_of_the_file_in_its_order():
    found = KanjiVG()
    for character, strokes in {"永": 5, "床": 7, "の": 1, "ー": 1, "鬱": 29}.items():
        glyph = found.glyph(character)
        text = (found.folder / f"{ord(character):05x}.svg").read_text(encoding="utf-8")
        starts = [float(x) / BOX for x in re.findall(r'-s\d+"[^>]* d="[Mm]\s*([\d.]+)', text)]
        assert [line[0, 0] for line in glyph.strokes] == pytest.approx(starts)
        assert len(glyph.strokes) == strokes
        assert (glyph.width, glyph.wide) == (1, True)
        every = np.concatenate(glyph.strokes)
        assert 0 <= every.min() < every.max() <= 1
    assert found.glyph("龘") is None
    assert found.glyph("￿") is None


def test_letters_of_kanjivg_are_as_wide_as_they_are():
    letter, capital = KanjiVG().glyph("i"), KanjiVG().glyph("M")
    assert not letter.wide
    assert 0.05 < letter.width < capital.width < 1
    assert np.concatenate(capital.strokes)[:, 0].min() == pytest.approx(0.05)


def test_hershey_letters_stand_on_one_line_with_their_own_widths():
    font = Hershey()
    feet = [np.concatenate(font.glyph(letter).strokes)[:, 1].max() for letter in "AHMx"]
    assert feet == pytest.approx([0.15 + 21 / 32] * 4)
    assert font.glyph("A").width == 18 / 32
    assert font.glyph("i").width < font.glyph("W").width
    assert font.glyph(" ").strokes == ()
    assert font.glyph("A").strokes[2][0].tolist() == pytest.approx([(-5 + 9) / 32, 0.15 + 14 / 32])
    assert font.glyph("é") is font.glyph("床") is None


@pytest.mark.slow
def test_all_hershey_fonts_have_letters_of_some_width():
    for name in hershey.fonts():
        font = Hershey(name)
        for letter in map(chr, range(33, 127)):
            glyph = font.glyph(letter)
            assert glyph is None or glyph.width > 0 or not glyph.strokes, (name, letter)


def test_typographic_characters_take_their_plain_form():
    font = Hershey()
    for fancy, plain in {"’": "'", "“": '"', "—": "-"}.items():
        drawn, meant = ([line.tolist() for line in font.glyph(mark).strokes] for mark in (fancy, plain))
        assert drawn == meant
    assert font.glyph("…").width == pytest.approx(3 * font.glyph(".").width)


def test_sources_are_asked_in_their_order_and_punctuation_comes_last(file):
    first = open_strokes([file, "kanjivg", "hershey"])
    assert len(first.find("口").strokes) == 3
    assert first.find("口").strokes[0][0, 0] == 250 / GRID
    assert open_strokes(["kanjivg", file]).find("口").strokes[0][0, 0] != 250 / GRID
    assert first.find("a").wide is False
    assert len(first.find("。").strokes[0]) > 20, "kanjivg has its own"
    assert open_strokes(file).find("，").wide
    assert open_strokes(file).find("a") is None
    assert "kanjivg" in repr(first)


def test_by_default_ascii_comes_from_hershey_and_japanese_from_kanjivg():
    found = open_strokes(None)
    assert found.find("A").width == 18 / 32
    assert len(found.find("永").strokes) == 5
    assert [source.attribution for source in found.sources][1].endswith("CC BY-SA 3.0")


def test_full_width_letters_stand_in_the_middle_of_a_cell(file):
    glyph = open_strokes("hershey").find("Ａ")
    every = np.concatenate(glyph.strokes)
    assert (glyph.wide, glyph.width) == (True, 1)
    assert every[:, 0].min() + every[:, 0].max() == pytest.approx(1)
    assert open_strokes(file).find("Ａ") is None


def test_what_was_found_is_remembered_up_to_a_bound(monkeypatch, file):
    monkeypatch.setattr(sources, "KEPT", 3)
    found = open_strokes(file)
    first = found.find("十")
    assert found.find("十") is first
    for character in "口丶乙甲":
        found.find(character)
    assert len(found._kept) == 3
    assert found.find("十") is not first


def test_a_file_is_looked_through_once(file, monkeypatch):
    Medians(file)
    monkeypatch.setattr(medians, "_character", None)
    assert len(Medians(file).glyph("口").strokes) == 3


def box(glyph):
    every = np.concatenate(glyph.strokes)
    return *every.min(axis=0), *every.max(axis=0)


def test_punctuation_stands_in_its_corner_and_in_columns_in_the_other():
    marks = Punctuation()
    for mark in "，。、":
        left, top, right, foot = box(marks.glyph(mark))
        assert 0 < left < right < 0.3
        assert 0.75 < top < foot < 1
        left, top, right, foot = box(in_column(mark, marks.glyph(mark)))
        assert 0.7 < left < right < 1
        assert 0 < top < foot < 0.25


def test_brackets_turn_with_the_column_and_its_marks_stand_in_the_middle():
    marks = Punctuation()
    left, top, right, foot = box(marks.glyph("「"))
    assert left > 0.5
    assert foot < 0.6
    left, top, right, foot = box(in_column("「", marks.glyph("「")))
    assert top > 0.5
    assert left > 0.4
    assert box(marks.glyph("」")) == pytest.approx((0.1, 0.45, 0.38, 0.9))
    assert box(in_column("—", marks.glyph("—"))) == pytest.approx((0.5, 0, 0.5, 1))
    for mark in "！？；：":
        left, _, right, _ = box(in_column(mark, marks.glyph(mark)))
        assert left + right == pytest.approx(1)


def test_all_punctuation_is_in_its_cell_and_open():
    marks = Punctuation()
    drawn = {mark for mark in CLOSING | OPENING | TURNED | MIDDLE | CORNER_MARKS if marks.glyph(mark)}
    assert drawn >= set("，。、；：？！“”‘’「」『』（）《》〈〉【】〔〕—…～·")
    for mark in drawn:
        for glyph in (marks.glyph(mark), in_column(mark, marks.glyph(mark))):
            assert min(box(glyph)) >= -1e-9, mark
            assert max(box(glyph)) <= 1 + 1e-9, mark
            assert all((line[0] != line[-1]).any() for line in glyph.strokes), mark


def test_a_letter_turns_with_the_column():
    glyph = Hershey().glyph("L")
    left, top, right, foot = box(in_column("L", glyph))
    assert top == pytest.approx(box(glyph)[0])
    assert left == pytest.approx(1 - box(glyph)[3])
    assert foot - top < right - left
