"""Drawings to train on from any files: what is refused, what is reported, how they are split."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import livesketch as ls
from livesketch import DataError
from livesketch.data.drawings import Skipped, load_drawings

ZIGZAG = np.array([(0, 0, 0), (10, 0, 0), (0, 10, 0), (-10, 5, 1)], np.float32)


def drawings_of(count, points=6, seed=0):
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        rows = np.concatenate([rng.integers(-20, 21, (points, 2)), np.zeros((points, 1))], 1).astype(np.float32)
        rows[:, 0] += 50  # never a row of zeros
        rows[-1, 2] = 1
        out.append(rows)
    return out


def official(path, train, valid=(), test=()):
    arrays = {}
    for name, drawings in {"train": train, "valid": valid, "test": test}.items():
        arrays[name] = np.empty(len(drawings), object)
        for place, rows in enumerate(drawings):
            arrays[name][place] = rows
    np.savez(path, **arrays)
    return path


def ndjson(path, drawings):
    path.write_text("".join(json.dumps({"word": "x", "drawing": drawing}) + "\n" for drawing in drawings))
    return path


def svg_text(line):
    return '<svg xmlns="http://www.w3.org/2000/svg"><path d="M ' + " ".join(f"{x},{y}" for x, y in line) + '"/></svg>'


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_no_paths_and_paths_that_are_nothing(tmp_path):
    for nothing in ([], ()):
        with pytest.raises(DataError, match="give a list of at least one"):
            load_drawings(nothing)
    for one in (tmp_path / "cat.npz", "cat.npz"):
        with pytest.raises(DataError, match="give a list"):
            load_drawings(one)
    with pytest.raises(DataError, match=r"cat\.npz: there is no such file"):
        load_drawings([tmp_path / "cat.npz"])
    with pytest.raises(DataError, match="without drawings"):
        load_drawings([tmp_path])
    with pytest.raises(DataError, match=r"cannot be looked at|no such file"):
        load_drawings([Path("a\0b")])
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"cat\.png: not a kind of file"):
        load_drawings([tmp_path / "cat.png"])


@pytest.mark.parametrize("name", ["x.npz", "x.ndjson", "x.jsonl", "x.svg"])
@pytest.mark.parametrize(
    "content", [b"", b"\0" * 99, b"PK\3\4 no zip", b'{"rows": 3}\n', b"<svg", b"[1]\n", b"\xff\xfe<"]
)
def test_files_that_are_something_else(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=name):
        load_drawings([path])


@pytest.mark.parametrize("name", ["x.npz", "x.ndjson", "x.jsonl", "x.svg"])
def test_a_pickle_bomb_does_not_go_off(tmp_path, name):
    mark, path = tmp_path / "went off", tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(DataError, match=name):
        load_drawings([path])
    bombs = np.empty(1, object)
    bombs[0] = Bomb(mark)
    np.savez(tmp_path / "y.npz", train=bombs, valid=bombs, test=bombs)
    with pytest.raises(DataError, match=r"y\.npz"):
        load_drawings([tmp_path / "y.npz"])
    np.savez(tmp_path / "z.npz", rows=bombs, lengths=np.array([1]))
    with pytest.raises(DataError, match=r"z\.npz"):
        load_drawings([tmp_path / "z.npz"])
    assert not mark.exists()


def test_numbers_that_are_none_name_the_file_and_the_line(tmp_path):
    bad = ZIGZAG.copy()
    bad[1, 0] = np.nan
    with pytest.raises(DataError, match=r"cat\.npz.*NaN"):
        load_drawings([official(tmp_path / "cat.npz", [bad])])
    lines = tmp_path / "cat.jsonl"
    for third in ("[[NaN, 0, 1]]", "[[1, 2]]", '["x"]', "[[1, 2, 0.5]]", "[[1e999, 0, 1]]", "[]"):
        lines.write_text(f'{{"rows": [[1, 2, 1]]}}\n\n{{"rows": {third}}}\n')
        with pytest.raises(DataError, match=r"cat\.jsonl: line 3"):
            load_drawings([lines])


def test_a_third_column_that_is_no_lift(tmp_path):
    bad = ZIGZAG.copy()
    bad[2, 2] = 0.5
    with pytest.raises(DataError, match=r"cat\.npz: drawing 1 of train: a third column"):
        load_drawings([official(tmp_path / "cat.npz", [ZIGZAG, bad], [ZIGZAG], [ZIGZAG])])


def test_nothing_usable_names_the_reasons(tmp_path):
    still = np.array([(0, 0, 1), (0, 0, 1)], np.float32)
    path = official(tmp_path / "cat.npz", [still, np.tile(ZIGZAG[1:], (100, 1)), np.zeros((0, 3))])
    with pytest.raises(DataError, match=r"'cat' has no drawing.*1 empty.*1 no movement.*1 longer than 250 rows"):
        load_drawings([path])


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_to_be_split(tmp_path, count):
    path = tmp_path / "cat.jsonl"
    ls.save_strokes(path, drawings_of(count))
    with pytest.raises(DataError, match=rf"'cat' has {count} usable drawings?; at least 3 are needed"):
        load_drawings([path])


@pytest.mark.parametrize(("count", "held"), [(3, 1), (19, 1), (20, 1), (40, 2), (1000, 50)])
def test_sources_without_splits_are_split_by_the_seed_alone(tmp_path, count, held):
    path = tmp_path / "cat.npz"
    ls.save_strokes(path, drawings_of(count))
    data = load_drawings([path])
    assert [len(split.drawings) for split in (data.train, data.valid, data.test)] == [count - 2 * held, held, held]
    every = [rows.tobytes() for split in (data.train, data.valid, data.test) for rows in split.drawings]
    assert sorted(every) == sorted(rows.tobytes() for rows in drawings_of(count))
    again = load_drawings([path])
    assert [rows.tobytes() for rows in again.valid.drawings] == [rows.tobytes() for rows in data.valid.drawings]
    others = [load_drawings([path], seed=seed).valid.drawings for seed in range(2, 12)]
    assert any(rows[0].tobytes() != data.valid.drawings[0].tobytes() for rows in others)


def test_official_splits_are_kept_and_a_leading_zero_row_dropped(tmp_path):
    train, valid, test = drawings_of(5, seed=1), drawings_of(2, seed=2), drawings_of(3, seed=3)
    zero = np.zeros((1, 3), np.float32)
    data = load_drawings(
        [official(tmp_path / "The_Eiffel_Tower.npz", [np.concatenate([zero, d]) for d in train], valid, test)]
    )
    assert data.labels == ("The Eiffel Tower",)
    for split, want in ((data.train, train), (data.valid, valid), (data.test, test)):
        assert [rows.tolist() for rows in split.drawings] == [rows.tolist() for rows in want]
        assert split.label.dtype == np.int64
        assert split.label.tolist() == [0] * len(want)
        assert {rows.dtype for rows in split.drawings} == {np.dtype(np.float32)}
    assert data.skipped == ()
    assert data.longest() == 6


def test_official_splits_of_which_one_is_empty_are_divided_anew_and_that_is_said(tmp_path):
    data = load_drawings([official(tmp_path / "cat.npz", drawings_of(10))])
    assert [len(split.drawings) for split in (data.train, data.valid, data.test)] == [8, 1, 1]
    assert data.skipped == (Skipped("cat", "no usable drawing in valid, test: all divided anew", 10),)


def test_long_still_and_far_drawings_are_reported_in_all_splits(tmp_path):
    still = np.array([(0, 0, 0), (0, 0, 1)], np.float32)
    far = np.array([(5000, -7, 0), (1, -1001, 1)], np.float32)
    long = np.tile(ZIGZAG[1:], (3, 1))
    path = official(
        tmp_path / "cat.npz", [*drawings_of(3), still, long], [far, *drawings_of(1)], [long, *drawings_of(1)]
    )
    data = load_drawings([path], max_rows=8)
    assert set(data.skipped) == {
        Skipped(str(path), "no movement at all: left out", 1),
        Skipped(str(path), "longer than 8 rows: left out", 2),
        Skipped(str(path), "offsets beyond ±1000 data units: clamped, and kept", 1),
    }
    assert [len(split.drawings) for split in (data.train, data.valid, data.test)] == [3, 2, 1]
    assert data.valid.drawings[0].tolist() == [[1000, -7, 0], [1, -1000, 1]]
    assert len(load_drawings([path], max_rows=9).train.drawings) == 4


def test_a_million_points_are_reported_and_do_no_harm(tmp_path):
    wave = np.zeros((1_000_000, 3), np.float32)
    wave[:, 0], wave[::2, 1], wave[-1, 2] = 1, 3, 1
    ls.save_strokes(tmp_path / "saved.npz", [wave, *drawings_of(3)])
    official(tmp_path / "cat.npz", [wave, *drawings_of(3)], drawings_of(1), drawings_of(1))
    ramp = list(range(1_000_000))
    wild = [n % 2 * 1_000_000 for n in ramp]
    raw = [[ramp, wild, ramp]]
    with (tmp_path / "raw.ndjson").open("w") as out:
        out.write(json.dumps({"drawing": raw}) + "\n")
        out.writelines(json.dumps({"drawing": [[[0, 9], [0, 9]]]}) + "\n" for _ in range(4))
    (tmp_path / "svg").mkdir()
    for number in range(4):
        (tmp_path / "svg" / f"{number}.svg").write_text(svg_text([(0, 0), (5, 9)]))
    (tmp_path / "svg" / "long.svg").write_text(svg_text([(n, n % 7) for n in range(1_000_000)]))
    data = load_drawings([tmp_path])
    told = {(Path(item.where).name, item.count) for item in data.skipped}
    assert told == {("saved.npz", 1), ("cat.npz", 1), ("raw.ndjson", 1), ("svg", 1)}, data.skipped
    assert data.longest() == 6


def test_formats_are_mixed_and_equal_labels_are_one_class(tmp_path):
    official(tmp_path / "cat.npz", drawings_of(4), drawings_of(1), drawings_of(1))
    square = [[[0, 255, 255], [0, 0, 255]]]
    (tmp_path / "more").mkdir()
    ndjson(tmp_path / "more" / "cat.ndjson", [square] * 6)
    ndjson(tmp_path / "more" / "sail_boat.ndjson", [square] * 3)
    ls.save_strokes(tmp_path / "pig.jsonl", drawings_of(5))
    (tmp_path / "art" / "owl").mkdir(parents=True)
    (tmp_path / "art" / "my_crab").mkdir()
    (tmp_path / "art" / "notes").mkdir()
    (tmp_path / "art" / "readme.txt").write_text("hello")
    for name in ("owl", "my_crab"):
        for number in range(3):
            (tmp_path / "art" / name / f"{number}.SVG").write_text(svg_text([(0, 0), (5, 9), (number, 3)]))
    data = load_drawings([tmp_path / name for name in ("cat.npz", "more", "pig.jsonl", "art")])
    assert data.labels == ("cat", "sail boat", "pig", "my crab", "owl")
    counts = [np.bincount(split.label, minlength=5).tolist() for split in (data.train, data.valid, data.test)]
    assert counts == [[8, 1, 3, 1, 1], [2, 1, 1, 1, 1], [2, 1, 1, 1, 1]]
    assert {(Path(item.where).name, item.count) for item in data.skipped} == {("my_crab", 1)}
    assert "passed over" in data.skipped[0].reason


def test_a_class_does_not_change_how_another_is_split(tmp_path):
    for name, seed in (("cat", 1), ("pig", 2)):
        ls.save_strokes(tmp_path / f"{name}.npz", drawings_of(30, seed=seed))
    alone = load_drawings([tmp_path / "pig.npz"]).valid.drawings
    both = load_drawings([tmp_path / "cat.npz", tmp_path / "pig.npz"]).valid
    assert [rows.tobytes() for rows in alone] == [rows.tobytes() for rows in both.drawings[both.label.argmax() :]]


def test_measures_of_the_training_drawings(tmp_path):
    one = np.array([(3, 0, 0), (3, -8, 1)], np.float32)
    data = load_drawings([official(tmp_path / "cat.npz", [one, one * [2, 2, 1]], drawings_of(1), drawings_of(1))])
    assert data.scale_factor() == pytest.approx(np.std([3, 0, 3, -8, 6, 0, 6, -16]))
    assert data.stage_units() == pytest.approx(2 * np.quantile([8, 16], 0.95))


@pytest.mark.parametrize(("name", "scale"), [("aaron_sheep", 18.52), ("kanji.rdp100", 20.08)])
def test_scale_factors_of_the_published_sets(shared, name, scale):
    data = load_drawings([shared / "strokes" / f"{name}.npz"])
    assert round(data.scale_factor(), 2) == scale
    sizes = {"aaron_sheep": [7400, 300, 300], "kanji.rdp100": [10358, 600, 500]}[name]
    assert [len(split.drawings) for split in (data.train, data.valid, data.test)] == sizes
    assert data.skipped == ()


def test_quick_draw_files_begin_with_a_zero_row_that_is_dropped(shared):
    data = load_drawings([shared / "quickdraw" / "cat.npz", shared / "quickdraw-simplified" / "cat.ndjson"])
    assert data.labels == ("cat",)
    assert all(rows[0].any() for rows in data.train.drawings)
    assert len(data.train.drawings) > 4000


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(DataError, match=r"x\.npz"):
        load_drawings([tmp_path / "x.npz"])
