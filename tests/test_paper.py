"""Pages: sizes and lengths, where drawings are placed, and the SVG that is written about it."""

import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from livesketch.errors import ControlError
from livesketch.paper import Page, Sketch, check_color, drawing_svg, length_mm, make_page, page_size, page_svg, place

SVG = "{http://www.w3.org/2000/svg}"
INKSCAPE = "{http://www.inkscape.org/namespaces/inkscape}"
A4 = make_page()


def read_paths(text: str) -> list[NDArray[np.float64]]:
    """The polylines of an SVG in document order, read without our own code."""
    found = []
    for path in ET.fromstring(text.encode()).iter(f"{SVG}path"):
        d = path.attrib["d"]
        assert re.fullmatch(r"M -?[\d.]+ -?[\d.]+ L( -?\d+\.\d{3}){2,}", d), d[:200]
        found.append(np.array([float(n) for n in re.findall(r"-?\d+\.\d{3}", d)]).reshape(-1, 2))
    return found


@pytest.mark.parametrize(
    ("text", "mm"),
    [
        ("10mm", 10),
        ("1cm", 10),
        ("0.5in", 12.7),
        (".5in", 12.7),
        ("72pt", 25.4),
        ("96px", 25.4),
        (7, 7),
        ("7", 7),
        (" 2 MM ", 2),
    ],
)
def test_lengths(text: str | float, mm: float) -> None:
    assert length_mm(text) == pytest.approx(mm)


@pytest.mark.parametrize(
    "text", ["", "mm", "-1mm", "1e3mm", "nan", "inf", "10 miles", "1,5mm", "20m", "11000mm", None, True, math.nan]
)
def test_lengths_that_are_none(text: str) -> None:
    with pytest.raises(ControlError, match="try 10mm"):
        length_mm(text)


@pytest.mark.parametrize(
    ("name", "size"),
    [("a4", (210, 297)), ("A0", (841, 1189)), ("a6", (105, 148)), ("letter", (215.9, 279.4)), ("legal", (215.9, 355.6)),
     ("210x297mm", (210, 297)), ("20 x 30 cm", (200, 300)), ("8.5x11in", (215.9, 279.4)),
     ("100x50", (100, 50)), ("1×2cm", (10, 20))],
)  # fmt: skip
def test_page_sizes(name: str, size: tuple[float, float]) -> None:
    assert page_size(name) == pytest.approx(size)


@pytest.mark.parametrize("name", ["", "a7", "x", "0x10mm", "10x0mm", "10x", "-1x5mm", "nanxnan", "10x20x30mm", None])
def test_page_sizes_that_are_none(name: str) -> None:
    with pytest.raises(ControlError, match="expected"):
        page_size(name)


def test_landscape_lays_the_longer_side_across() -> None:
    assert (make_page("a4", landscape=True).width, make_page("300x100mm", landscape=True).width) == (297, 300)


@pytest.mark.parametrize(
    "wrong", [{"margin": "105mm"}, {"margin": "200mm"}, {"pen_width": 0}, {"pen_width": "300mm"}, {"margin": "x"}]
)
def test_pages_without_room(wrong: dict[str, str]) -> None:
    with pytest.raises(ControlError, match="try"):
        make_page("a4", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("color", ["", "blakc", "url(#a)", "none", "#12", "#1234567", 'red"', "rgb(1,2,3)", None])
def test_colors_that_are_none(color: str) -> None:
    with pytest.raises(ControlError, match="expected a name"):
        check_color(color)


def test_one_drawing_fills_the_page_inside_the_margins() -> None:
    (lines,) = place([Sketch([[(0, 0), (3, 1)], [(1, 2), (2, 4)]])], A4)
    points = np.concatenate(lines)
    assert points.min(axis=0) - 10.15 == pytest.approx([0, (297 - 20.3 - 189.7 * 4 / 3) / 2])
    assert points.max(axis=0)[0] == pytest.approx(210 - 10.15)
    assert lines[0][1] - lines[0][0] == pytest.approx(np.array([3, 1]) * 189.7 / 3)


@pytest.mark.parametrize(
    ("count", "size", "page", "columns"),
    [(4, (1, 1), "100x100mm", 2), (4, (1, 1), "400x100mm", 4), (2, (1, 1), "100x200mm", 1),
     (12, (1, 1), "300x400mm", 3),
     (6, (3, 1), "300x200mm", 2), (1, (1, 1), "a4", 1), (4, (0, 0), "100x100mm", 2), (3, (1, 0), "100x300mm", 1)],
)  # fmt: skip
def test_the_grid_wastes_the_least(count: int, size: tuple[float, float], page: str, columns: int) -> None:
    made = make_page(page, margin=0)
    placed = place([Sketch([[(0, 0), size]])] * count, made)
    middles = np.array([np.concatenate(lines).mean(axis=0) for lines in placed])
    assert len(set(middles[:, 0].round(3))) == columns
    assert [tuple(m) for m in middles] == sorted((tuple(m) for m in middles), key=lambda m: (round(m[1], 3), m[0]))


POINT = st.tuples(*[st.one_of(st.just(0.5), st.floats(-1e6, 1e6), st.floats(0, 1))] * 2)
DRAWING = st.lists(st.lists(POINT, min_size=1, max_size=12), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(DRAWING, max_size=8), st.sampled_from(["a4", "a6", "30x400mm"]), st.booleans())
def test_the_svg_read_again_is_the_drawing(
    drawings: list[list[list[tuple[float, float]]]], name: str, turned: bool
) -> None:
    page = make_page(name, landscape=turned, margin="5mm")
    sketches = [Sketch(lines) for lines in drawings]
    text = page_svg(sketches, page)
    assert page_svg(sketches, page) == text
    got = read_paths(text)
    placed = place(sketches, page)
    want = [line for lines in placed for line in lines]
    assert len(got) == len(want)
    for one, two in zip(got, want, strict=True):
        assert np.abs(one - (np.repeat(two, 2, axis=0) if len(two) == 1 else two)).max() <= 0.0005001
    for lines, original in zip(placed, drawings, strict=True):  # only moved and scaled, the same both ways
        points, before = np.concatenate(lines), np.concatenate([np.array(line) for line in original])
        inside = [page.margin, page.margin] <= points + 1e-6, points - 1e-6 <= [page.width - 5, page.height - 5]
        assert all(np.all(part) for part in inside)
        size, was = np.ptp(points, axis=0), np.ptp(before, axis=0)
        if was.min() > 1e-6:
            assert size[0] * was[1] == pytest.approx(size[1] * was[0], rel=1e-6)


def test_drawings_do_not_overlap() -> None:
    random = np.random.default_rng(3)
    sketches = [Sketch([random.random((9, 2)) * random.uniform(0.1, 9, 2)]) for _ in range(37)]
    boxes = [(np.concatenate(lines).min(axis=0), np.concatenate(lines).max(axis=0)) for lines in place(sketches, A4)]
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert np.any(low > other_high) or np.any(other_low > high)


def test_what_the_file_says() -> None:
    sketches = [
        Sketch([[(0, 0), (1, 1)]], 0),
        Sketch([[(0, 1), (1, 0)], [(0.5, 0.5)]], 1),
        Sketch([[(0, 0), (0, 1)]], 0),
    ]
    text = page_svg(sketches, A4, colors=("black", "#ff0000"), about=[{"model": 'c<a>"t\x01', "seed": "7"}])
    root = ET.fromstring(text.encode())
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("210mm", "297mm", "0 0 210 297")
    assert [child.tag for child in root.iter("{urn:livesketch:1}play")] == ["{urn:livesketch:1}play"]
    assert root.find(f"{SVG}metadata/{{urn:livesketch:1}}play").attrib == {"model": 'c<a>"t?', "seed": "7"}  # type: ignore[union-attr]
    layers = root.findall(f"{SVG}g")
    assert [layer.get(f"{INKSCAPE}label") for layer in layers] == ["1-black", "2-#ff0000"]
    assert {layer.get(f"{INKSCAPE}groupmode") for layer in layers} == {"layer"}
    assert [len(layer) for layer in layers] == [2, 2]
    for layer in layers:
        assert (layer.get("stroke-linecap"), layer.get("stroke-linejoin")) == ("round", "round")
        assert layer.get("stroke-width") == "0.3"
        assert all(path.get("fill") == "none" for path in layer)
    dot = layers[1][1].attrib["d"]
    assert re.fullmatch(r"M (\S+ \S+) L \1", dot)


def test_an_empty_page_is_valid() -> None:
    for sketches in ([], [Sketch([])]):
        root = ET.fromstring(page_svg(sketches, A4).encode())
        assert root.get("viewBox") == "0 0 210 297"
        assert list(root.iter(f"{SVG}path")) == []


def test_a_million_points() -> None:
    random = np.random.default_rng(0)
    lines = [random.normal(size=(1000, 2)).cumsum(axis=0) for _ in range(1000)]
    text = page_svg([Sketch(lines)], A4)
    assert text.count("<path") == 1000
    assert len(re.findall(r"\d \d", text[-100_000:])) > 1000


def test_a_thousand_drawings() -> None:
    sketches = [Sketch([[(0, 0), (1 + k % 3, 1)]]) for k in range(1000)]
    assert page_svg(sketches, A4).count("<path") == 1000


def test_a_notebook_gets_an_element_and_no_file() -> None:
    text = drawing_svg([[(0.1, 0.2), (0.3, 0.9)]])
    assert text.startswith("<svg ")
    assert len(read_paths(text)) == 1
    assert len(read_paths(drawing_svg([]))) == 0


def test_the_same_bytes_in_another_process() -> None:
    """Hash seeds change between processes: nothing may depend on the order of a set."""
    code = (
        "from livesketch.paper import *; import sys;"
        "sys.stdout.write(page_svg([Sketch([[(0,0),(k,1)]], k%3) for k in range(7)],"
        "make_page(), about=[{'b':'1','a':'2'}]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parent.parent,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(texts) == 1


def test_golden(golden) -> None:  # type: ignore[no-untyped-def]
    ring = [(math.cos(k / 3), math.sin(k / 3)) for k in range(12)]
    sketches = [Sketch([ring, [(0.0, 0.0)]]), Sketch([[(0.0, 0.0), (2.0, 1.0)]], 1)]
    page = Page(100.0, 80.5, 5.0, 0.35)
    text = page_svg(sketches, page, colors=("black", "crimson"), about=[{"model": "cat", "seed": "7"}])
    golden("page.svg", text.encode())
