"""The terminal output where someone types, and where nobody reads."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_events import STAGE, action, drawing, played

from livesketch.events import Cue
from livesketch.outputs.progress import Progress
from livesketch.outputs.terminal import TerminalOutput, terminal
from livesketch.outputs.unblocked import Writer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals and pipes of POSIX")

TYPED = """
import threading, time
from made_events import *
from livesketch.outputs.terminal import terminal
out = terminal()
def draw():
    out.open("cat", 1, STAGE)
    for number, step in enumerate(played(drawing(120))):
        for event in step:
            out.send(event)
        out.tick(number / 25)
        time.sleep(0.02)

"""


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "14")


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """The end that nobody reads, and the other one, full."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    while True:
        try:
            os.write(theirs, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(theirs, True)
    with os.fdopen(theirs, "w", encoding="utf-8") as file:
        yield ours, file
        os.close(ours)


def draw(output: TerminalOutput, n: int = 40, **changed: object) -> None:
    output.open("cat", 1, STAGE)
    for number, step in enumerate(played(drawing(n, **changed))):  # type: ignore[arg-type]
        for event in step:
            output.send(event)
        output.tick(number / 60)


def fake_terminal(file: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    monkeypatch.setattr(file, "isatty", lambda: True, raising=False)
    return file


@pytest.mark.usefixtures("prompt")
def test_at_a_prompt_the_top_rows_are_reserved_and_the_cursor_is_put_back() -> None:
    file = Tty()
    output = terminal(file, 8, 4)
    assert "above the prompt" in repr(output)
    output.send(action(0, 0.9, 0.5))
    output.tick(0.0)
    first = file.getvalue()
    assert first.startswith(
        "\x1bD" * 5 + "\x1b[5A"  # free rows below the prompt, by scrolling what stands above it
        "\x1b7\x1b[H\x1b[5L\x1b8\x1b[5B"  # five free rows at the top; everything else moves down
        "\x1b7\x1b[6;14r\x1b8"  # the rows from the sixth scroll
        "\x1b7\x1b[m\x1b[1H\x1b[K\x1b[2H"
    )
    assert first.endswith("\x1b[5Hcat  dra\x1b[K\x1b8")
    output.send(action(1, 0.9, 0.9))
    output.tick(1.0)
    second = file.getvalue()[len(first) :]
    assert second.startswith("\x1b7\x1b[m\x1b[")
    assert second.endswith("\x1b8")
    assert "\x1b[5H" not in second, "only the rows that changed"
    output.close()
    output.close()
    assert file.getvalue()[len(first + second) :] == "\x1b7\x1b[r\x1b8"
    assert "\x1b[?25" not in file.getvalue()
    assert "\n" not in file.getvalue()


@pytest.mark.usefixtures("prompt")
def test_at_a_prompt_the_picture_takes_half_the_rows_and_follows_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Tty()
    output = terminal(file)
    output.send(action(0, 0.9, 0.5))
    output.tick(0.0)
    assert "\x1b[7;14r" in file.getvalue()
    for lines, region, moved in ((24, "\x1b[12;24r", "\x1b[5L"), (10, "\x1b[5;10r", "r"), (2, "\x1b[2;2r", "r")):
        monkeypatch.setenv("LINES", str(lines))
        before = len(file.getvalue())
        output.send(action(lines, 0.8, 0.5, drawing=lines))
        output.tick(float(lines))
        text = file.getvalue()[before:]
        assert text.startswith("\x1b7\x1b[r\x1b8")
        assert region in text
        assert moved in text
    output.close()


@pytest.mark.usefixtures("prompt")
def test_at_a_prompt_a_picture_is_never_larger_than_the_screen() -> None:
    assert repr(terminal(Tty(), 900, 800)).startswith("<terminal 39 x 10,")


@pytest.mark.usefixtures("prompt")
def test_one_picture_of_thirty_is_written_whole() -> None:
    file = Tty()
    output = terminal(file, 8, 4)
    for step in range(31):
        output.send(action(step, 0.5 + step / 100, 0.5))
        output.tick(float(step))
    assert file.getvalue().count("\x1b[1H") == 2
    output.close()


def test_another_terminal_than_the_prompts_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as file:  # noqa: PTH123 - a file descriptor
        assert "in place" in repr(terminal(file))
    os.close(ours)


def test_typing_while_it_draws(peer: Callable[[str], str], tmp_path: Path) -> None:
    """The real Python prompt on tmux's terminal: what is typed stays whole, below the picture."""
    sockets = Path(tempfile.mkdtemp())  # pytest's own folders have names too long for a socket on some systems
    tmux = [peer("tmux"), "-f", "/dev/null", "-S", str(sockets / "tmux")]
    (tmp_path / "typed.py").write_text(TYPED)
    folder = Path(__file__).resolve().parent
    python = f"env PYTHONPATH={folder}:{folder.parent} {sys.executable} -q -i {tmp_path / 'typed.py'}"

    def run(*arguments: str) -> str:
        return subprocess.run(
            [*tmux, *arguments], capture_output=True, text=True, check=True, timeout=20, stdin=subprocess.DEVNULL
        ).stdout

    def typed(text: str, wait_for: str) -> list[str]:
        run("send-keys", "-l", text)
        run("send-keys", "Enter")
        return seen(wait_for)

    def seen(wait_for: str) -> list[str]:
        deadline = time.monotonic() + 20
        while True:
            screen = run("capture-pane", "-p").splitlines()
            if any(line.startswith(wait_for) for line in screen) or time.monotonic() > deadline:
                return screen
            time.sleep(0.05)

    run("new-session", "-d", "-x", "60", "-y", "24", python)
    try:
        seen(">>>")
        typed("player = threading.Thread(target=draw); player.start()", "cat  drawing 0")
        for number in range(12):
            screen = typed(f"{number} * 1111", f"{number * 1111}")
        assert screen[10].startswith("cat  drawing 0  step "), "the caption has the last of the picture's rows"
        below = "\n".join(screen[11:])
        assert ">>> 9 * 1111\n9999\n>>> 10 * 1111\n11110\n>>> 11 * 1111\n12221\n>>>" in below
        assert not any(0x2800 < ord(c) < 0x2900 for c in below)
        screen = typed("player.join(); out.close(); print('over' * 2)", "overover")
        assert sum(any(0x2800 < ord(c) < 0x2900 for c in line) for line in screen[:10]) > 5
        assert (
            run("display-message", "-p", "#{scroll_region_upper} #{scroll_region_lower} #{cursor_flag}") == "0 23 1\n"
        )
    finally:
        run("kill-server")
        shutil.rmtree(sockets)


def test_a_full_pipe_stops_nothing(full_pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, file = full_pipe
    output = terminal(fake_terminal(file, monkeypatch), 40, 12)
    begun = time.monotonic()
    draw(output)
    assert time.monotonic() - begun < 1.0
    assert output.dropped > 5
    assert (output.errors, output.last_error[:11]) == (1, "not written")
    os.read(ours, 1 << 20)
    output.send(action(60, 0.9, 0.5))
    output.tick(100.0)
    assert "step 60" in os.read(ours, 1 << 20).decode(), "it goes on once somebody reads"
    output.close()
    assert os.read(ours, 1 << 20) == b"\x1b[?25h"


def test_close_waits_no_longer_than_50_ms(
    full_pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, file = full_pipe
    for live in (True, False):
        output = terminal(fake_terminal(file, monkeypatch) if live else file, 40, 12)
        draw(output)
        begun = time.monotonic()
        output.close()
        assert time.monotonic() - begun < 0.3
        assert output.errors >= 1
        monkeypatch.undo()
    assert set(os.read(ours, 1 << 20)) == {ord("x")}


def test_plain_lines_wait_for_a_slow_reader(full_pipe: tuple[int, io.TextIOWrapper]) -> None:
    ours, file = full_pipe
    output = terminal(file, 40, 12)
    draw(output)
    draw(output, drawing=1)
    assert output.dropped == output.errors == 0
    os.read(ours, 1 << 20)
    output.tick(9.0)
    output.close()
    text = os.read(ours, 1 << 20).decode()
    assert [line for line in text.splitlines() if "cat" in line] == [
        f"cat  drawing {number}  41 steps" for number in range(2)
    ]


def test_plain_lines_are_dropped_when_a_megabyte_waits(
    full_pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livesketch.outputs.screen._QUEUE", 1000)
    output = terminal(full_pipe[1], 40, 12)
    for number in range(9):
        draw(output, drawing=number)
    assert output.dropped > 3
    assert output.errors == 1
    output.close()


def test_a_text_longer_than_a_pipe_is_written_whole() -> None:
    ours, theirs = os.pipe()
    writer, text = Writer(), "0123456789" * 20_000
    got = b""
    with os.fdopen(theirs, "w", encoding="utf-8") as file:
        file.write("before ")
        assert writer.put(file, text)
        assert not writer.put(file, "dropped")
        while not writer.push(file):
            got += os.read(ours, 1 << 16)
    while part := os.read(ours, 1 << 16):
        got += part
    os.close(ours)
    assert got.decode() == "before " + text


def test_a_stalled_pseudo_terminal_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as file:  # noqa: PTH123 - a file descriptor
        output = terminal(file, 99, 29)
        begun = time.monotonic()
        for number in range(40):
            draw(output, drawing=number)
        output.close()
        assert time.monotonic() - begun < 8.0
        assert output.dropped > 100
        assert os.get_blocking(theirs), "the prompt's descriptor stays as it is"
        os.read(ours, 1 << 16)
        output._screen.close()
    os.close(ours)


def test_progress_on_a_full_pipe(full_pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livesketch.outputs.progress._PERIOD", 0.0)
    shown = Progress(100, fake_terminal(full_pipe[1], monkeypatch))
    begun = time.monotonic()
    for number in range(100):
        shown.send(Cue(0.0, "cat", 0, number, 5, "drawing/end", 0.5, 0.5))
    shown.close()
    assert time.monotonic() - begun < 1.0
    assert shown.dropped > 90
