"""The reader of Sketch-RNN data sets: right on good files, and no code run from bad ones."""

import io
import os
import pickle
import re
import struct
import subprocess
import sys
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


def npy_of(payload, descr="|O", shape=(1,)):
    """An .npy file, of one object if not told otherwise, whose contents are the given bytes."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
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
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 5, 3)})
    path = write_zip(tmp_path / "a.npz", train=head.getvalue(), valid=b"", test=b"")
    with pytest.raises(DataError, match="claims shape"):
        read_sketch_npz(path)


# Pickles put together by hand, so that each attack differs from a good one in one place.
RECONSTRUCT, NDARRAY, DTYPE = (b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n")
NO_ARRAY = RECONSTRUCT + NDARRAY + b"K\0\x85U\1b\x87R"
ONE, ROW = b"K\1\x85", b"K\1K\3\x86"  # the shapes (1,) and (1, 3)


def text(value):
    return b"U" + bytes([len(value)]) + value


def dtype_state(order=b"<", version=b"K\3", sub=b"NNN", sizes=b"J\xff\xff\xff\xffJ\xff\xff\xff\xff", flags=b"K\0"):
    return b"(" + version + text(order) + sub + sizes + flags + b"t"


def dtype(spec, *state):
    return DTYPE + text(spec) + b"K\0K\1\x87R" + (state[0] if state else dtype_state()) + b"b"


def array(shape, kind, held, version=b"K\1", fortran=b"\x89"):
    return NO_ARRAY + b"(" + version + shape + kind + fortran + held + b"tb"


OBJECTS = dtype(b"O8", dtype_state(b"|", flags=b"K?"))
DRAWING = array(ROW, dtype(b"i2"), text(b"\1\0\2\0\1\0"))


def outer(elements=DRAWING, shape=ONE, kind=OBJECTS):
    return b"\x80\2" + array(shape, kind, b"](" + elements + b"e") + b"."


def laughs():
    """Ten references to ten references to ...: seven levels of shared lists, the billion laughs."""
    levels = [b"](" + b"K\1" * 10 + b"eq\0"]
    levels += [b"](" + (b"h" + bytes([i])) * 10 + b"eq" + bytes([i + 1]) for i in range(6)]
    return b"".join(levels)


def tuple_laughs():
    """Sixty levels of pairs of the same pair."""
    return b"N" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))


FIELDS = dtype_state(b"|", sub=b"N" + text(b"a") + b"\x85" + OBJECTS, sizes=b"K\10K\1")
SUBARRAY = dtype_state(b"|", sub=OBJECTS + ROW + b"\x86NN", sizes=b"K\x18K\1")
POINTERS = text(b"A" * 24)
LONG_DRAWING = array(b"M\x10\x27K\3\x86", dtype(b"i2"), b"T\x60\xea\0\0" + bytes(60_000))

HOSTILE = {
    "objects filled from raw bytes": (outer(array(ONE, OBJECTS, POINTERS)), "not the list"),
    "the outer array filled from raw bytes": (b"\x80\2" + array(ONE, OBJECTS, POINTERS) + b".", "not the list"),
    "objects without the object flag": (
        b"\x80\2" + array(ONE, dtype(b"O8", dtype_state(b"|")), POINTERS) + b".",
        "not the list",
    ),
    "a dtype with an object field": (outer(array(ROW, dtype(b"i8", FIELDS), POINTERS)), "fields or subarrays"),
    "a subarray dtype of objects": (outer(array(ROW, dtype(b"i8", SUBARRAY), POINTERS)), "fields or subarrays"),
    "a void dtype": (outer(array(ROW, dtype(b"V8", SUBARRAY), POINTERS)), "dtype 'V8'"),
    "a structured dtype": (outer(array(ROW, dtype(b"i2,O"), POINTERS)), "dtype 'i2,O'"),
    "a dtype of an unknown version": (
        outer(array(ROW, dtype(b"i2", dtype_state(version=b"K\4")), b"U\0")),
        "unknown state",
    ),
    "a dtype whose state is a mapping": (outer(array(ROW, dtype(b"i2", b"}"), b"U\0")), "opcode b'}'"),
    "a dtype whose state is None": (outer(array(ROW, dtype(b"i2", b"N"), b"U\0")), "unknown state"),
    "an item size in a plain dtype": (
        outer(array(ROW, dtype(b"i2", dtype_state(sizes=b"J\xff\xff\xff\x7fK\1")), POINTERS)),
        "fields or subarrays",
    ),
    "a list shorter than the shape": (b"\x80\2" + array(b"K\5\x85", OBJECTS, b"]") + b".", "not the list"),
    "a list shorter than the header": (b"\x80\2" + array(ONE, OBJECTS, b"]") + b".", "not the list"),
    "a huge shape with an empty list": (
        b"\x80\2" + array(b"J\0\xca\x9a\x3b\x85", OBJECTS, b"]") + b".",
        "not the list",
    ),
    "bytes fewer than the shape": (outer(array(b"K\5K\3\x86", dtype(b"i2"), text(b"\0" * 6))), "does not hold"),
    "bytes more than the shape": (outer(array(ROW, dtype(b"i2"), text(b"\0" * 8))), "does not hold"),
    "a huge shape without bytes": (
        outer(array(b"J\xff\xff\xff\x7fK\0\x86", dtype(b"i2"), b"U\0")),
        "expected \\(n, 3\\)",
    ),
    "a negative shape": (
        outer(array(b"J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86", dtype(b"i2"), text(b"\0" * 6))),
        "counts",
    ),
    "numbers filled from a list": (b"\x80\2" + array(ROW, dtype(b"i2"), b"](K\1K\2K\3e") + b".", "adds to a list"),
    "a drawing of one axis": (outer(array(ONE, dtype(b"i2"), text(b"\0\0"))), "expected \\(n, 3\\)"),
    "a drawing of three axes": (outer(array(b"K\1K\1K\1\x87", dtype(b"i2"), text(b"\0\0"))), "neither"),
    "an array that was never filled": (outer(NO_ARRAY), "no numbers"),
    "an array that is filled twice": (outer(DRAWING + b"(K\1" + ROW + dtype(b"i2") + b"\x89U\0tb"), "twice"),
    "the outer array in its own list": (
        b"\x80\2" + NO_ARRAY + b"q\0(K\1" + ONE + OBJECTS + b"\x89](h\0etb.",
        "no numbers",
    ),
    "a list in itself": (b"\x80\2]q\0(h\0e.", "other than arrays"),
    "an array of a dtype in place of numpy.ndarray": (
        RECONSTRUCT + DTYPE + b"K\0\x85U\1b\x87R.",
        "other than numpy.ndarray",
    ),
    "numpy.ndarray is called": (b"\x80\2" + NDARRAY + ROW + b"R.", "calls Name.NDARRAY"),
    "the state of a name is set": (b"\x80\2" + NDARRAY + b"Nb.", "state of a Name"),
    "attributes of a name are set": (b"\x80\2" + DTYPE + b"N}U\x0c__defaults__Ns\x86b.", "opcode b'}'"),
    "attributes of a tuple are set": (b"\x80\2" + ROW + b"Nb.", "state of a tuple"),
    "a far memo index": (b"\x80\2Nr" + struct.pack("<I", 100_000_000) + b".", "remembers more"),
    "the farthest memo index": (b"\x80\2Nr\xff\xff\xff\xff.", "remembers more"),
    "a memo that was never written": (b"\x80\2h\1.", "cut short or damaged"),
    "a billion laughs": (outer(laughs()), "more than one list"),
    "a billion laughs of tuples": (outer(tuple_laughs()), "other than arrays"),
    "a billion laughs as a shape": (outer(array(tuple_laughs(), dtype(b"i2"), b"U\0")), "counts"),
    "one text encoded again and again": (
        b"\x80\2X\0\1\0\0" + b"a" * 256 + b"q\0" + b"c_codecs\nencode\nh\0U\6latin1\x86R" * 12 + b".",
        "more text than it holds",
    ),
    "another encoding": (b"\x80\2c_codecs\nencode\nX\1\0\0\0aU\3zip\x86R.", "as latin1"),
    "many steps": (b"\x80\2" + b"N" * 10_000_000 + b".", "more steps"),
    "more bytes than there are": (b"\x80\2T\xff\xff\xff\x7f.", "cut short"),
    "pops from nothing": (b"\x80\2R.", "cut short"),
}
HOSTILE_FILES = {name: (npy_of(payload), says) for name, (payload, says) in HOSTILE.items()} | {
    "many drawings without rows": (npy_of(b"", "<f4", (20_000_000, 0, 3)), "shape"),
    "many drawings claimed": (npy_of(b"", "|O", (10**15,)), "more than 400000"),
    "rows without columns": (npy_of(b"", "<f4", (20_000_000, 3, 0)), "shape"),
    "many values": (npy_of(b"\x80\2" + b"N" * 10_000_000 + b".", shape=(300_000,)), "piles up"),
    "many marks": (npy_of(b"\x80\2" + b"(" * 10_000_000 + b".", shape=(300_000,)), "marks"),
    "many remembered tuples": (npy_of(b"\x80\4N" + b"\x85\x94" * 200_000, shape=(10_000,)), "remembers more"),
    "many small drawings": (npy_of(bytes(3_000_000), "|i1", (1_000_000, 1, 3)), "more than 400000"),
    "a dtype of objects in the header": (npy_of(POINTERS, [("a", "|O")], (1,)), "header"),
    "a void dtype in the header": (npy_of(b"", "|V0", (10**12, 1, 3)), "dtype"),
    "an object array of many axes": (npy_of(outer(), "|O", (1, 1)), "a list of drawings"),
    "one drawing many times": (
        npy_of(
            outer(LONG_DRAWING + b"q\0" + b"h\0" * 999 + (b"e(" + b"h\0" * 1000) * 2, b"M\xb8\x0b\x85"), shape=(3000,)
        ),
        "more than 67108864 numbers",
    ),
}

READ_IN_A_CELL = """
import re, resource, sys, warnings
warnings.simplefilter("error")
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from livesketch import DataError
from livesketch.data.sketch_npz import read_sketch_npz
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) >> 10
before = peak()
try:
    data = read_sketch_npz(sys.argv[1])
    print("read", [rows.tolist() for rows in data.train])
except DataError as err:
    print("refused", err)
print(peak() - before)
"""


def read_in_a_cell(path):
    """What reading gives in a process of its own with 2 GiB and 20 s, and the MiB that it took."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READ_IN_A_CELL, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment, check=False)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-500:]}"
    says, grown = done.stdout.splitlines()
    return says, int(grown)


def test_the_pickle_put_together_by_hand_is_read(tmp_path):
    payload = npy_of(outer())
    says, _ = read_in_a_cell(write_zip(tmp_path / "good.npz", train=payload, valid=payload, test=payload))
    assert says == "read [[[1.0, 2.0, 1.0]]]"


@pytest.mark.parametrize("attack", HOSTILE_FILES)
def test_hostile_files_neither_crash_the_process_nor_take_its_memory(tmp_path, attack):
    payload, expected = HOSTILE_FILES[attack]
    path = write_zip(tmp_path / "evil.npz", train=payload, valid=payload, test=payload)
    says, grown = read_in_a_cell(path)
    assert says.startswith("refused evil.npz: not a Sketch-RNN data set that can be read safely: ")
    assert re.search(expected, says), says
    assert grown < 48


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "big.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("train.npy", "w") as member,
    ):
        for _ in range(257):
            member.write(bytes(1 << 20))
    says, grown = read_in_a_cell(tmp_path / "big.npz")
    assert "train unpacks to 269484032 bytes" in says
    assert grown < 16


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("kind", ["<i2", ">i2", "|i1", "<f4", ">f8", "<f2", "<u2", "<i8"])
def test_pickles_of_each_protocol_and_kind_of_number_are_read(tmp_path, protocol, kind):
    drawings = [a_drawing(n, kind) for n in range(1, 40)]
    drawings[1] = np.asfortranarray(drawings[1])
    drawings[2] = drawings[3]
    payload = npy_of(pickle.dumps(objects(*drawings), protocol=protocol), shape=(39,))
    data = read_sketch_npz(write_zip(tmp_path / "a.npz", train=payload, valid=payload, test=payload))
    for found, drawing in zip(data.train, drawings, strict=True):
        np.testing.assert_array_equal(found, drawing if drawing[0].any() else drawing[1:])
        assert found.dtype == np.float32
        assert found.flags.writeable


def test_many_drawings_each_with_a_dtype_of_its_own_are_read(tmp_path):
    drawings = [a_drawing().astype(np.dtype(">i2").newbyteorder(">")) for _ in range(5000)]
    np.savez_compressed(tmp_path / "a.npz", train=objects(*drawings), valid=objects(), test=objects())
    assert len(read_sketch_npz(tmp_path / "a.npz").train) == 5000


def test_a_plain_array_in_fortran_order_and_an_empty_one_are_read(tmp_path):
    same = np.asfortranarray(np.stack([a_drawing(), a_drawing() + 1]))
    np.savez(tmp_path / "a.npz", train=same, valid=np.zeros((0, 5, 3)), test=np.array([]))
    data = read_sketch_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.train[1], a_drawing() + 1)
    assert (data.valid, data.test) == ([], [])


def test_offsets_too_large_for_float32_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", train=objects(np.full((2, 3), 1e300)), valid=objects(), test=objects())
    with pytest.raises(DataError, match="infinite"):
        read_sketch_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_compressed_files_are_refused(tmp_path, compression):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
        archive.writestr("train.npy", npy_of(outer()) + bytes(1000))
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[60:90] = b"\xff" * 30
    (tmp_path / "b.npz").write_bytes(raw)
    with pytest.raises(DataError, match="not a Sketch-RNN data set"):
        read_sketch_npz(tmp_path / "b.npz")


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
