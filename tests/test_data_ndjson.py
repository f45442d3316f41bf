"""Quick, Draw! ndjson, and raw strokes simplified as Quick, Draw! does it."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livesketch import DataError
from livesketch.data.json_lines import MAX_LINE
from livesketch.data.ndjson import read_ndjson
from livesketch.data.simplify import MAX_PATH, rdp, resampled, scaled, simplified

SQUARE = [[[0, 255, 255], [0, 0, 255]]]


def write(path, *records):
    path.write_text("".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records))
    return path


def line(drawing, **more):
    return {"word": "cat", "key_id": "1", **more, "drawing": drawing}


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        "[" * 100_000,
        '{"drawing": null}',
        '{"drawing": "cat"}',
        '{"drawing": [[[0, 1]]]}',
        '{"drawing": [[[0, 1], [0]]]}',
        '{"drawing": [[[0, 1], [0, 1], [0]]]}',
        '{"drawing": [[[0, 1], [0, 1], [0, 1], [0, 1]]]}',
        '{"drawing": [[[0, 1], [0, 1]], [[0, 1], [0, 1], [0, 9]]]}',
        '{"drawing": [[["0", "1"], ["0", "1"]]]}',
        '{"drawing": [[[0, null], [0, 1]]]}',
        '{"drawing": [[[0, [1]], [0, 1]]]}',
        '{"drawing": [[[0, NaN], [0, 1]]]}',
        '{"drawing": [[[0, Infinity], [0, 1]]]}',
        '{"drawing": [[[0, 1e999], [0, 1]]]}',
        '{"drawing": [[[0, 1e10], [0, 1]]]}',
        '{"drawing": [[[0, ' + "9" * 400 + "], [0, 1]]]}",
        '{"drawing": [[{}, {}]]}',
        '{"drawing": [3]}',
    ],
)
def test_lines_that_hold_no_drawing_are_counted_and_too_many_are_an_error(tmp_path, bad):
    path = write(tmp_path / "cat.ndjson", line(SQUARE), bad)
    found = read_ndjson(path, "cat")
    assert len(found.drawings) == 1
    if bad:
        ((reason, count),) = found.left_out.items()
        assert count == 1
        assert "line 2: " in reason
        with pytest.raises(DataError, match=r"cat\.ndjson: 2 of its 3 lines hold no drawing; line 1: "):
            read_ndjson(write(path, bad, line(SQUARE), bad), "cat")


def test_a_line_that_never_ends(tmp_path):
    path = tmp_path / "cat.ndjson"
    with path.open("wb") as out:
        out.write(b'{"drawing": [' + b"[" * (2 * MAX_LINE) + b"\n")
        out.write(b"".join(json.dumps(line(SQUARE)).encode() + b"\n" for _ in range(2)))
    found = read_ndjson(path, "cat")
    assert len(found.drawings) == 2
    assert "longer than 16 MiB" in next(iter(found.left_out))


def test_empty_drawings_and_strokes_are_counted(tmp_path):
    path = write(tmp_path / "cat.ndjson", line([]), line([[[], []]]), line([[[], []], *SQUARE]), line([[[5], [5]]]))
    found = read_ndjson(path, "cat")
    assert len(found.drawings) == 1
    assert found.left_out == {"empty: left out": 3, "strokes without a point: left out of their drawings": 1}


def test_simplified_drawings_are_taken_as_they_are(tmp_path):
    drawing = [[[10, 20, 20], [5, 5, 40]], [[0, 1], [3, 3]], [[7, 7], [9, 9]]]
    (rows,) = read_ndjson(write(tmp_path / "cat.ndjson", line(drawing)), "cat").drawings
    assert rows.dtype == np.float32
    assert rows.tolist() == [
        [10, 0, 0], [0, 35, 1], [-20, -37, 0], [1, 0, 1], [6, 6, 0], [0, 0, 1],
    ]  # fmt: skip


def test_raw_drawings_are_simplified_with_times_and_without(tmp_path):
    xs, ys = [10.5, 110.5, 510.5], [7.0, 7.0, 107.0]
    timed, untimed = line([[xs, ys, [0, 5, 9]]]), line([[xs, ys]])
    found = read_ndjson(write(tmp_path / "cat.ndjson", timed, untimed), "cat")
    assert found.drawings[0].tolist() == found.drawings[1].tolist() == [[51, 0, 0], [204, 51, 1]]


def test_only_recognized_drawings_where_asked(tmp_path):
    lines = [line(SQUARE, recognized=value) for value in (True, False, True)]
    path = write(tmp_path / "cat.ndjson", *lines, line(SQUARE))
    assert len(read_ndjson(path, "cat").drawings) == 4
    found = read_ndjson(path, "cat", recognized_only=True)
    assert len(found.drawings) == 2
    assert found.left_out == {"not recognized by the game: left out": 2}


def test_scaled_to_the_corner_and_the_larger_side():
    one, two = scaled([np.array([(-3.0, 10), (7, 10)]), np.array([(0.0, 15)])])
    assert one.tolist() == [[0, 0], [255, 0]]
    assert two.tolist() == [[3 * 25.5, 5 * 25.5]]
    assert scaled([np.array([(4.0, 4.0)] * 2)])[0].tolist() == [[0, 0], [0, 0]]


def test_resampled_at_whole_units_of_the_path_and_the_last_point():
    corner = resampled(np.array([(0, 0), (1.5, 0), (1.5, 1.25)]))
    assert corner.tolist() == [[0, 0], [1, 0], [1.5, 0.5], [1.5, 1.25]]
    assert resampled(np.array([(0, 0), (3.0, 0)])).tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]  # 3 once
    for still in ([(5.0, 6.0)], [(5.0, 6.0)] * 3):
        assert resampled(np.array(still)).tolist() == [[5, 6], [5, 6]]


def slow_rdp(points, epsilon):
    """By the book, recursive."""
    (x, y), (dx, dy) = points[0], points[-1] - points[0]
    length = math.sqrt(dx * dx + dy * dy)
    if length:
        away = [abs((p[0] - x) * dy - (p[1] - y) * dx) / length for p in points]
    else:
        away = [math.sqrt((p[0] - x) ** 2 + (p[1] - y) ** 2) for p in points]
    if len(points) < 3 or max(away[1:-1]) <= epsilon:
        return [True] + [False] * (len(points) - 2) + [True]
    middle = 1 + int(np.argmax(away[1:-1]))
    return slow_rdp(points[: middle + 1], epsilon)[:-1] + slow_rdp(points[middle:], epsilon)


coordinate = st.one_of(st.integers(0, 9), st.integers(0, 255000).map(lambda n: n / 1000))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=40))
def test_rdp_against_the_book(points):
    line = np.array(points, np.float64)
    for epsilon in (0.5, 2.0, 20.0):
        assert rdp(line, epsilon).tolist() == slow_rdp(line, epsilon)


def test_rdp_keeps_what_is_farther_than_epsilon_and_no_more():
    bump = np.array([(0, 0), (50, 2.0), (100, 0)])
    assert rdp(bump).tolist() == [True, False, True]
    assert rdp(bump * [1, 1.01]).tolist() == [True, True, True]
    loop = np.array([(0.0, 0), (30, 0), (0, 0)])  # its ends are one point
    assert rdp(loop).tolist() == [True, True, True]
    behind = np.array([(0.0, 0), (40, 1), (20, 0)])  # near the infinite line, far from the segment
    assert rdp(behind).tolist() == [True, False, True]


def test_a_million_points_neither_recurse_nor_hang():
    n = 1_000_000
    straight = np.stack([np.linspace(0, 255, n), np.zeros(n)], 1)
    assert simplified([straight])[0].tolist() == [[0, 0], [255, 0]]
    assert rdp(straight).sum() == 2
    circle = np.linspace(0, 6.28, n)
    kept = rdp(np.stack([np.cos(circle), np.sin(circle)], 1) * 100)
    assert 10 < kept.sum() < 40
    wild = np.stack([np.arange(n) % 2 * 255.0, np.linspace(0, 255, n)], 1)
    with pytest.raises(ValueError, match="a path"):
        simplified([wild])
    teeth = np.stack([np.arange(n) * 10.0, np.arange(n) % 2 * 10.0], 1)  # each split takes off one point
    with pytest.raises(ValueError, match="more than 50000000 steps"):
        rdp(teeth)
    assert n * 255 > MAX_PATH


@pytest.fixture(scope="module")
def pairs(shared):
    """(category, raw strokes, simplified strokes) of the drawings that are in both official forms."""
    out = []
    for path in sorted((shared / "quickdraw-timed").glob("*.ndjson")):
        raw = {record["key_id"]: record["drawing"] for record in map(json.loads, path.read_text().splitlines())}
        other = shared / "quickdraw-simplified" / path.name
        records = map(json.loads, other.read_text().splitlines() if other.exists() else ())
        out += [(path.stem, raw[one["key_id"]], one["drawing"]) for one in records if one["key_id"] in raw]
    return out


@pytest.mark.slow
def test_every_official_pair_agrees_in_every_point(pairs):
    """Measured: all 2,423 drawings, 13,768 strokes, exactly. So point counts agree, and every distance is 0."""
    exact = strokes = 0
    for category, raw, official in pairs:
        got = simplified([np.array(stroke[:2], np.float64).T for stroke in raw])
        want = [np.array(stroke, np.float64).T for stroke in official]
        assert [line.tolist() for line in got] == [line.tolist() for line in want], category
        exact, strokes = exact + 1, strokes + len(want)
    print(f"{exact} drawings, {strokes} strokes: all exact")
    assert exact > 2000


def test_raw_files_read_as_the_simplified_ones(shared, tmp_path):
    keys = {}
    for folder in ("quickdraw-timed", "quickdraw-simplified"):
        records = map(json.loads, (shared / folder / "cat.ndjson").read_text().splitlines())
        keys[folder] = {record["key_id"]: record for record in records}
    both = sorted(set.intersection(*map(set, keys.values())))
    assert len(both) > 10
    raw, simple = (
        read_ndjson(write(tmp_path / f"{folder}.ndjson", *[keys[folder][key] for key in both]), "cat")
        for folder in ("quickdraw-timed", "quickdraw-simplified")
    )
    assert [rows.tolist() for rows in raw.drawings] == [rows.tolist() for rows in simple.drawings]
    assert not raw.left_out
