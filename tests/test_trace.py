"""The trace output, and reading drawings from what it wrote."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from made_events import STAGE, action, drawing, end, played
from test_outputs_contract import (  # noqa: F401 - the suite that every output passes
    play,
    receiver,
    test_a_drawing_that_leaves_the_stage,
    test_a_drawing_without_size,
    test_clocks_that_jump,
    test_close_twice_and_send_after_it,
    test_every_kind_of_event,
    test_many_events_of_several_voices,
    test_nothing_at_all,
    test_numpy_scalars,
    test_open_again_goes_on,
    test_places_that_are_none,
    test_without_a_player,
)

import livesketch as ls
from livesketch import DataError, OutputError
from livesketch.data.sources import read_sources
from livesketch.data.trace_drawings import read_trace
from livesketch.events import Cue, Pen, Token
from livesketch.outputs import trace as module
from livesketch.outputs.base import Output, Stage

HEADER = {"trace": 1, "name": "cat", "voices": 1, "stage_units": 100.0}


@pytest.fixture
def output(tmp_path):
    made = ls.trace(tmp_path / "trace.jsonl")
    yield made
    made.close()


def pen(step, **changed):
    return {"event": "pen", "at": 0.0, "name": "cat", "voice": 0, "drawing": 0, "step": step, "dx": 1.0, "dy": 2.0,
            "ink": True, "pen": "down", "last": False, "ended": False, "source": "model", **changed}  # fmt: skip


def three(**changed):
    return [pen(0, **changed), pen(1, pen="up", **changed),
            pen(2, pen="end", last=True, dx=0.0, dy=0.0, **changed)]  # fmt: skip


def write(path, *records):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in records))
    return path


def records(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


# Bad places and disks


@pytest.mark.parametrize("path", [None, 3, b"cat.jsonl", "", "no/such/folder/cat.jsonl", "a\0b", "."])
def test_places_where_no_file_can_be(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError):
        ls.trace(path)
    assert list(tmp_path.iterdir()) == []


def test_pipes_and_devices_are_refused_without_waiting_for_a_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(OutputError, match="not a file"):
            ls.trace(path)


def test_a_folder_that_went_away_is_told_when_a_player_opens_it(tmp_path):
    (tmp_path / "sub").mkdir()
    made = ls.trace(tmp_path / "sub" / "cat.jsonl")
    (tmp_path / "sub").rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        made.open("cat", 1, STAGE)


def test_asking_for_a_trace_leaves_what_is_there(tmp_path):
    path = tmp_path / "cat.jsonl"
    path.write_text("old")
    made = ls.trace(path)
    assert path.read_text() == "old"
    made.open("cat", 1, STAGE)
    made.close()
    assert records(path)[0]["trace"] == 1


class Disk:
    """A file on a disk with so much room; then it takes part of a line, then none."""

    def __init__(self, room):
        self.room, self.taken = room, b""

    def write(self, data):
        part = bytes(data[: self.room])
        if not part:
            raise OSError(28, "No space left on device")
        self.room -= len(part)
        self.taken += part
        return len(part)

    def close(self):
        raise OSError(5, "Input/output error")


def test_a_full_disk_is_counted_and_what_follows_begins_a_line(output, tmp_path):
    output.open("cat", 1, STAGE)
    output.close()
    disk = output._file = Disk(1000)
    play(output, played(drawing(20)))
    output.lift()
    assert output.errors >= 10
    assert "No space left" in output.last_error
    disk.room = 10**6
    play(output, played(drawing(3, drawing=1)))
    output.close()
    assert "closing failed" in output.last_error
    lines = disk.taken.splitlines()
    good = [line for line in lines if line.endswith(b"}")]
    assert len(good) == len(lines) - 1  # one was torn
    found = read_trace(write(tmp_path / "x.jsonl", HEADER, disk.taken.decode()), "x")
    assert [len(rows) for rows in found.drawings] == [3]
    assert set(found.left_out) == {
        "lines of the trace that are cut or no JSON: passed over",
        "drawings that were not finished: left out",
    }


def test_what_waits_is_bounded_and_so_is_the_file(output, monkeypatch):
    output.open("cat", 1, STAGE)
    for step in range(5000):
        output.send(action(step, 0.5, 0.5))
        assert output._size <= module.MAX_WAITING
    assert output.path.stat().st_size > 5 * module.MAX_WAITING
    output.lift()
    monkeypatch.setattr(module, "MAX_BYTES", output.path.stat().st_size + 500)
    for step in range(5000, 5010):
        output.send(action(step, 0.5, 0.5))
    output.close()
    assert output.errors in {8, 9}
    assert output.path.stat().st_size <= module.MAX_BYTES
    assert "begin another" in output.last_error
    assert "8 errors" in repr(output) or "9 errors" in repr(output)


# What is written


def test_each_line_has_all_fields_and_the_header_says_what_plays(output):
    output.open("cat", 2, Stage("cat", 7, 120.0, 0.65, "js"))
    output.send(action(0, 0.6, 0.7, pen=Pen.UP))
    output.send(Token(0.5, "cat", 0, 0, "貓", -0.25, 1.5, False))
    output.send(Cue(1.0, "cat", 1, 3, 4, "stroke/end", 0.5, 0.25))
    output.close()
    assert records(output.path) == [
        {"trace": 1, "name": "cat", "voices": 2, "stage_units": 120.0, "model": "cat", "seed": 7, "temperature": 0.65,
         "convention": "js"},
        {"event": "pen", "at": 0.0, "name": "cat", "voice": 0, "drawing": 0, "step": 0, "x": 0.6, "y": 0.7, "dx": 1.0,
         "dy": 1.0, "ink": True, "pen": "up", "last": False, "ended": False, "source": "model"},
        {"event": "token", "at": 0.5, "name": "cat", "voice": 0, "step": 0, "text": "貓", "log_prob": -0.25,
         "entropy": 1.5, "given": False, "piece": 0, "last": False, "ended": False, "cost": 0.0, "softened": False,
         "index": -1},
        {"event": "cue", "at": 1.0, "name": "cat", "voice": 1, "drawing": 3, "step": 4, "kind": "stroke/end", "x": 0.5,
         "y": 0.25},
    ]  # fmt: skip
    assert output.errors == 0


def test_numpy_numbers_come_as_plain_ones(output):
    output.open("cat", np.int64(1), STAGE)
    output.send(action(np.int64(0), np.float32(0.5), np.float64(0.5), dx=np.float32(0.1), last=np.bool_(False)))
    output.close()
    assert output.errors == 0
    assert records(output.path)[1]["dx"] == float(np.float32(0.1))
    assert records(output.path)[1]["last"] is False


def test_a_drawing_that_ended_is_on_the_disk(output):
    output.open("cat", 1, STAGE)
    play(output, played(drawing(5)))
    assert len(records(output.path)) > 8
    assert records(output.path)[-1]["kind"] == "drawing/end"
    output.send(action(0, 0.5, 0.5, drawing=1))
    assert records(output.path)[-1]["kind"] == "drawing/end"
    output.lift()
    assert records(output.path)[-1]["drawing"] == 1


def test_opened_again_it_goes_on_behind_what_is_there(output):
    for number in range(2):
        output.open("cat", 1, STAGE)
        play(output, played(drawing(5, drawing=number)))
        output.close()
    found = read_trace(output.path, "x")
    assert [len(rows) for rows in found.drawings] == [5, 5]
    assert sum("trace" in record for record in records(output.path)) == 2


def test_it_is_an_output():
    assert isinstance(module.TraceOutput("x"), Output)
    assert not module.TraceOutput.may_drop
    assert repr(module.TraceOutput("x")) == "<trace 'x': 0 bytes>"


# Reading back


@pytest.mark.parametrize(
    "bad",
    [
        {"dx": None}, {"dx": "1"}, {"dy": True}, {"dx": 1e10}, {"step": 0.5}, {"voice": None}, {"drawing": "0"},
        {"pen": 0}, {"pen": "left"}, {"last": 1}, {"name": None}, {"step": [1]}, {"dx": 10**400},
    ],
    ids=str,
)  # fmt: skip
def test_pen_actions_that_are_none_name_the_file_and_the_line(tmp_path, bad):
    with pytest.raises(DataError, match=r"x\.jsonl: line 4: "):
        read_trace(write(tmp_path / "x.jsonl", HEADER, pen(0), "", pen(1) | bad), "x")


def test_files_that_are_no_trace_or_of_another_version(tmp_path):
    with pytest.raises(DataError, match=r"livesketch\.trace wrote"):
        read_trace(write(tmp_path / "x.jsonl", *three()), "x")
    for version in (2, "1", None):
        with pytest.raises(DataError, match="line 1: a trace of version"):
            read_trace(write(tmp_path / "x.jsonl", {"trace": version}, *three()), "x")


def test_a_cut_last_line_is_passed_over_and_reported(tmp_path):
    path = write(tmp_path / "x.jsonl", HEADER, *three(), *three(drawing=1))
    path.write_bytes(path.read_bytes()[:-30])
    found = read_trace(path, "x")
    assert [rows.tolist() for rows in found.drawings] == [[[1, 2, 0], [1, 2, 1]]]
    assert found.left_out == {
        "lines of the trace that are cut or no JSON: passed over": 1,
        "drawings that were not finished: left out": 1,
    }


def test_voice_by_voice_and_drawing_by_drawing(tmp_path):
    lines = [three_with(10 * v + d, 0.0, voice=v, drawing=d) for v in (1, 0) for d in (0, 1)]
    mixed = [line for at_once in zip(*lines[::2], strict=True) for line in at_once]
    mixed += [line for at_once in zip(*lines[1::2], strict=True) for line in at_once]
    found = read_trace(write(tmp_path / "x.jsonl", HEADER, *mixed), "x")
    assert [rows[0, 0] for rows in found.drawings] == [0, 1, 10, 11]


def three_with(dx, dy, **more):
    lines = three(**more)
    for line in lines[:2]:
        line.update(dx=dx, dy=dy)
    return lines


def test_what_is_torn_unfinished_or_empty_is_reported(tmp_path):
    gap = three(drawing=1)
    del gap[1]
    late = three(drawing=2)[1:]
    again = [pen(0, drawing=3), *three(drawing=3)]  # restarted
    path = write(
        tmp_path / "x.jsonl", HEADER, *three(), *gap, *late, *again,
        pen(0, drawing=4, pen="end", last=True, dx=0, dy=0), pen(0, drawing=5),
        HEADER, pen(1, drawing=5), pen(0, drawing=6),
    )  # fmt: skip
    found = read_trace(path, "x")
    assert len(found.drawings) == 2
    assert found.left_out == {
        "drawings of which steps are missing: left out": 2,
        "drawings that were not finished: left out": 4,
        "empty: left out": 1,
    }


def test_unknown_keys_and_events_are_passed_over(tmp_path):
    plain = [HEADER, *three()]
    more = [HEADER | {"new": [1]}, {"event": "control", "step": 1}, {"later": 1}, *three(sent=0.5), {"event": None}]
    one, two = (read_trace(write(tmp_path / "x.jsonl", *lines), "x") for lines in (plain, more))
    assert [rows.tolist() for rows in one.drawings] == [rows.tolist() for rows in two.drawings] == [
        [[1, 2, 0], [1, 2, 1]]
    ]  # fmt: skip
    assert not two.left_out


def test_a_drawing_that_was_cut_lifts_at_its_end(output, tmp_path):
    output.open("cat", 1, STAGE)
    play(output, played([action(0, 0.5, 0.6), action(1, 0.6, 0.6, last=True)]))
    play(output, played([action(0, 0.5, 0.6, drawing=1), end(1, 0.6, 0.6, drawing=1)]))
    output.close()
    found = read_trace(output.path, "x")
    assert [rows.tolist() for rows in found.drawings] == [[[1, 1, 0], [1, 1, 1]], [[1, 1, 1]]]


def test_what_is_drawn_comes_back_row_by_row(tmp_path):
    path = tmp_path / "my_cats.jsonl"
    recorder = ls.Recorder()
    ls.draw(ls.sketch("cat", seed=7), to=[recorder, ls.trace(path)], n=3)
    (found,) = read_sources(path)
    assert found.label == "my cats"
    assert len(found.drawings) == 3
    for number, rows in enumerate(found.drawings):
        want = ls.to_stroke3([e for e in recorder.events if getattr(e, "drawing", None) == number])
        assert rows.tobytes() == want.tobytes()
    assert not found.left_out


def test_a_script_that_is_run_again_begins_the_file_anew_whole(tmp_path):
    first, again = ls.trace(tmp_path / "a.jsonl"), ls.trace(tmp_path / "a.jsonl")
    first.open("cat", 1, STAGE)
    first.send(action(0, 0.5, 0.5))
    first.lift()
    again.open("cat", 1, STAGE)  # while the first plays to the end of its bar
    first.send(action(1, 0.5, 0.5))
    first.close()
    again.send(action(7, 0.5, 0.5))
    again.close()
    assert [row["step"] for row in records(again.path)[1:]] == [7]
