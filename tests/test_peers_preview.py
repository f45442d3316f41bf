"""The preview's real window, on a screen that nobody sees: Xvfb, Mesa's OpenGL and pyglet."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from made_events import STAGE, action, drawing, played
from numpy.typing import NDArray
from preview_fakes import pid_is_there
from test_preview_wire import unpack

import livesketch as ls
from livesketch.events import Event, PenAction, Token
from livesketch.outputs import preview_link
from livesketch.outputs.preview import PreviewOutput
from livesketch.outputs.preview_link import WindowProcess
from livesketch.outputs.preview_scene import MARGIN
from livesketch.strokes import to_polylines

SCREEN = (1024, 768)
PATIENCE = 30.0

Pixels = NDArray[np.float64]


@pytest.fixture(scope="session")
def display(peer: Callable[[str], str]) -> Iterator[str]:
    """A screen of its own; the server chooses the number."""
    reads, writes = os.pipe()
    size = f"{SCREEN[0]}x{SCREEN[1]}x24"
    command = [peer("Xvfb"), "-displayfd", str(writes), "-screen", "0", size, "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[writes], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writes)
    with os.fdopen(reads) as told:
        number = told.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(PATIENCE)


@pytest.fixture
def screen(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("LIBGL_ALWAYS_SOFTWARE", "1")


@pytest.fixture
def show(screen: None, tmp_path: Path) -> Iterator[Callable[..., PreviewOutput]]:
    """``show(width=...)`` is a preview with its window open."""
    made: list[PreviewOutput] = []

    def make(voices: int = 1, **options: object) -> PreviewOutput:
        made.append(ls.preview(**options))  # type: ignore[arg-type]
        made[-1].open("cat", voices, STAGE)
        return made[-1]

    yield make
    for output in made:
        link = output._link
        output.shut()
        assert link is None or link.ended(PATIENCE)


def send(output: PreviewOutput, steps: Iterator[list[Event]]) -> None:
    for step in steps:
        for event in step:
            output.send(event)
    output.tick(0.0)


def seen(output: PreviewOutput) -> Pixels:
    """What the window shows, (height, width, 3), 0 to 1."""
    link = output._link
    assert link is not None
    return unpack(link.picture(PATIENCE)) / 255.0


def pid_of(output: PreviewOutput) -> int:
    child = output._link.child  # type: ignore[union-attr]
    assert isinstance(child, WindowProcess)
    return child.pid


def rasterised(actions: Sequence[PenAction], width: int, height: int, line_width: float) -> Pixels:
    """How much each pixel should be covered: 1 within half the line of a polyline, falling to 0 over one pixel.

    Written from the distance of points and straight lines, and from nothing that the window uses.
    """
    side = min(width, height)
    scale, corner = side * (1 - 2 * MARGIN), np.array([(width - side) / 2, (height - side) / 2]) + side * MARGIN
    places = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    away = np.full((height, width), np.inf)
    for line in to_polylines(actions):
        points = line * scale + corner
        for start, end in zip(
            points[: max(len(points) - 1, 1)], points[1:] if len(points) > 1 else points, strict=True
        ):
            along = end - start
            share = ((places - start) @ along / max(along @ along, 1e-12)).clip(0, 1)
            away = np.minimum(away, np.hypot(*np.moveaxis(places - start - share[..., None] * along, -1, 0)))
    return (line_width * side / 2 + 0.5 - away).clip(0, 1)


@pytest.mark.parametrize(("width", "height"), [(480, 360), (300, 500)])
def test_a_drawing_looks_as_it_should(show: Callable[..., PreviewOutput], width: int, height: int) -> None:
    thick = 0.02
    output = show(width=width, height=height, line_width=thick, color="white")
    actions = [*drawing(56, size=0.4), *drawing(5, drawing=0)][:57]
    steps = list(played(actions))
    send(output, iter(steps[:20]))
    assert seen(output).any(), "some of it is on the card before the rest comes"
    send(output, iter(steps[20:]))
    got, want = seen(output), rasterised(actions, width, height, thick)
    assert got.shape == (height, width, 3)
    assert np.ptp(got, axis=2).max() == 0, "white on black"
    inked, wanted = got[..., 0] > 0.5, want > 0.5
    overlap = (inked & wanted).sum() / (inked | wanted).sum()
    difference = np.abs(got[..., 0] - want).mean()
    print(f"IoU {overlap:.4f}, mean difference {difference:.5f}, {wanted.sum()} pixels inked")
    assert overlap > 0.97
    assert difference < 0.003
    gray = ((got[..., 0] > 0.1) & (got[..., 0] < 0.9)).sum()
    assert gray > 0.2 * wanted.sum(), "edges are smooth"


def test_a_lone_point_is_a_round_dot(show: Callable[..., PreviewOutput]) -> None:
    output = show(width=200, height=200, line_width=0.2, color="white")
    send(output, played([action(1, 0.5, 0.5, ink=False)]))
    assert seen(output)[..., 0].sum() == pytest.approx(np.pi * 20**2, rel=0.02)


def test_voices_have_their_cells_and_colors(show: Callable[..., PreviewOutput]) -> None:
    output = show(voices=2, width=600, height=300, color=["red", "#00ff00"], line_width=0.03, background="#000040")
    for voice in range(2):
        send(output, played(drawing(40, voice=voice)))
    got = seen(output)
    assert got[0, 0].tolist() == pytest.approx([0, 0, 0x40 / 255], abs=0.01)
    left, right = got[:, :300], got[:, 300:]
    assert left[..., 0].max() > 0.95
    assert left[..., 1].max() == 0
    assert right[..., 1].max() > 0.95
    assert right[..., 0].max() == 0
    assert np.allclose(left[..., 0], right[..., 1], atol=0.01), "the same drawing, elsewhere"


def test_voices_over_each_other(show: Callable[..., PreviewOutput]) -> None:
    output = show(voices=2, width=300, height=300, color=["red", "blue"], line_width=0.05, layout="over")
    for voice in range(2):
        made = [
            action(1, 0.1, 0.2 + 0.4 * voice, ink=False, voice=voice),
            action(2, 0.9, 0.6 - 0.4 * voice, voice=voice),
        ]
        send(output, played(made))
    got = seen(output)
    middle = got[int(300 * (MARGIN + (1 - 2 * MARGIN) * 0.4)), 150]
    assert middle.tolist() == [0, 0, 1], "the later one is on top"
    assert (got[..., 0] > 0.9).sum() > 1000
    assert (got[..., 2] > 0.9).sum() > 1000


def test_an_older_drawing_fades_away(show: Callable[..., PreviewOutput]) -> None:
    output = show(width=200, height=200, line_width=0.2, color="white", fade=0.5)
    send(output, played([action(1, 0.2, 0.5, ink=False), action(2, 0.2, 0.5, drawing=1, ink=False)]))
    send(output, played([action(1, 0.8, 0.5, drawing=2, ink=False)]))
    deadline = time.monotonic() + PATIENCE
    brightness = []
    while True:
        got = seen(output)[100, :, 0]
        assert got[100 + int(0.3 * 184)] == 1.0, "the new one stays"
        brightness.append(got[100 - int(0.3 * 184)])
        if brightness[-1] == 0:
            break
        assert time.monotonic() < deadline
    assert brightness == sorted(brightness, reverse=True)


def test_the_whole_screen_and_back(show: Callable[..., PreviewOutput]) -> None:
    output = show(width=320, height=240, line_width=0.05)
    send(output, played(drawing(40)))
    assert seen(output).shape == (240, 320, 3)
    small = (seen(output) > 0.5).mean()
    output.fullscreen()
    deadline = time.monotonic() + PATIENCE
    while seen(output).shape != (SCREEN[1], SCREEN[0], 3):
        assert time.monotonic() < deadline
    assert (seen(output) > 0.5).mean() == pytest.approx(small, rel=0.1), "as large a share of the screen"
    output.fullscreen(False)
    while seen(output).shape != (240, 320, 3):
        assert time.monotonic() < deadline
    assert output.errors == 0


def test_a_fullscreen_window_from_the_start(show: Callable[..., PreviewOutput]) -> None:
    output = show(fullscreen=True)
    assert seen(output).shape == (SCREEN[1], SCREEN[0], 3)


def test_a_screen_that_is_not_there(screen: None) -> None:
    with pytest.raises(ls.OutputError, match="screen 7: this display has 1"):
        ls.preview(screen=7).open("cat", 1, STAGE)


def test_no_opengl_is_said(screen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESA_GL_VERSION_OVERRIDE", "2.1")
    monkeypatch.setenv("MESA_GLSL_VERSION_OVERRIDE", "120")
    with pytest.raises(ls.OutputError, match=r"no preview window: .*OpenGL 3.3"):
        ls.preview().open("cat", 1, STAGE)


def test_text_stands_in_lines(show: Callable[..., PreviewOutput]) -> None:
    output = show(width=400, height=300)
    output.send(Token(0.0, "cat", 0, 0, "sun\nmoon", -1.0, 2.0, False))
    output.tick(0.0)
    bright = (seen(output)[..., 0] > 0.5).any(axis=1)
    assert output.errors == 0, output.last_error
    rows = int((np.diff(bright.astype(int)) == 1).sum())
    assert rows == 2
    assert not bright[150:].any()
    send(output, played(drawing(40, size=0.3)))
    got = seen(output)[..., 0] > 0.5
    assert got[285:].any(), "below the drawing"
    assert got[100:200].any()


def test_many_drawings_are_shown_in_time(show: Callable[..., PreviewOutput]) -> None:
    """A choir that fills the table: 100 voices, nothing is dropped, and the window still answers."""
    output = show(voices=100, fade=float("inf"))
    for number in range(10):
        for voice in range(100):
            send(output, played(drawing(16, voice=voice, drawing=number)))
        seen(output)
    assert (output.dropped, output.errors) == (0, 0)


def test_a_killed_window_does_not_stop_the_player(screen: None) -> None:
    output, other = ls.preview(width=200, height=200), ls.Recorder()
    with ls.play(ls.sketch("cat", seed=1), to=[output, other], rate=300, name="killed") as player:
        link = output._link
        assert link is not None
        os.kill(pid_of(output), signal.SIGKILL)
        assert link.ended(PATIENCE)
        before = player.stats().steps
        while player.stats().steps < before + 100:
            player.wait(0.01)
        assert player.playing
        assert player.stats().late_worst < 5.0
        assert output.errors == 1
        assert "ended with -9" in repr(output)
        assert player.fault() is None
    with ls.play(ls.sketch("cat", seed=1), to=[output], rate=300, name="killed"):
        assert seen(output).shape == (200, 200, 3)


def test_a_stopped_window_does_not_stop_the_player(screen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_link, "MAX_WAITING", 500)
    output = ls.preview(width=200, height=200)
    with ls.play(ls.voices("cat", 40, seed=1), to=[output], rate=300, name="stopped") as player:
        os.kill(pid_of(output), signal.SIGSTOP)
        while player.stats().steps < 200:
            player.wait(0.01)
        assert output.errors == 0
        assert output.dropped > 0
        os.kill(pid_of(output), signal.SIGCONT)
        seen(output)
        os.kill(pid_of(output), signal.SIGSTOP)
        link = output._link
    assert link is not None
    assert link.ended(PATIENCE), "a window that hangs is ended"


CLOSE = """
import ctypes, sys
from pyglet.libs.x11 import xlib
display = xlib.XOpenDisplay(None)
def find(window):
    name = ctypes.c_char_p()
    if xlib.XFetchName(display, window, ctypes.byref(name)) and name.value.startswith(b"closing"):
        return window
    root, parent, children, n = xlib.Window(), xlib.Window(), ctypes.POINTER(xlib.Window)(), ctypes.c_uint()
    xlib.XQueryTree(display, window, root, parent, children, n)
    return next((found for i in range(n.value) if (found := find(children[i]))), None)
window = find(xlib.XDefaultRootWindow(display))
event = xlib.XEvent()
event.xclient.type, event.xclient.window, event.xclient.format = xlib.ClientMessage, window, 32
event.xclient.message_type = xlib.XInternAtom(display, b"WM_PROTOCOLS", False)
event.xclient.data.l[0] = xlib.XInternAtom(display, b"WM_DELETE_WINDOW", False)
xlib.XSendEvent(display, window, False, 0, event)
xlib.XSync(display, False)
name = ctypes.c_char_p()
xlib.XFetchName(display, window, ctypes.byref(name))
print(name.value.decode())
"""


def test_closing_the_window_ends_the_window_only(screen: None) -> None:
    output = ls.preview(width=200, height=200)
    with ls.play(ls.sketch("cat", seed=1), to=[output], rate=300, name="closing") as player:
        link = output._link
        assert link is not None
        seen(output)
        while link.fps == 0.0:
            player.wait(0.01)
        done = subprocess.run([sys.executable, "-c", CLOSE], check=True, capture_output=True, text=True, timeout=60)
        assert re.fullmatch(r"closing +\d+ fps", done.stdout.strip()), (
            "the title has the name and the pictures a second"
        )
        assert link.ended(PATIENCE)
        assert "the window was closed" in output.last_error
        assert player.playing


PARENT = """
import os, sys, time, livesketch as ls
w = ls.preview(width=200, height=200)
p = ls.play(ls.sketch("cat", seed=1), to=[w], rate=100)
w.screenshot(sys.argv[1])
forked = 0
if sys.argv[2] == "SIGKILL, but a forked process has its pipes" and not (forked := os.fork()):
    time.sleep(60)
    os._exit(0)
print(w._link.child.pid, forked, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGKILL, but a forked process has its pipes", "an end of its own"])
def test_the_window_goes_with_its_player(screen: None, tmp_path: Path, how: str) -> None:
    picture = tmp_path / "a.png"
    command = [sys.executable, "-c", PARENT, str(picture), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        pid, forked = map(int, parent.stdout.readline().split())
        assert unpack(picture.read_bytes()).shape == (200, 200, 3)
        assert pid_is_there(pid)
        if how == "an end of its own":
            parent.stdin.write("\n")
            parent.stdin.flush()
        else:
            parent.kill()
        parent.wait(PATIENCE)
        gone_at = time.monotonic()
        while pid_is_there(pid):
            took = time.monotonic() - gone_at
            assert took < 1.0, "a second is all it has"
            time.sleep(0.01)
        if forked:
            os.kill(forked, signal.SIGKILL)
    assert parent.returncode == (0 if how == "an end of its own" else -9)


def test_ctrl_c_in_the_terminal_leaves_the_window_to_the_player(screen: None, tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal's group; the window is in another."""
    output = ls.preview(width=200, height=200)
    output.open("cat", 1, STAGE)
    assert os.getpgid(pid_of(output)) != os.getpgid(0)
    output.close()


def test_play_preview_on_the_command_line(
    screen: None, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_cli("play", "cat", "--preview", "--seconds", "1", "--seed", "1")
    assert "seed 1" in done.stdout
    assert "warning" not in done.stderr
