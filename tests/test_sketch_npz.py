"""The reader of Sketch-RNN data sets: right on good files, and no code run from bad ones."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livesketch import DataError
from livesketch.data.sketch_npz import clean_stroke3, read_sketch_npz


def objects(*drawings):
    array = np.empty(len(drawings), object)
    array[:] = drawings
    return array


def a_drawing(n=5, dtype=np.int16):
    rows = np.arange(n * 3).reshape(n, 3).astype(dtype)
    rows[:, 2] = 0
    rows[-1, 2] = 1
    return rows


def npy_of(payload):
    """An object array's .npy whose pickle is the given bytes."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return head.getvalue() + payload


def write_zip(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("went-off",)


def test_official_files_are_read_with_a_leading_zero_row_dropped(tmp_path):
    first = np.vstack([[0, 0, 0], a_drawing()]).astype(np.int16)
    np.savez(tmp_path / "cat.npz", train=objects(first, a_drawing(3)), valid=objects(a_drawing(4)), test=objects())
    data = read_sketch_npz(tmp_path / "cat.npz")
    assert [len(rows) for rows in data.train] == [5, 3]
    np.testing.assert_array_equal(data.train[0], a_drawing())
    assert data.train[0].dtype == np.float32
    assert (len(data.valid), len(data.test), data.skipped) == (1, 0, 0)


def test_drawings_without_rows_are_counted(tmp_path):
    nothing = np.zeros((1, 3), np.int16)
    np.savez(tmp_path / "a.npz", train=objects(nothing, a_drawing()), valid=objects(), test=objects(nothing))
    assert read_sketch_npz(tmp_path / "a.npz").skipped == 2


def test_drawings_of_one_length_saved_as_a_plain_array_are_read(tmp_path):
    same = np.stack([a_drawing(), a_drawing()])
    np.savez(tmp_path / "a.npz", train=same, valid=same, test=same)
    assert len(read_sketch_npz(tmp_path / "a.npz").train) == 2


def test_real_data(shared):
    cat = read_sketch_npz(shared / "quickdraw" / "cat.npz")
    assert len(cat.train) > 4000
    sheep = read_sketch_npz(shared / "strokes" / "aaron_sheep.npz")
    assert (len(sheep.train), len(sheep.valid), len(sheep.test)) == (7400, 300, 300)
    offsets = np.concatenate([rows[:, :2].ravel() for rows in sheep.train])
    assert offsets.std() == pytest.approx(18.52, abs=0.01)


ATTACKS = {
    "os.mkdir": pickle.dumps(Bomb()),
    "builtins.eval": b"cbuiltins\neval\n(S'1/0'\ntR.",
    "numpy.load": b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
    "numpy.ndarray called": b"cnumpy\nndarray\n(I1000000000000\ntR.",
    "a huge _reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I100000000000\ntS'b'\ntR.",
    "getattr through a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
    "persistent id": b"Pid\n.",
    "no array": pickle.dumps([1, 2, 3]),
    "text": pickle.dumps("hello"),
    "cut short": pickle.dumps(objects(a_drawing()))[:-20],
    "empty": b"",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_pickle_that_asks_for_anything_but_arrays_is_refused_and_runs_nothing(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    payload = npy_of(ATTACKS[attack])
    path = write_zip(tmp_path / "evil.npz", train=payload, valid=payload, test=payload)
    with pytest.raises(DataError, match=r"evil\.npz: not a Sketch-RNN data set that can be read safely"):
        read_sketch_npz(path)
    assert [found.name for found in tmp_path.iterdir()] == ["evil.npz"]


def test_the_bomb_goes_off_where_pickles_are_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_zip(tmp_path / "evil.npz", train=npy_of(ATTACKS["os.mkdir"]))
    with np.load(path, allow_pickle=True) as archive:
        archive["train"]
    assert (tmp_path / "went-off").is_dir()


@pytest.mark.parametrize(
    "rows",
    [np.zeros((4, 2)), np.zeros(3), np.full((3, 3), np.nan), np.array([["a", "b", "c"]]), np.zeros((2, 3), complex)],
)
def test_arrays_that_are_no_drawings_are_refused(tmp_path, rows):
    np.savez(tmp_path / "a.npz", train=objects(rows), valid=objects(), test=objects())
    with pytest.raises(DataError, match=r"expected an \.npz"):
        read_sketch_npz(tmp_path / "a.npz")


def test_files_that_are_something_else_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "empty.npz", train=objects(), valid=objects(), test=objects())
    for name, says in (
        ("text", "not a Sketch"),
        ("other", "train.npy"),
        ("empty", "no drawings"),
        ("absent", "No such"),
    ):
        with pytest.raises(DataError, match=says):
            read_sketch_npz(tmp_path / f"{name}.npz")


def test_a_plain_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)})
    path = write_zip(tmp_path / "a.npz", train=head.getvalue(), valid=b"", test=b"")
    with pytest.raises(DataError, match="claims shape"):
        read_sketch_npz(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_flipped_bytes_never_escape_as_another_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    np.savez(folder / "a.npz", train=objects(a_drawing(), a_drawing(2)), valid=objects(a_drawing()), test=objects())
    raw = bytearray((folder / "a.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (folder / "b.npz").write_bytes(raw)
    try:
        read = read_sketch_npz(folder / "b.npz")
    except DataError:
        return
    assert all(rows.shape[1] == 3 for rows in read.train)


def test_clean_stroke3_drops_one_leading_zero_row_only():
    assert clean_stroke3(np.zeros((1, 3))) is None
    assert len(clean_stroke3(np.zeros((3, 3)))) == 2
