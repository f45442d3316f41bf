"""Many drawings: the same however they are split over voices, ranges, processes and resumed runs."""

import contextlib
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import small_checkpoint

import livesketch as ls
from livesketch import cli
from livesketch.data.sources import read_sources
from livesketch.errors import ControlError, OutputError
from livesketch.jobs import folder, parts, sheets, single
from livesketch.models.checkpoint import save_checkpoint
from livesketch.paper import make_page
from livesketch.streams import bulk as bulk_module
from livesketch.streams.bulk import NUMBERS, Bulk, subject_of, voices_for
from livesketch.strokes import rows_of

REPO = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "livesketch"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(), path)
    return str(path)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch, tmp_path):
    """Parts of ten drawings, in an empty folder."""
    monkeypatch.setattr(parts, "SIZE", 10)
    monkeypatch.chdir(tmp_path)


def one_by_one(model, n, **how):
    """The first n drawings of a stream."""
    stream = ls.sketch(model, **how)
    return [list(stream.drawing()) for _ in range(n)]


def contents(path):
    """All files of a folder, hidden ones too, or the one file."""
    if path.is_file():
        return path.read_bytes()
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def draw(*args):
    return cli.main(["draw", *args])


# -- what cannot be drawn ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "how"),
    [
        (0, {}),
        (-3, {}),
        (1.5, {}),
        (True, {}),
        ("12", {}),
        (NUMBERS + 1, {}),
        (range(5, 5), {}),
        (range(9, 3), {}),
        (range(-1, 3), {}),
        (range(0, 10, 2), {}),
        (range(NUMBERS - 1, NUMBERS + 1), {}),
        (3, {"voices": 0}),
        (3, {"voices": 2.5}),
        (3, {"temperature": -1}),
        (3, {"seed": 2**64}),
        (3, {"label": "cat"}),
        (3, {"z": [0.0]}),
    ],
    ids=str,
)
def test_a_bulk_out_of_range_is_refused(model, n, how):
    with pytest.raises(ControlError, match=r"expected|has no labels"):
        ls.bulk(model, n, **how)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--range", "0:10"], 2, "give --seed"),
        (["--range", "0:10", "-n", "3", "--seed", "1"], 2, "one of them"),
        (["--range", f"{2**32}:+1", "--seed", "1"], 2, "another seed"),
        (["--processes", "2", "--cluster", "tcp://127.0.0.1:1"], 2, "one of them"),
        (["-n", "5", "--temperature", "-1", "-o", "a.npz"], 2, "at least 0"),
        (["-n", "5", "--color", "plaid", "-o", "a/"], 2, "plaid"),
        (["-n", "5", "-o", "no/such/folder/"], 4, "no/such/folder"),
        (["-n", "5", "-o", "no/such/a.npz"], 4, "no/such/a.npz.parts"),
        (["-n", "5", "-o", "file/"], 4, "not a folder"),
        (["-n", "5", "-o", "taken.jsonl"], 4, "expected the name of a file"),
        (["-n", "99", "-o", "nul\0.svg"], 4, "name"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_are_said_in_one_line(model, capsys, args, code, says):
    Path("file").write_text("mine")
    Path("taken.jsonl").mkdir()
    assert draw(model, *args) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("livesketch: ")
    assert says in err
    assert "\n" not in err.strip()
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize("text", ["5", "5:", ":5", "5:5", "9:3", "-1:4", "0:+0", "a:b", "1:2:3"])
def test_a_range_that_is_none_ends_with_2(model, text, capsys):
    with pytest.raises(SystemExit) as ended:
        draw(model, "--seed", "1", f"--range={text}")
    assert ended.value.code == 2
    assert "FIRST:END" in capsys.readouterr().err


def test_a_cluster_without_dask_says_what_to_install(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert draw(model, "-n", "20", "--seed", "1", "-o", "a.npz", "--cluster", "tcp://127.0.0.1:1") == 5
    assert 'pip install "livesketch[cluster]"' in capsys.readouterr().err


# -- what a drawing is -------------------------------------------------------------------------------------------------


MODELS = {
    "lstm": {},
    "layer_norm": {"cell": "layer_norm"},
    "hyper": {"cell": "hyper"},
    "labels": {"labels": ("cat", "pig"), "label_size": 5},
    "z by chance": {"z_size": 6},
    "z and labels": {"z_size": 6, "labels": ("cat", "pig"), "label_size": 5},
    "always cut": {"max_steps": 3},
}


@pytest.mark.parametrize(
    ("kind", "backend"), [*((kind, "cpu") for kind in MODELS), ("lstm", "reference"), ("z by chance", "reference")]
)
def test_each_drawing_is_that_of_a_stream(kind, backend):
    path = Path("m.safetensors")
    save_checkpoint(small_checkpoint(hidden=20, **MODELS[kind]), path)
    name = f"{path}#pig" if "labels" in kind else path
    how = {"seed": 5, "temperature": 0.8, "backend": backend}
    found = list(ls.bulk(name, 12, voices=5, **how))
    assert [drawing.number for drawing in found] == list(range(12))
    for drawing, actions in zip(found, one_by_one(name, 12, **how), strict=True):
        assert list(drawing.actions) == actions
        assert drawing.rows.tolist() == rows_of(actions).tolist()
        assert (len(drawing), drawing.ended) == (len(actions), actions[-1].ended)


def test_label_and_z_are_those_of_a_stream():
    save_checkpoint(small_checkpoint(hidden=20, z_size=3, labels=("cat", "pig"), label_size=5), "m.safetensors")
    mix, z = {"cat": 0.25, "pig": 0.75}, [0.5, -1.0, 2.0]
    stream = ls.sketch("m.safetensors#cat", seed=5)
    stream.label, stream.z = mix, z
    wanted = [list(stream.drawing()) for _ in range(6)]
    found = list(ls.bulk("m.safetensors#cat", 6, seed=5, label=mix, z=z, voices=4))
    assert [list(drawing.actions) for drawing in found] == wanted
    assert wanted[3][0].asked is not None


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, NUMBERS - 40), cuts=st.lists(st.integers(1, 39), max_size=4), voices=st.integers(1, 40),
    seed=st.integers(0, 2**64 - 1),
)  # fmt: skip
def test_no_split_changes_a_drawing(model, start, cuts, voices, seed):
    edges = [start, *sorted({start + cut for cut in cuts}), start + 40]
    whole = [drawing.records.tobytes() for drawing in ls.bulk(model, range(start, start + 40), seed=seed, voices=7)]
    split = [ls.bulk(model, range(a, b), seed=seed, voices=voices) for a, b in itertools.pairwise(edges)]
    assert [drawing.records.tobytes() for drawing in itertools.chain(*split)] == whole
    alone = ls.bulk(model, range(start + 17, start + 18), seed=seed)
    assert next(alone).records.tobytes() == whole[17]


def test_numbers_with_gaps_are_drawn_in_their_order(model):
    numbers = np.array([3, 4, 20, 700])
    found = list(Bulk(subject_of(model, 5, 0.65, "js"), numbers, 2))
    assert [drawing.number for drawing in found] == numbers.tolist()
    assert list(found[1].actions) == one_by_one(model, 5, seed=5)[4]


def test_memory_does_not_grow_with_the_number_of_drawings(model):
    many = ls.bulk(model, 400, seed=3, voices=16)
    most = 0
    for _ in many:
        most = max(most, len(many._done))
    assert most <= 16 * 60  # voices times the longest drawing
    assert most < 150, "finished drawings pile up"
    assert not many._done


def test_the_last_drawings_leave_the_batch(model):
    many = ls.bulk(model, 40, seed=3, voices=32)
    sizes = set()
    for _ in many:
        if many._voices is not None:
            sizes.add(many._voices._batch.size)
    assert max(sizes) == 32
    assert min(sizes) <= 8


@pytest.mark.parametrize("place", ["step", "give", "shrink"])
def test_a_break_in_the_middle_loses_and_doubles_nothing(model, place, monkeypatch):
    """Ctrl-C at a step, as a voice takes its next drawing, and as the batch grows smaller; rarer and rarer."""
    wanted = [drawing.records.tobytes() for drawing in ls.bulk(model, 30, seed=3)]
    real, calls, breaks = getattr(bulk_module._Voices, place), itertools.count(1), []

    def broken(*args):
        found = real(*args)
        call = next(calls)
        if call & (call - 1) == 0:
            breaks.append(call)
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(bulk_module._Voices, place, broken)
    many, found = ls.bulk(model, 30, seed=3, voices=8), []
    while len(found) < 30:
        with contextlib.suppress(KeyboardInterrupt):
            found.append(next(many).records.tobytes())
    assert len(breaks) > 4
    assert found == wanted
    assert next(many, None) is None


def test_voices_are_chosen_by_memory():
    small, long = small_checkpoint(), small_checkpoint(max_steps=10**6)
    assert voices_for(long, None) == 1
    assert 1 < voices_for(small, None) <= 4096
    assert voices_for(long, 3) == 3


def test_a_finished_drawing_goes_where_drawings_go(model):
    drawings = [drawing for drawing in ls.bulk(model, 5, seed=2) if len(drawing.rows)]
    ls.save_strokes("a.npz", drawings)
    assert [len(rows) for rows in ls.load_strokes("a.npz")] == [len(drawing.rows) for drawing in drawings]
    assert len(ls.to_polylines(drawings[0]))
    assert drawings[0]._repr_svg_().startswith("<svg")
    assert "drawing 0 of 'small'" in repr(drawings[0])


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_sheet_is_the_page_of_a_stream(model, monkeypatch):
    """The same bytes, drawn by one voice and by many, with what the model was asked for."""
    args = ["-n", "33", "--seed", "5", "--color", "red", "--page", "a5"]
    assert draw(model, *args, "-o", "a.svg") == 0
    assert draw(model, *args, "-o", "b.svg", "--voices", "4") == 0
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    monkeypatch.setattr("livesketch.cli.draw._FEW", 20)
    assert draw(model, *args, "-o", "c.svg") == 0
    assert Path("a.svg").read_bytes() == Path("c.svg").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["a.svg", "b.svg", "c.svg"]


def test_each_page_of_a_folder_is_that_of_one_drawing(model):
    assert draw(model, "-n", "12", "--seed", "5", "-o", "many/") == 0
    assert draw(model, "--seed", "5", "-o", "one.svg") == 0
    assert Path("many/00000000.svg").read_bytes() == Path("one.svg").read_bytes()
    stream = ls.sketch(model, seed=5)
    for number in range(12):
        ls.draw(stream, to=[ls.svg("own.svg")])
        assert Path(f"many/{number:08d}.svg").read_bytes() == Path("own.svg").read_bytes()
    found = {path.name for path in Path("many").iterdir()}
    assert found == {folder.NOTES, *(f"{number:08d}.svg" for number in range(12))}


def test_what_is_lost_far_away_is_left_out_as_on_a_page(model, monkeypatch):
    """Places beyond any paper, in the middle of lines."""
    monkeypatch.setattr("livesketch.outputs.places.FAR", 0.6)
    monkeypatch.setattr(parts, "FAR", 0.6)
    ls.draw(ls.sketch(model, seed=5), to=[ls.svg("a.svg")], n=30)
    draw(model, "-n", "30", "--seed", "5", "-o", "b.svg", "--voices", "8")
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


def test_strokes_are_those_of_save_strokes(model):
    drawings = [drawing for drawing in one_by_one(model, 33, seed=5) if len(rows_of(drawing))]
    ls.save_strokes("a.npz", drawings)
    ls.save_strokes("a.jsonl", drawings)
    for name in ("b.npz", "b.jsonl"):
        assert draw(model, "-n", "33", "--seed", "5", "-o", name) == 0
    wanted, single_precision = ls.load_strokes("a.jsonl"), ls.load_strokes("a.npz")
    for got, want in ((ls.load_strokes("b.jsonl"), wanted), (ls.load_strokes("b.npz"), single_precision)):
        assert [rows.tolist() for rows in got] == [rows.tolist() for rows in want]
    (lines,), (archive,) = read_sources(Path("b.jsonl")), read_sources(Path("b.npz"))
    assert len(lines.drawings) == len(archive.drawings) == len(drawings)
    numbers = [json.loads(line)["number"] for line in Path("b.jsonl").read_text().splitlines()]
    assert np.load("b.npz")["numbers"].tolist() == numbers


def test_drawings_without_a_line_are_counted_and_left_out(capsys):
    """A model that mostly ends at once."""
    checkpoint = small_checkpoint(hidden=20)
    tensors = dict(checkpoint.tensors)
    bias = tensors["head.b"].dense()
    bias[2] = 4.0
    from livesketch.models.checkpoint import quantize

    tensors["head.b"] = quantize(bias)
    save_checkpoint(small_checkpoint(hidden=20, tensors=tensors), "ends.safetensors")
    want = [rows_of(drawing) for drawing in one_by_one("ends.safetensors", 30, seed=1)]
    left = sum(not len(rows) for rows in want)
    assert 0 < left < 30
    for name in ("a.npz", "a.jsonl"):
        assert draw("ends.safetensors", "-n", "30", "--seed", "1", "-o", name) == 0
        assert f"{left} of 30 drawings have no line: they are left out" in capsys.readouterr().err
        assert len(ls.load_strokes(name)) == 30 - left
    assert draw("ends.safetensors", "-n", "30", "--seed", "1", "-o", "pages/") == 0
    assert "their pages are empty" in capsys.readouterr().err
    assert len([*Path("pages").glob("*.svg")]) == 30
    assert draw("ends.safetensors", "-n", "30", "--seed", "1", "-o", "a.svg", "--voices", "9") == 0
    assert draw("ends.safetensors", "-n", "30", "--seed", "1", "-o", "b.svg") == 0
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


def test_an_archive_of_more_than_is_read_again_is_refused_early(model, monkeypatch, capsys):
    monkeypatch.setattr(sheets, "MAX_BYTES", 12 * 250 + 1200)
    assert draw(model, "-n", "90", "--seed", "5", "-o", "a.npz") == 4
    assert "write .jsonl" in capsys.readouterr().err
    assert not Path("a.npz").exists()
    assert len([*Path("a.npz.parts").glob("*.npz")]) < 9


def test_what_is_compressed_does_not_depend_on_the_parts(model, monkeypatch):
    monkeypatch.setattr(sheets, "_PIECE", 1000)
    found = []
    for size in (1, 7, 50):
        monkeypatch.setattr(parts, "SIZE", size)
        assert draw(model, "-n", "50", "--seed", "5", "-o", f"{size}.npz") == 0
        found.append(Path(f"{size}.npz").read_bytes())
    assert found[0] == found[1] == found[2]


# -- stopped and resumed -----------------------------------------------------------------------------------------------

OUTPUTS = ["pages/", "a.svg", "a.jsonl", "a.npz"]


def stop_at(monkeypatch, output, turn, error):
    """Keeping the part of this turn, from 1, raises the error."""
    store = folder.Folder if output.endswith("/") else single.SingleFile
    real, calls = store.keep, itertools.count(1)

    def keep(self, part):
        if next(calls) == turn:
            raise error
        real(self, part)

    monkeypatch.setattr(store, "keep", keep)


def fill_disk(monkeypatch, turn):
    """The disk is full from the file of this turn on, from 1, of which a part is written."""
    calls, write_text, fsync = itertools.count(1), Path.write_text, os.fsync

    def full_text(self, text, **how):
        over = self.name.endswith(".part") and "run.json" not in self.name and next(calls) >= turn
        write_text(self, text[: len(text) // 2] if over else text, **how)
        if over:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(text)

    def full_sync(number):
        if next(calls) >= turn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(Path, "write_text", full_text)
    monkeypatch.setattr(os, "fsync", full_sync)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_stopped_run_goes_on_and_becomes_the_same(model, output, monkeypatch, capsys):
    args = [model, "-n", "95", "--seed", "5", "-o"]
    assert draw(*args, f"whole-{output}") == 0
    with monkeypatch.context() as broken:
        stop_at(broken, output, 3, KeyboardInterrupt())
        assert draw(*args, output) == 130
    assert "20 of 95 drawings are kept; the same command goes on" in capsys.readouterr().err
    with monkeypatch.context() as broken:
        fill_disk(broken, 4)
        assert draw(*args, output) == 4
    assert "No space left" in capsys.readouterr().err
    assert not [*Path().rglob("*.part")], "half a file is left"
    with monkeypatch.context() as broken:
        broken.setattr(sheets, "page_frame", raise_memory_error)
        broken.setattr(sheets, "check_archive", raise_memory_error)
        broken.setattr(sheets.json, "dumps", raise_memory_error)
        if not output.endswith("/"):
            with pytest.raises(MemoryError):
                draw(*args, output)
            assert not Path(output).exists()
    assert draw(*args, output) == 0
    assert "drawings were there already" in capsys.readouterr().err
    assert contents(Path(output)) == contents(Path(f"whole-{output}"))
    assert not Path(f"{output}.parts").exists()
    assert draw(*args, output) == 0, "again: nothing to do, or the same file once more"
    assert contents(Path(output)) == contents(Path(f"whole-{output}"))


def raise_memory_error(*args, **how):
    raise MemoryError


@pytest.mark.parametrize("output", ["pages/", "a.npz"])
@pytest.mark.parametrize(
    ("other", "says"),
    [
        (["--temperature", "0.8"], "temperature 0.65 and not 0.8"),
        (["--seed", "6"], "seed 5 and not 6"),
        (["--convention", "paper"], "convention 'js' and not 'paper'"),
        (["--backend", "reference"], "backend 'cpu' and not 'reference'"),
    ],
    ids=["temperature", "seed", "convention", "backend"],
)
def test_a_run_goes_on_only_with_its_own_options(model, output, other, says, monkeypatch, capsys):
    with monkeypatch.context() as broken:
        stop_at(broken, output, 2, KeyboardInterrupt())
        assert draw(model, "-n", "30", "--seed", "5", "-o", output) == 130
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    capsys.readouterr()
    assert draw(model, "-n", "30", "--seed", "5", "-o", output, *other) == 2
    assert says in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_run_of_another_model_or_page_is_another_run(model, capsys):
    assert draw(model, "-n", "3", "--seed", "5", "-o", "pages/") == 0
    save_checkpoint(small_checkpoint(seed=2), "small.safetensors")
    capsys.readouterr()
    assert draw("small.safetensors", "-n", "3", "--seed", "5", "-o", "pages/") == 2
    assert "weights" in capsys.readouterr().err
    assert draw(model, "-n", "3", "--seed", "5", "-o", "pages/", "--page", "a3") == 2
    assert "page [" in capsys.readouterr().err


def test_without_a_seed_a_run_goes_on_with_its_own(model, monkeypatch, capsys):
    for output in ("pages/", "a.jsonl"):
        with monkeypatch.context() as broken:
            stop_at(broken, output, 2, KeyboardInterrupt())
            assert draw(model, "-n", "30", "-o", output) == 130
        said = capsys.readouterr().err
        assert draw(model, "-n", "30", "-o", output) == 0
        seed = capsys.readouterr().out.split()[-1]
        assert f"also without --seed {seed}" in said
        assert draw(model, "-n", "30", "--seed", seed, "-o", f"again-{output}") == 0
        capsys.readouterr()
        assert contents(Path(output)) == contents(Path(f"again-{output}"))


def test_ranges_of_one_folder_are_the_whole(model):
    common = [model, "--seed", "5", "-o"]
    assert draw(*common, "whole/", "-n", "48") == 0
    for some in ("40:48", "0:7", "7:+13", "20:40"):
        assert draw(*common, "split/", "--range", some) == 0
    assert contents(Path("split")) == contents(Path("whole"))


def test_ranges_of_lines_one_after_the_other_are_the_whole(model):
    assert draw(model, "-n", "48", "--seed", "5", "-o", "whole.jsonl") == 0
    split = b""
    for some in ("0:13", "13:14", "14:48"):
        assert draw(model, "--seed", "5", "--range", some, "-o", "some.jsonl") == 0
        split += Path("some.jsonl").read_bytes()
    assert split == Path("whole.jsonl").read_bytes()


def test_more_drawings_join_a_folder(model, capsys):
    assert draw(model, "-n", "12", "--seed", "5", "-o", "pages/") == 0
    assert draw(model, "-n", "25", "--seed", "5", "-o", "pages/") == 0
    assert "12 of 25 drawings were there already" in capsys.readouterr().err
    assert draw(model, "-n", "25", "--seed", "5", "-o", "whole/") == 0
    assert contents(Path("pages")) == contents(Path("whole"))


@pytest.mark.parametrize("output", ["pages/", "a.npz"])
def test_files_of_others_are_left_alone_and_said(model, output, capsys):
    args = [model, "-n", "12", "--seed", "5", "-o", output]
    place = Path("pages") if output == "pages/" else Path("a.npz.parts")
    foreign = place / ("00000003.svg" if output == "pages/" else "mine.txt")
    place.mkdir()
    foreign.write_text("<svg>mine</svg>")
    assert draw(*args) == 4
    assert str(foreign if output == "pages/" else place).partition("/")[2] in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == [foreign.name]
    assert foreign.read_text() == "<svg>mine</svg>"


def test_other_names_in_a_folder_do_no_harm(model):
    Path("pages").mkdir()
    for name in ("notes.txt", "cat.svg", "1.svg", "000000001.svg.bak", ".hidden"):
        Path("pages", name).write_text("mine")
    assert draw(model, "-n", "3", "--seed", "5", "-o", "pages/") == 0
    assert Path("pages/notes.txt").read_text() == Path("pages/cat.svg").read_text() == "mine"
    assert len([*Path("pages").iterdir()]) == 5 + 3 + 1


def test_a_page_that_somebody_put_into_a_run_is_refused(model, capsys):
    assert draw(model, "-n", "12", "--seed", "5", "-o", "pages/") == 0
    for text in ("mine", Path("pages/00000004.svg").read_text()):
        Path("pages/00000003.svg").write_text(text)
        capsys.readouterr()
        assert draw(model, "-n", "12", "--seed", "5", "-o", "pages/") == 4
        assert "00000003.svg: not a page of this run" in capsys.readouterr().err
        assert Path("pages/00000003.svg").read_text() == text


def test_what_the_power_took_is_drawn_again(model):
    assert draw(model, "-n", "12", "--seed", "5", "-o", "pages/") == 0
    whole = contents(Path("pages"))
    text = Path("pages/00000003.svg").read_text()
    for broken in ("", text[:50], text[:-20], "\0" * 300):
        Path("pages/00000003.svg").write_text(broken)
        Path("pages/.00000005.0123abcd.part").write_text("half")  # what a killed run leaves
        assert draw(model, "-n", "12", "--seed", "5", "-o", "pages/") == 0
        assert contents(Path("pages")) == whole


@pytest.mark.parametrize("damage", [b"", b"PK", b"not an archive", None], ids=["empty", "cut", "other", "arrays"])
def test_a_damaged_part_is_named(model, damage, monkeypatch, capsys):
    args = [model, "-n", "30", "--seed", "5", "-o", "a.npz"]
    with monkeypatch.context() as broken:
        stop_at(broken, "a.npz", 2, KeyboardInterrupt())
        assert draw(*args) == 130
    (part,) = Path("a.npz.parts").glob("*.npz")
    if damage is None:
        np.savez(part, numbers=np.arange(9), lengths=np.ones(10, int), ended=np.ones(10, bool), rows=np.zeros((10, 3)))
    else:
        part.write_bytes(damage)
    assert draw(*args) == 4
    assert f"{part}: not a part of a run" in capsys.readouterr().err
    part.unlink()
    assert draw(*args) == 0
    assert draw(*args[:-1], "b.npz") == 0
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"seed": "5"}', "\xff"], ids=str)
@pytest.mark.parametrize("seed", [["--seed", "5"], []], ids=["seed", "none"])
def test_damaged_notes_are_named(model, text, seed, capsys):
    assert draw(model, "-n", "3", *seed, "-o", "pages/") == 0
    Path("pages", folder.NOTES).write_text(text, encoding="latin-1")
    assert draw(model, "-n", "3", *seed, "-o", "pages/") == 4
    assert folder.NOTES in capsys.readouterr().err


def test_two_runs_of_one_file_at_once_are_refused(model, capsys):
    pytest.importorskip("fcntl")
    facts = {"seed": 5}
    first = single.SingleFile(Path("a.npz"), range(9), facts, make_page(), "black", {})
    with pytest.raises(OutputError, match="another run writes it"):
        single.SingleFile(Path("a.npz"), range(9), facts, make_page(), "black", {})
    first.close()
    single.SingleFile(Path("a.npz"), range(9), facts, make_page(), "black", {}).close()


def test_of_several_that_begin_a_folder_at_once_all_agree(model):
    facts = {"seed": 5}
    stores = [folder.Folder(Path("pages"), facts, make_page(), "black", {}) for _ in range(3)]
    assert [store.missing(range(3)) for store in stores] == [[range(3)]] * 3
    with pytest.raises(ControlError, match="seed 5 and not 6"):
        folder.Folder(Path("pages"), {"seed": 6}, make_page(), "black", {})


@given(start=st.integers(0, NUMBERS - 1), count=st.integers(1, 3000), size=st.integers(1, 700))
def test_stretches_are_cut_at_the_same_places_in_every_range(start, count, size):
    numbers = range(start, start + count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "SIZE", size)
        found = parts.stretches(numbers)
    assert list(itertools.chain(*found)) == list(numbers)
    assert all(part and part.start // size == (part.stop - 1) // size for part in found)


# -- other processes and machines --------------------------------------------------------------------------------------


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])}


def begin(*args, cwd):
    return subprocess.Popen(
        [*COMMAND, "draw", *args], cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(found, process, seconds=60):
    """Until there is something, while a process runs."""
    limit = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.005)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A model that draws for so long that there is a middle."""
    path = tmp_path_factory.mktemp("large") / "large.safetensors"
    save_checkpoint(small_checkpoint(hidden=256), path)
    return str(path)


def ended(process, seconds=100):
    """What it said, where it ended well."""
    said = process.communicate(timeout=seconds)
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output", "how"),
    [*((output, []) for output in OUTPUTS), ("pages/", ["--processes", "2"]), ("a.npz", ["--processes", "2"])],
    ids=lambda value: value if isinstance(value, str) else value[-1] if value else "1",
)
def test_a_killed_run_goes_on_and_becomes_the_same(large, output, how, tmp_path):
    """kill -9 in the middle, twice."""
    args = [large, "-n", "4000", "--seed", "5", "-o"]
    ended(begin(*args, f"whole-{output}", cwd=tmp_path))
    place = tmp_path / (output if output == "pages/" else f"{output}.parts")
    for _ in range(2):
        enough = len([*place.glob("0*")]) + (900 if output == "pages/" else 1)
        killed = begin(*args, output, *how, cwd=tmp_path)
        wait_for(lambda enough=enough: len([*place.glob("0*")]) >= enough, killed)
        killed.kill()
        killed.communicate()
    last = ended(begin(*args, output, *how, cwd=tmp_path))
    assert "were there already" in last[1]
    assert contents(tmp_path / output) == contents(tmp_path / f"whole-{output}")
    assert not (tmp_path / f"{output}.parts").exists()


@pytest.mark.slow
def test_a_drawing_process_that_is_killed_is_replaced(large, tmp_path):
    args = [large, "-n", "6000", "--seed", "5"]
    run_ = begin(*args, "-o", "a.npz", "--processes", "2", cwd=tmp_path)
    wait_for(lambda: len([*tmp_path.glob("a.npz.parts/0*.npz")]) >= 1, run_)
    one, *_ = drawing_processes(run_.pid)
    os.kill(one, signal.SIGKILL)
    ended(run_)
    ended(begin(*args, "-o", "b.npz", cwd=tmp_path))
    assert contents(tmp_path / "a.npz") == contents(tmp_path / "b.npz")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is asked of Linux")
@pytest.mark.parametrize("output", OUTPUTS)
def test_memory_is_the_same_for_ten_times_as_many(model, output, tmp_path):
    program = (
        "import re, sys\nfrom livesketch.cli import main\nassert main(['draw', *sys.argv[1:]]) == 0\n"
        "print(re.search(r'VmHWM:\\s*([0-9]+) kB', open('/proc/self/status').read())[1])"
    )
    used = []
    for count in (1500, 15000):
        args = [model, "-n", str(count), "--seed", "5", "-o", f"{count}{output}"]
        done = subprocess.run(
            [sys.executable, "-c", program, *args], capture_output=True, text=True, check=True, env=environment(),
            cwd=tmp_path,
        )  # fmt: skip
        used.append(int(done.stdout.split()[-1]) / 1024)
    assert used[1] < used[0] + 12, f"MiB: {used}"


def drawing_processes(parent):
    """The children of a process that draw."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            own = int(stat.read_text().rpartition(")")[2].split()[1])
            if own == parent and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["INT", "TERM", "KILL"])
def test_no_drawing_process_outlives_the_run(large, number, tmp_path):
    run_ = begin(large, "-n", "60000", "--seed", "5", "-o", "a.npz", "--processes", "2", cwd=tmp_path)
    wait_for(lambda: len([*tmp_path.glob("a.npz.parts/0*.npz")]) >= 1, run_)
    own = drawing_processes(run_.pid)
    assert len(own) == 2
    run_.send_signal(number)
    said = run_.communicate(timeout=20)
    assert run_.returncode in {130, 143, -9}
    assert "Traceback" not in said[1]
    limit = time.monotonic() + 10
    while any(Path(f"/proc/{process}").exists() for process in own):
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.slow
def test_a_folder_is_filled_by_several_runs_at_once(large, tmp_path):
    """As a Slurm array or GNU parallel does."""
    common = [large, "--seed", "5", "-o"]
    several = [begin(*common, "split/", "--range", f"{k}:+700", cwd=tmp_path) for k in range(0, 2100, 700)]
    for one in several:
        ended(one)
    ended(begin(*common, "whole/", "-n", "2100", cwd=tmp_path))
    assert contents(tmp_path / "split") == contents(tmp_path / "whole")
