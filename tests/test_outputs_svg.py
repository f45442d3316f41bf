"""The SVG output: what gets onto the page, and when the file is written."""

import errno
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from made_events import STAGE, action, drawing, end, played
from test_paper import INKSCAPE, SVG, read_paths

from livesketch.errors import ControlError, OutputError
from livesketch.events import Cue, Pen
from livesketch.outputs.base import Stage
from livesketch.outputs.svg import SvgOutput, svg


def draw(output: SvgOutput, *, n: int = 16, **changed: object) -> None:
    for step in played(drawing(n, **changed)):  # type: ignore[arg-type]
        for event in step:
            output.send(event)


def paths(file: Path) -> int:
    return len(read_paths(file.read_text()))


def test_a_performance_becomes_a_page(tmp_path: Path) -> None:
    output = svg(tmp_path / "cat.svg", page="a5", landscape=True, pen_width="0.5mm", color="crimson")
    output.open("cat", 1, STAGE)
    draw(output)
    draw(output, drawing=1)
    output.close()
    root = ET.fromstring((tmp_path / "cat.svg").read_bytes())
    assert (root.get("width"), root.get("height")) == ("210mm", "148mm")
    assert [g.get(f"{INKSCAPE}label") for g in root.iter(f"{SVG}g")] == ["1-crimson"]
    assert paths(tmp_path / "cat.svg") == 4
    assert list(tmp_path.iterdir()) == [tmp_path / "cat.svg"]


def test_bytes_depend_on_nothing_but_the_drawing(tmp_path: Path) -> None:
    made = []
    for folder, name in (("one", "a.svg"), ("two", "other name.svg")):
        (tmp_path / folder).mkdir()
        output = svg(tmp_path / folder / name)
        output.open("a player's name", 1, STAGE)
        draw(output)
        output.tick(1.0 if folder == "one" else 99.0)
        output.close()
        made.append((tmp_path / folder / name).read_bytes())
    assert made[0] == made[1]
    assert not any(word in made[0] for word in (b"a.svg", str(tmp_path).encode(), b"player"))


def test_model_seed_and_temperature_are_in_the_metadata(tmp_path: Path) -> None:
    output = svg(tmp_path / "cat.svg")
    for stage in (STAGE, STAGE, Stage("models/old/pig", 2**64 - 1, 90.0)):
        output.open("cat", 1, stage)
    output.close()
    plays = ET.fromstring((tmp_path / "cat.svg").read_bytes()).iter("{urn:livesketch:1}play")
    assert [play.attrib for play in plays] == [
        {"model": "cat", "seed": "7", "temperature": "0.65"},
        {"model": "pig", "seed": "18446744073709551615"},
    ]


def test_each_voice_has_a_layer_and_a_color(tmp_path: Path) -> None:
    output = svg(tmp_path / "cat.svg", color=["black", "#0000ff"])
    output.open("cat", 3, STAGE)
    for number in range(3):
        draw(output, voice=number)
    output.close()
    layers = list(ET.fromstring((tmp_path / "cat.svg").read_bytes()).iter(f"{SVG}g"))
    assert [g.get(f"{INKSCAPE}label") for g in layers] == ["1-black", "2-#0000ff", "3-black"]
    assert [len(g) for g in layers] == [2, 2, 2]


def test_open_again_goes_on_with_the_page_and_the_drawing(tmp_path: Path) -> None:
    output, whole = svg(tmp_path / "cat.svg"), svg(tmp_path / "whole.svg")
    for made in (output, whole):
        made.open("cat", 1, STAGE)
    steps = list(drawing(16))
    for step in steps[:5]:
        output.send(step)
    output.lift()
    output.close()
    output.open("cat", 1, STAGE)
    for step in steps[5:]:
        output.send(step)
    for step in steps:
        whole.send(step)
    for made in (output, whole):
        made.close()
    assert (tmp_path / "cat.svg").read_bytes() == (tmp_path / "whole.svg").read_bytes()


def test_another_model_or_a_restart_begins_another_drawing(tmp_path: Path) -> None:
    output = svg(tmp_path / "cat.svg")
    output.open("cat", 1, STAGE)
    for step in (0, 1, 2, 0, 1):  # restart(): step 0 of the same drawing
        output.send(action(step, 0.5 + step / 10, 0.6))
    output.open("cat", 1, Stage("pig", 7, 100.0))  # opened before the old one has ended, as in a swap
    output.send(action(2, 0.6, 0.8))
    output.send(Cue(0.0, "cat", 0, 0, 2, "drawing/end", 0.6, 0.8))
    output.send(action(5, 0.8, 0.8))
    output.close()
    assert "3 drawings" in repr(output)
    assert paths(tmp_path / "cat.svg") == 3


def test_dots_are_on_the_page(tmp_path: Path) -> None:
    output = svg(tmp_path / "dot.svg")
    output.send(action(0, 0.5, 0.5, ink=False, pen=Pen.UP))
    output.send(end(1, 0.5, 0.5))
    output.close()
    (dot,) = read_paths((tmp_path / "dot.svg").read_text())
    assert dot.tolist() == [[105.0, 148.5], [105.0, 148.5]]


def test_nothing_drawn_is_an_empty_page(tmp_path: Path) -> None:
    output = svg(tmp_path / "empty.svg")
    output.open("cat", 1, STAGE)
    output.close()
    assert paths(tmp_path / "empty.svg") == 0


def test_it_is_saved_at_ends_of_drawings_but_not_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livesketch.outputs.svg._SAVE_SHARE", 1e9)  # the real clock allows every save
    file = tmp_path / "cat.svg"
    output = svg(file)
    output.open("cat", 1, STAGE)
    output.send(action(0, 0.6, 0.6))
    output.tick(0.0)
    assert not file.exists(), "nothing has ended"
    seen = []
    for number in range(10):  # a drawing each half second
        draw(output, drawing=number)
        output.tick(10.0 + number / 2)
        seen.append(paths(file))
    assert seen == [3, 3, 3, 3, 11, 11, 11, 11, 19, 19]
    output.close()
    assert paths(file) == 21


def test_saving_rests_in_real_time_so_that_an_offline_clock_does_not_only_save(tmp_path: Path) -> None:
    output = svg(tmp_path / "cat.svg")
    output.open("cat", 1, STAGE)
    output._rests_until = float("inf")
    draw(output)
    output.tick(0.0)
    assert not (tmp_path / "cat.svg").exists()
    output.close()
    assert paths(tmp_path / "cat.svg") == 2


def test_close_again_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cat.svg"
    output = svg(file)
    output.close()
    assert not file.exists(), "never opened, nothing drawn"
    draw(output)
    output.close()
    file.unlink()
    output.close()
    assert not file.exists()


def full_disk(self: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_old_file_the_stream_and_what_was_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cat.svg"
    file.write_text("old")
    output = svg(file)
    output.open("cat", 1, STAGE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        draw(output)
        output.tick(0.0)
        assert output.errors == 1
        assert "No space left" in output.last_error
        with pytest.raises(OutputError, match="No space left"):
            output.close()
        assert file.read_text() == "old"
        assert list(tmp_path.iterdir()) == [file], "no half-written file stays"
    output.close()
    assert paths(file) == 2


def test_targets_that_cannot_be_are_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (
        tmp_path / "absent" / "cat.svg",
        tmp_path,
        tmp_path / "file" / "cat.svg",
        "",
        tmp_path / ("x" * 300),
        "a\0b",
    ):
        with pytest.raises(OutputError, match="give a file in a folder"):
            svg(bad)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder in which not even root can write")
def test_a_read_only_folder_is_found_at_once() -> None:
    with pytest.raises(OutputError, match=r"^/proc/cat\.svg: no file can be written there"):
        svg("/proc/cat.svg")


def test_a_pipe_gets_the_page_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output = svg(pipe)
    output.open("cat", 1, STAGE)
    draw(output)
    output.tick(0.0)
    output.close()
    data = os.read(reader, 1 << 16)
    os.close(reader)
    assert len(read_paths(data.decode())) == 2
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": "a9"},
        {"margin": "1 mile"},
        {"margin": "105mm"},
        {"pen_width": "0mm"},
        {"color": "blakc"},
        {"color": []},
    ],
    ids=str,
)
def test_options_that_cannot_be(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(ControlError, match=r"expected|leave no room"):
        svg(tmp_path / "cat.svg", **wrong)  # type: ignore[arg-type]


def test_voices_and_first_drawings_are_in_the_metadata(tmp_path: Path) -> None:
    output = svg(tmp_path / "cat.svg")
    output.open("cat", 4, STAGE)
    for voice, number in ((2, 5), (0, 5), (1, 5), (0, 6)):
        draw(output, voice=voice, drawing=number)
    output.open("pig", 4, Stage("pig", 8, 90.0))
    for voice, number in ((3, 1), (0, 2)):
        draw(output, name="pig", voice=voice, drawing=number)
    output.open("dog", 1, Stage("dog", 9, 90.0))
    draw(output, name="dog", drawing=3)
    output.close()
    plays = ET.fromstring((tmp_path / "cat.svg").read_bytes()).iter("{urn:livesketch:1}play")
    assert [(play.get("voice"), play.get("drawing")) for play in plays] == [("0-2", "5"), ("0 3", "2 1"), ("0", "3")]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /dev/stdout as a link into /proc")
@pytest.mark.parametrize("path", ["-", "/dev/stdout"])
def test_standard_output_into_a_pipe(path: str) -> None:
    code = (
        "import sys; from livesketch.outputs.svg import svg; from made_events import *; print('x', end='');"
        f"out = svg({path!r}); out.open('cat', 1, STAGE); [out.send(a) for a in drawing(16)]; out.tick(9.0);"
        "sys.stdout.flush(); out.close(); out.close()"
    )
    here = Path(__file__).resolve().parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": f"{here}:{here.parent}"},
        timeout=60,
    )
    assert done.stdout.startswith(b"x<?xml")
    assert len(read_paths(done.stdout[1:].decode())) == 2


def test_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output = svg("-")
    output.open("cat", 1, STAGE)
    with pytest.raises(OutputError, match="standard output: cannot be written"):
        output.close()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_permissions_of_a_replaced_file_stay(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "cat.svg"
    file.write_text("old")
    file.chmod(mode)
    output = svg(file)
    draw(output)
    output.close()
    assert file.stat().st_mode & 0o777 == mode
    assert paths(file) == 2


@pytest.mark.parametrize("wrong", [None, 3, True, b"cat.svg"], ids=str)
def test_paths_that_are_none(wrong: object) -> None:
    with pytest.raises(OutputError, match="expected the name of a file"):
        svg(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, True, 3, [None], ["black", 3]], ids=str)
def test_colors_that_are_none(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ControlError, match=r"color .*: expected a name"):
        svg(tmp_path / "cat.svg", color=wrong)  # type: ignore[arg-type]


def test_a_page_that_takes_long_to_save_does_not_stop_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = svg(tmp_path / "full.svg")
    output.open("cat", 1, STAGE)
    saves = []
    original = output._save

    def slow() -> None:
        saves.append(1)
        time.sleep(0.12)
        original()

    monkeypatch.setattr(output, "_save", slow)
    for number in range(5):
        for event in (event for step in played(drawing(5, drawing=number)) for event in step):
            output.send(event)
        output.tick(number * 100.0)
    assert len(saves) == 1
    output.close()
    assert len(saves) == 2
    assert (tmp_path / "full.svg").read_text().count("<path") >= 5
