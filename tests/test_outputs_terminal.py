"""The terminal output: the picture, how it is redrawn, and where there is no terminal or no braille."""

import atexit
import io
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from made_events import STAGE, action, drawing, end, played

from livesketch.errors import ControlError, OutputError
from livesketch.events import Cue, Event, Pen, PenAction, Token
from livesketch.outputs.raster import Raster, clipped
from livesketch.outputs.terminal import TerminalOutput, terminal


class Tty(io.StringIO):
    """A terminal of a fixed size; ``screen`` is what a person would see."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines, row = [""], 0
        for part in re.findall(r"\x1b\[\??\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+", self.getvalue()):
            if part == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif part == "\r":
                lines[row] = ""  # every line that is written is written whole
            elif part.endswith("A"):
                row -= int(part[2:-1])
            elif not part.startswith("\x1b"):
                lines[row] += part
        return lines


def send(output: TerminalOutput, steps: Iterable[list[Event]], rate: float = 60) -> None:
    for number, step in enumerate(steps):
        for event in step:
            output.send(event)
        output.tick(number / rate)


def only_actions(*actions: PenAction) -> list[list[Event]]:
    return [[made] for made in actions]


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """The dots of a braille picture: (x, y) from the top left."""
    bits = {0: (0, 0), 1: (0, 1), 2: (0, 2), 3: (1, 0), 4: (1, 1), 5: (1, 2), 6: (0, 3), 7: (1, 3)}
    return {
        (2 * column + bits[bit][0], 4 * row + bits[bit][1])
        for row, line in enumerate(lines)
        for column, char in enumerate(line)
        if 0x2800 <= ord(char) < 0x2900
        for bit in range(8)
        if (ord(char) - 0x2800) >> bit & 1
    }


def test_a_raster_draws_the_stage_as_a_square() -> None:
    raster = Raster(20, 10)
    for start, stop in (((0, 0), (1, 0)), ((1, 0), (1, 1)), ((1, 1), (0, 1)), ((0, 1), (0, 0))):
        raster.line(start, stop)
    assert [len(line) for line in raster.lines()] == [20] * 10
    drawn = dots(raster.lines())
    assert drawn == {(x, y) for x in range(40) for y in range(40) if x in {0, 39} or y in {0, 39}}


def test_a_raster_without_braille_keeps_the_aspect() -> None:
    raster = Raster(21, 11, braille=False)
    raster.line((0, 0), (1, 0))
    raster.line((0, 0), (0, 1))
    assert raster.lines() == ["#" * 21, *["#" + " " * 20] * 10]


def test_the_picture_is_drawn_while_it_is_made_and_in_place() -> None:
    file = Tty()
    output = terminal(file, 40, 12)
    output.open("cat", 1, STAGE)
    counts = []
    for number, step in enumerate(played(drawing(40))):
        for event in step:
            output.send(event)
        output.tick(number / 10)
        counts.append(len(dots(file.screen()[:12])))
        assert len(file.screen()) == 14
    assert counts == sorted(counts)
    assert counts[0] < 20
    assert counts[-1] > 60
    assert file.screen()[12] == "cat  drawing 0  step 40"
    output.close()


def test_at_most_thirty_pictures_a_second() -> None:
    file = Tty()
    output = terminal(file, 40, 12)
    output.open("cat", 1, STAGE)
    send(output, played(drawing(599)), rate=600)
    assert 25 <= len(re.findall(r"\x1b\[\d+A", file.getvalue())) <= 30
    output.close()


def test_the_cursor_is_hidden_once_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(atexit, "register", lambda call: calls.append(("register", call)))
    monkeypatch.setattr(atexit, "unregister", lambda call: calls.append(("unregister", call)))
    file = Tty()
    output = terminal(file, 40, 12)
    output.open("cat", 1, STAGE)
    send(output, played(drawing(40)))
    output.close()
    output.close()
    text = file.getvalue()
    assert (text.count("\x1b[?25l"), text.count("\x1b[?25h")) == (1, 1)
    assert text.endswith("\x1b[?25h")
    assert calls == [("register", output._screen.close), ("unregister", output._screen.close)]


def test_what_comes_after_close_does_not_draw_over_the_picture() -> None:
    file = Tty()
    output = terminal(file, 30, 8)
    for number in range(2):
        output.open("cat", 1, STAGE)
        send(output, played(drawing(40, drawing=number)))
        output.close()
    screen = file.screen()
    assert [line for line in screen if line.startswith("cat")] == ["cat  drawing 0  step 40", "cat  drawing 1  step 40"]


def test_a_drawing_that_leaves_the_stage_is_shown_whole() -> None:
    file = Tty()
    output = terminal(file, 40, 20)
    send(output, only_actions(action(0, 0.9, 0.5), action(1, 30.0, 0.5), action(2, 30.0, 20.0)), rate=1)
    output.close()
    drawn = dots(file.screen()[:20])
    across = {x for x, _ in drawn}
    down = {y for _, y in drawn}
    assert max(across) - min(across) > 60
    assert max(down) - min(down) > 40
    send(output, only_actions(action(0, 0.5, 0.9, drawing=1)), rate=1)
    output.close()
    assert len(dots(file.screen()[21:])) > 25, "the next drawing is on the stage again"


def test_voices_stand_side_by_side() -> None:
    file = Tty()
    output = terminal(file, 81, 20)
    output.open("cat", 2, STAGE)
    left = [action(k, 0.5, 0.5 + k / 10, voice=0) for k in range(4)]
    right = [action(k, 0.5, 0.5 + k / 10, voice=1) for k in range(4)]
    send(output, only_actions(*left), rate=1)
    output.close()
    assert all(x < 80 for x, _ in dots(file.screen()))
    output.open("cat", 2, STAGE)
    send(output, only_actions(*right), rate=1)
    output.close()
    drawn = dots(file.screen()[21:])
    assert {(x + 82, y) for x, y in drawn if x < 80} == {(x, y) for x, y in drawn if x >= 80}


def test_more_voices_than_fit_share_pictures() -> None:
    file = Tty()
    output = terminal(file, 41, 10)
    output.open("cat", 6, STAGE)
    for voice in range(6):
        place = 0.5 + voice * 3
        send(output, only_actions(action(0, place, 0.5, voice=voice), action(1, place, 1.0, voice=voice)), rate=1)
    output.close()
    drawn = dots(file.screen()[:10])
    assert min(x for x, _ in drawn) < 40
    assert max(x for x, _ in drawn) > 42
    assert output.errors == 0


def test_a_dot_is_seen() -> None:
    file = Tty()
    output = terminal(file, 40, 20)
    output.send(action(0, 0.5, 0.5, ink=False, pen=Pen.UP))
    output.tick(0.0)
    assert len(dots(file.screen())) == 1
    output.close()


def test_plain_lines_without_a_terminal() -> None:
    file = io.StringIO()
    output = terminal(file)
    output.open("cat", 1, STAGE)
    send(output, played([*drawing(40), *drawing(40, drawing=1)]))
    output.send(action(0, 0.9, 0.5, drawing=2))
    output.lift()
    before = file.getvalue()
    output.close()
    text = file.getvalue()
    assert "\x1b" not in text
    assert re.findall("cat.*", before) == ["cat  drawing 0  41 steps", "cat  drawing 1  41 steps"]
    assert re.findall("cat.*", text)[2:] == ["cat  drawing 2  1 steps"], "what is unfinished is shown by close"
    assert len(dots(before.splitlines())) > 200
    assert all(line.strip() for line in text.splitlines())


def test_a_drawing_is_printed_once_whether_cut_ended_or_both() -> None:
    file = io.StringIO()
    output = terminal(file)
    output.open("cat", 2, STAGE)
    output.send(action(0, 0.9, 0.5, voice=1))
    output.send(Cue(0.0, "cat", 1, 0, 0, "drawing/end", 0.9, 0.5))
    output.send(end(0, 0.9, 0.5))
    output.close()
    output.close()
    assert re.findall("cat.*", file.getvalue()) == ["cat/1  drawing 0  1 steps"]


def test_an_encoding_without_braille_gets_hashes_and_says_so() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    output = terminal(file, 60, 15)
    send(output, played(drawing(40, name="猫")))
    output.close()
    text = raw.getvalue().decode("ascii")
    assert text.startswith("?  drawing 0  41 steps  (ascii: no braille)\n")
    assert text.count("#") > 40
    assert output.errors == 0


def test_names_cannot_control_the_terminal_nor_break_the_frame() -> None:
    file = Tty()
    output = terminal(file, 30, 8)
    send(output, only_actions(action(0, 0.9, 0.5, name="\x1b[2J\n" + "猫" * 40)), rate=1)
    output.close()
    caption = file.screen()[8]
    assert caption.startswith("?[2J 猫猫")
    assert clipped("猫" * 40, 30) == "猫" * 15
    assert "\x1b[2J" not in file.getvalue()


def test_tokens_are_shown() -> None:
    plain, live = io.StringIO(), Tty()
    for file in (plain, live):
        output = terminal(file, 40, 8)
        for step, text in enumerate(("春", "风", "\n", "又")):
            output.send(Token(0.0, "poem", 0, step, text, -1.0, 1.0, False))
            output.tick(step)
        output.close()
    assert plain.getvalue() == "春风\n又\n"
    assert live.screen()[0].startswith("春风")
    assert live.screen()[1].startswith("又")
    assert "poem  piece 0  step 3" in live.screen()[8]


def test_a_closed_file_stops_the_writing_and_not_the_stream() -> None:
    file = Tty()
    output = terminal(file, 30, 8)
    output.send(action(0, 0.9, 0.5))
    output.tick(0.0)
    file.close()
    output.send(action(1, 0.9, 0.6))
    output.tick(1.0)
    output.close()

    class Gone(Tty):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    output = terminal(Gone(), 30, 8)
    send(output, played(drawing(40)))
    output.close()
    assert output.errors == 1
    assert "Broken pipe" in output.last_error


def test_standard_output_is_found_when_it_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    output = terminal()
    send(output, played(drawing(9)))
    output.close()
    assert capsys.readouterr().out.startswith("cat  drawing 0  10 steps\n")


def test_without_any_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output = terminal()
    send(output, played(drawing(9)))
    output.close()
    assert output.errors == 1


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_on_a_real_pseudo_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as file:  # noqa: PTH123 - a file descriptor
        output = terminal(file)
        output.open("cat", 1, STAGE)
        for number, step in enumerate(played(drawing(9))):
            for event in step:
                output.send(event)
            output.tick(number / 2)
            seen = os.read(ours, 1 << 16)
        output.close()
        seen += os.read(ours, 1 << 16)
    os.close(ours)
    assert output.errors == 0
    assert b"\x1b[?25h" in seen


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    file = Tty()
    output = terminal(file)
    send(output, played(drawing(9)))
    output.close()
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize(
    "wrong", [{"width": 3}, {"height": 0}, {"width": 10**9}, {"width": 8.5}, {"height": "9"}, {"width": True}], ids=str
)
def test_sizes_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ControlError, match="expected 4 to 1000"):
        terminal(**wrong)


def test_sizes_of_numpy() -> None:
    assert repr(terminal(io.StringIO(), np.int64(40), np.uint8(12))).startswith("<terminal 40 x 12,")


@pytest.mark.parametrize("wrong", [3, True, "/dev/tty", io.BytesIO()], ids=["3", "True", "path", "bytes"])
def test_files_that_are_none(wrong: object) -> None:
    with pytest.raises(OutputError, match="expected a text stream; try"):
        terminal(wrong)  # type: ignore[arg-type]


def test_the_golden_picture(golden) -> None:  # type: ignore[no-untyped-def]
    file = io.StringIO()
    output = terminal(file, 60, 20)
    send(output, played(drawing(40)))
    output.close()
    golden("terminal.txt", file.getvalue().encode())
    assert Path(__file__).with_name("golden").joinpath("terminal.txt").exists()
