"""SVG files as drawings."""

import math

import numpy as np
import pytest

import livesketch as ls
from livesketch import DataError
from livesketch.data.sources import read_sources
from livesketch.data.svg_drawings import read_svg_files, svg_polylines

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '


def svg(path, inside, head="", before=""):
    path.write_text(f"{before}{HEAD}{head}>{inside}</svg>")
    return path


def lines_of(tmp_path, inside, head=""):
    return [line.tolist() for line in svg_polylines(svg(tmp_path / "x.svg", inside, head))]


def approx(lines):
    return [pytest.approx(np.array(line), abs=1e-6) for line in lines]


LAUGHS = '<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no SVG"),
        (b"\x89PNG", "no SVG"),
        (b"<svg>", "no SVG"),
        (b"<html/>", "outermost element"),
        (b"<svg>" * 150 + b"</svg>" * 150, "inside each other"),
        (b"<svg>" + b"<g/>" * 100_001 + b"</svg>", "in all"),
        (LAUGHS.encode() + b"<svg>&b;</svg>", "declares"),
        (b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>', "declares"),
        (b'<!DOCTYPE svg [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><svg/>', "declares"),
        ((LAUGHS + "<svg>&b;</svg>").encode("utf-16"), "declares"),
        (b'<!DOCTYPE svg [<!ATTLIST g style CDATA "display:none">]><svg/>', "declares"),
        (b'<?xml version="1.0" encoding="nothing"?><svg/>', "no SVG|safely"),
    ],
)
def test_files_that_are_hostile_or_something_else(tmp_path, content, says):
    path = tmp_path / "x.svg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.svg.*({says})"):
        read_svg_files([path], tmp_path, "x")


def test_what_is_no_file_and_what_is_too_large(tmp_path):
    for path in (tmp_path, tmp_path / "none.svg"):
        with pytest.raises(DataError, match="safely"):
            svg_polylines(path)
    with (tmp_path / "x.svg").open("wb") as out:
        out.truncate(1 << 30)
    with pytest.raises(DataError, match="bytes"):
        svg_polylines(tmp_path / "x.svg")


def test_use_that_explodes_or_goes_in_circles(tmp_path):
    levels = "".join(f'<g id="g{n}">' + f'<use href="#g{n - 1}"/>' * 10 + "</g>" for n in range(1, 30))
    bomb = svg(tmp_path / "x.svg", f'<path id="g0" d="M0 0 9 9"/>{levels}')
    with pytest.raises(DataError, match="split or simplify"):
        svg_polylines(bomb)
    assert read_svg_files([bomb], tmp_path, "x").left_out.keys() == {
        "too long to be read (paths of more than 1000000 characters): left out"
    }
    for circle in ('<use id="a" xlink:href="#a"/>', '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'):
        with pytest.raises(DataError, match="contains itself"):
            svg_polylines(svg(tmp_path / "x.svg", circle))


def test_transforms_heaped_up(tmp_path):
    long = "scale(1) " * 10_000
    with pytest.raises(DataError, match="split or simplify"):
        svg_polylines(svg(tmp_path / "x.svg", f'<g transform="{long}">' + '<path d="M0 0 1 1"/>' * 1000 + "</g>"))


@pytest.mark.parametrize("d", ["M 0 0 L 1e999 0", "M 0 0 L 5", "M 0 0 Q 1"])
def test_paths_that_are_broken(tmp_path, d):
    with pytest.raises(DataError, match=r"x\.svg: a path"):
        svg_polylines(svg(tmp_path / "x.svg", f'<path d="{d}"/>'))


def test_a_doctype_alone_is_what_many_programs_write(tmp_path):
    doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    path = svg(tmp_path / "x.svg", '<path d="M0 0 9 9"/>', before=doctype)
    assert svg_polylines(path)[0].tolist() == [[0, 0], [9, 9]]


def test_shapes_in_the_order_of_the_file(tmp_path):
    got = lines_of(
        tmp_path,
        '<line x1="1" y1="2" x2="3" y2="4"/><polyline points="0,0 5,0 5,5"/><polygon points="0,0 5,0 5,5"/>'
        '<rect x="1" y="1" width="4" height="2"/><path d="M 1 1 h 2 v 3 z m 5 5 l 1 1"/>',
    )
    assert got == [
        [[1, 2], [3, 4]],
        [[0, 0], [5, 0], [5, 5]],
        [[0, 0], [5, 0], [5, 5], [0, 0]],
        [[1, 1], [5, 1], [5, 3], [1, 3], [1, 1]],
        [[1, 1], [3, 1], [3, 4], [1, 1]],
        [[6, 6], [7, 7]],
    ]


def test_subpaths_that_go_on_behind_a_close_and_that_only_move(tmp_path):
    assert lines_of(tmp_path, '<path d="M 0 0 L 4 0 L 4 4 Z L -3 0 M 9 9 M 7 7 L 7 7"/>') == [
        [[0, 0], [4, 0], [4, 4], [0, 0]],
        [[0, 0], [-3, 0]],
        [[7, 7], [7, 7]],
    ]


@pytest.mark.parametrize(
    ("shape", "center", "radii"),
    [
        ('<circle cx="50" cy="60" r="40"/>', (50, 60), (40, 40)),
        ('<ellipse cx="5" cy="6" rx="40" ry="20"/>', (5, 6), (40, 20)),
        ('<path d="M 10 0 A 10 10 0 0 1 -10 0 A 10 10 0 0 1 10 0"/>', (0, 0), (10, 10)),
        ('<circle cx="5" cy="3" r="4" transform="translate(10 20) scale(3 2)"/>', (25, 26), (12, 8)),
    ],
)
def test_curves_are_flattened_closer_than_can_be_seen(tmp_path, shape, center, radii):
    (line,) = (np.array(line) for line in lines_of(tmp_path, shape))
    unit = (line - center) / radii
    assert np.hypot(*unit.T) == pytest.approx(1, abs=1e-3)
    middles = (unit[1:] + unit[:-1]) / 2
    assert (1 - np.hypot(*middles.T)).max() < 2 * 0.1 / 127.5  # FLATNESS, in radii of a drawing 255 wide
    assert unit[0] == pytest.approx(unit[-1], abs=1e-9)
    turned = np.unwrap(np.arctan2(*unit.T[::-1]))
    assert abs(turned[-1] - turned[0]) == pytest.approx(math.tau, abs=1e-3)


def test_beziers_against_their_formula(tmp_path):
    cubic, quadratic = (
        np.array(line) for line in lines_of(tmp_path, '<path d="M0 0C0 100 100 100 100 0M0 0Q50 80 90 0"/>')
    )
    t = np.linspace(0, 1, 5000)[:, None]
    true = 3 * (1 - t) ** 2 * t * [0, 100] + 3 * (1 - t) * t**2 * [100, 100] + t**3 * [100, 0]
    assert far(true, cubic) < 0.1 * 100 / 255 * 1.01
    true = 2 * (1 - t) * t * [50, 80] + t**2 * [90, 0]
    assert far(true, quadratic) < 0.1 * 100 / 255 * 1.01
    assert 5 < len(quadratic) < len(cubic) < 100


def far(points, line):
    """How far the farthest of the points is from the polyline."""
    a, b = line[:-1, None], line[1:, None]
    along = b - a
    share = (((points - a) * along).sum(-1) / (along**2).sum(-1)).clip(0, 1)[..., None]
    return np.linalg.norm(points - a - share * along, axis=-1).min(0).max()


def test_transforms_and_viewboxes_are_applied(tmp_path):
    inside = '<g transform="translate(10 0)"><path transform="rotate(90)" d="M0 0 H5"/></g>'
    assert lines_of(tmp_path, inside) == approx([[[10, 0], [10, 5]]])
    head = 'width="200" height="200" viewBox="10 10 100 100"'
    assert lines_of(tmp_path, '<path d="M10 10 L60 110"/>', head) == approx([[[0, 0], [100, 200]]])
    nested = '<svg x="10" y="20" width="50" height="50" viewBox="0 0 5 5"><path d="M0 0 L5 5"/></svg>'
    assert lines_of(tmp_path, nested, 'viewBox="0 0 100 100"') == approx([[[10, 20], [60, 70]]])


def test_use_draws_again_and_what_is_only_defined_is_not_drawn(tmp_path):
    inside = (
        '<defs><path id="a" d="M0 0 L1 0"/></defs><symbol id="s"><path d="M0 0 L0 7"/></symbol>'
        '<clipPath id="c"><path d="M0 0 L99 99"/></clipPath><mask><path d="M0 0 L98 98"/></mask>'
        '<marker><path d="M0 0 L97 97"/></marker><pattern><path d="M0 0 L96 96"/></pattern>'
        '<use href="#a" x="5"/><use xlink:href="#s" y="3"/><use href="#missing"/><use href="other.svg#a"/>'
    )
    assert lines_of(tmp_path, inside) == approx([[[5, 0], [6, 0]], [[0, 3], [0, 10]]])


def test_hidden_elements_are_not_drawn(tmp_path):
    inside = (
        '<style>.off { display: none }</style><path d="M0 0 1 1" display="none"/><path d="M0 0 2 2" class="off"/>'
        '<g style="display:none"><path d="M0 0 3 3"/></g><path d="M0 0 4 4" visibility="hidden"/><path d="M0 0 5 5"/>'
    )
    assert lines_of(tmp_path, inside) == [[[0, 0], [5, 5]]]


def test_what_is_no_path_is_reported(tmp_path):
    more = "<text>hello</text><text>you</text><image href='file:///etc/passwd'/><style>a{}</style><title>t</title>"
    drawn = svg(tmp_path / "a.svg", f'<path d="M0 0 9 0 9 9"/><g>{more}</g>')
    empty = svg(tmp_path / "b.svg", "<text>nothing else</text>")
    found = read_svg_files([drawn, empty], tmp_path, "x")
    assert found.drawings[0].tolist() == [[255, 0, 0], [0, 255, 1]]
    assert found.left_out == {
        "style elements: not drawn": 1,
        "image elements: not drawn": 1,
        "text elements: not drawn": 3,
        "empty: left out": 1,
    }


def test_a_drawing_is_scaled_and_simplified_as_quick_draw(tmp_path):
    xs = np.linspace(0, 51, 400)
    wave = " ".join(f"{x},{np.sin(x / 4) * 10 + np.sin(x * 40) * 0.2}" for x in xs)
    (rows,) = read_svg_files([svg(tmp_path / "x.svg", f'<polyline points="{wave}"/>')], tmp_path, "x").drawings
    assert np.ptp(rows[:, 0].cumsum()) <= 255
    assert rows[:, 0].sum() == pytest.approx(255, abs=1e-3)
    assert 8 < len(rows) < 40  # 400 points and their noise are gone


def test_a_folder_is_a_class_named_as_it_is(tmp_path):
    (tmp_path / "my_cat").mkdir()
    for number in range(3):
        svg(tmp_path / "my_cat" / f"{number}.svg", f'<path d="M0 0 9 {number}"/>')
    (found,) = read_sources(tmp_path / "my_cat")
    assert (found.label, len(found.drawings)) == ("my cat", 3)
    assert read_sources(tmp_path)[0].label == "my cat"


def test_what_livesketch_draws_comes_back(tmp_path):
    """A drawing drawn into an SVG and read from it has the same strokes up to scale and place."""
    recorder = ls.Recorder()
    ls.draw(ls.sketch("cat", seed=7), to=[ls.svg(tmp_path / "cat.svg"), recorder])
    want = ls.to_polylines(recorder.events)
    got = svg_polylines(tmp_path / "cat.svg")
    assert [len(line) for line in got] == [max(len(line), 2) for line in want]  # a dot is two equal points
    want_all, got_all = np.concatenate([np.resize(line, (max(len(line), 2), 2)) for line in want]), np.concatenate(got)
    scale = np.ptp(got_all, axis=0).max() / np.ptp(want_all, axis=0).max()
    assert got_all - got_all.min(0) == pytest.approx(
        (want_all - want_all.min(0)) * scale, abs=6e-3
    )  # pixels; the page has µm
    (rows,) = read_svg_files([tmp_path / "cat.svg"], tmp_path, "cat").drawings
    assert rows[:, 2].sum() == len(want)
    ends = np.cumsum(rows[:, :2], axis=0)[rows[:, 2] == 1]
    last = np.array([line[-1] for line in want]) - want[0][0]
    assert ends == pytest.approx(last * 255 / np.ptp(want_all, axis=0).max(), abs=0.02)
