"""The preview output against a window that is made up, and against none."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import STAGE, action, drawing, end, played
from preview_fakes import FakeWindows, fake_preview, polylines, said_of

import livesketch as ls
from livesketch.events import Cue, Event, Pen, PenAction, Token
from livesketch.outputs import preview_link
from livesketch.outputs.preview import PreviewOutput, preview, rgb
from livesketch.outputs.preview_link import HINT, MAX_WAITING, Link, WindowProcess
from livesketch.outputs.preview_wire import Kind, frame, point_of, said, say
from livesketch.strokes import to_polylines


@pytest.fixture
def windows() -> FakeWindows:
    return FakeWindows()


@pytest.fixture
def output(windows: FakeWindows) -> Iterator[PreviewOutput]:
    made = fake_preview(windows)
    made.open("cat", 1, STAGE)
    yield made
    made.shut()


def send(output: PreviewOutput, steps: Iterator[list[Event]]) -> None:
    for step in steps:
        for event in step:
            output.send(event)
        output.tick(0.0)


def everything(output: PreviewOutput, windows: FakeWindows) -> list[tuple[Kind, bytes]]:
    """All frames up to now: a picture is asked for, and what came before it is what was heard."""
    link = output._link
    assert link is not None
    link.picture(20.0)
    return list(windows.last.heard)


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0}, {"width": 1e9}, {"width": "wide"}, {"height": True}, {"fade": -1}, {"fade": "slow"},
        {"fade": float("nan")}, {"fps": 0}, {"fps": float("inf")}, {"color": "blurple"}, {"color": []}, {"color": 3},
        {"color": [3]}, {"background": "#12"}, {"layout": "pile"}, {"line_width": 0}, {"line_width": 2},
        {"screen": -1}, {"screen": "left"}, {"font": 7},
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(ls.ControlError, match=r"expected|a number") as error:
        ls.preview(**options)  # type: ignore[arg-type]
    assert str(next(iter(options.values())))[:5].strip("[]") in str(error.value)


def test_colors_by_name_and_number() -> None:
    assert rgb("red") == (1.0, 0.0, 0.0)
    assert rgb("#00f") == (0.0, 0.0, 1.0)
    assert rgb("CornflowerBlue") == pytest.approx((100 / 255, 149 / 255, 237 / 255))


def test_a_window_that_does_not_open_says_why_and_what_to_try() -> None:
    windows = FakeWindows(answer=say("gone", why="NoSuchDisplayException: Cannot connect"))
    made = fake_preview(windows)
    with pytest.raises(ls.OutputError, match="NoSuchDisplayException") as error:
        made.open("cat", 1, STAGE)
    assert "xvfb-run" in str(error.value)
    assert "ls.osc(" in str(error.value)
    assert not made.alive
    assert windows.last.killed
    assert made.errors == 0, "it was raised, not counted"


def test_a_window_that_says_nothing_is_not_waited_for_for_ever() -> None:
    windows = FakeWindows(answer=b"")
    with pytest.raises(ls.OutputError, match=r"nothing after 0\.01 s"):
        Link(windows, {}, pytest.fail, patience=0.01)
    assert windows.last.killed


def test_a_window_that_crashes_while_it_opens_shows_its_last_words() -> None:
    windows = FakeWindows(answer=b"", complaint="libGL error: no driver", dies_after=0)
    with pytest.raises(ls.OutputError, match="libGL error: no driver"):
        fake_preview(windows).open("cat", 1, STAGE)


def test_a_program_that_is_no_window() -> None:
    windows = FakeWindows(answer=b"Python 3.11.2 (main, Apr  5 2024)\n>>> ")
    with pytest.raises(ls.OutputError, match="nobody understands"):
        fake_preview(windows).open("cat", 1, STAGE)


@pytest.mark.parametrize("answer", [frame(Kind.MOVE, b""), frame(Kind.SAY, b"{}"), say("alive"), say("alive", fps="x"),
                                    say("alive", fps=1, size=[]), frame(Kind.PICTURE, b"")])  # fmt: skip
def test_a_window_that_talks_nonsense_is_given_up(windows: FakeWindows, answer: bytes) -> None:
    made = fake_preview(windows)
    made.open("cat", 1, STAGE)
    link = made._link
    assert link is not None
    windows.last.says_now(answer)
    assert link.ended(20.0)
    assert made.errors == 1
    assert "nobody understands" in made.last_error
    made.close()


def test_no_interpreter_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ls.OutputError, match="no process"):
        preview().open("cat", 1, STAGE)


NO_DISPLAY = """
import sys, livesketch as ls
try:
    ls.play(ls.sketch("cat", seed=1), to=[ls.preview()])
except ls.OutputError as error:
    print(error)
print([name for name in ("pyglet", "torch") if name in sys.modules], ls.players())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_without_a_display_a_clear_error_and_no_pyglet_in_the_players_process(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('a file in the way')")  # the folder it is started in
    (tmp_path / "show.py").write_text(NO_DISPLAY)
    hidden = {"DISPLAY", "WAYLAND_DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-P", "show.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        env={name: value for name, value in os.environ.items() if name not in hidden},
    )  # fmt: skip
    told, modules = done.stdout.splitlines()
    assert "Cannot connect" in told
    assert told.endswith(HINT)
    assert modules == "[] <nothing plays>"
    assert done.stderr == ""


@pytest.mark.slow
def test_the_command_line_says_it_too(run_cli: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    if sys.platform != "linux":
        pytest.skip("elsewhere there is always a screen")
    hidden = {"DISPLAY", "WAYLAND_DISPLAY"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    done = run_cli("play", "cat", "--preview", "--quiet", "--seconds", "1", check=False, env=env)
    assert done.returncode != 0
    assert "no preview window" in done.stderr
    assert "Traceback" not in done.stderr


ACTIONS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([Pen.DOWN, Pen.DOWN, Pen.UP, Pen.END]), st.booleans(),
              st.booleans(), st.floats(-3, 3, width=32), st.floats(-3, 3, width=32)), max_size=60)  # fmt: skip


def made_actions(steps: list[tuple[int, Pen, bool, bool, float, float]]) -> list[PenAction]:
    """Drawings of several voices; now and then a step is left out, as by a stream that was rewound."""
    numbers, at = [0] * 3, [0] * 3
    made = []
    for voice, pen, ink, skips, x, y in steps:
        at[voice] += skips
        last = pen == Pen.END
        values = {"voice": voice, "drawing": numbers[voice], "pen": pen, "ink": ink and not last, "last": last}
        made.append(action(at[voice], x, y, **values))
        at[voice] += 1
        if last:
            numbers[voice], at[voice] = numbers[voice] + 1, 0
    return made


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_the_window_is_sent_the_lines_that_the_actions_make(
    steps: list[tuple[int, Pen, bool, bool, float, float]],
) -> None:
    actions, windows = made_actions(steps), FakeWindows()
    made = fake_preview(windows)
    made.open("cat", 3, STAGE)
    send(made, played(actions))
    got = sorted(str(line) for lines in polylines(everything(made, windows)) for line in lines)
    made.close()
    want = [[tuple(p) for p in line.astype(np.float32).tolist()] for line in to_polylines(actions)]
    assert got == sorted(map(str, want))
    assert made.errors == made.dropped == 0


def test_a_stream_that_goes_on_after_a_swap_goes_on_with_its_line(output: PreviewOutput, windows: FakeWindows) -> None:
    steps = list(drawing(16))
    send(output, played(steps[:5]))
    output.lift()
    output.open("cat", 1, STAGE)
    send(output, iter([[step] for step in steps[5:]]))
    (lines,) = polylines(everything(output, windows))
    assert len(lines) == 2
    assert len(said_of(windows.last.heard, "open")) == 1


def test_another_name_or_number_of_voices_is_told(output: PreviewOutput, windows: FakeWindows) -> None:
    send(output, played(drawing(4)))
    output.open("pig", 2, STAGE)
    send(output, played(drawing(4, name="pig", voice=1)))
    heard = everything(output, windows)
    assert [(told["name"], told["voices"]) for told in said_of(heard, "open")] == [("cat", 1), ("pig", 2)]
    assert [(told["name"], told["voice"], told["pen"]) for told in said_of(heard, "pen")] == [
        ("cat", 0, 0),
        ("pig", 1, 0),
    ]


def test_tokens_go_with_their_text(output: PreviewOutput, windows: FakeWindows) -> None:
    output.send(Token(0.0, "poem", 0, 3, "山\u0000", -1.0, 2.0, False, last=True))
    (told,) = said_of(everything(output, windows), "token")
    assert told == {"say": "token", "name": "poem", "voice": 0, "step": 3, "text": "山\0", "last": True}


def test_a_stalled_window_stops_nobody_and_loses_points_only(windows: FakeWindows, output: PreviewOutput) -> None:
    windows.last.reads_on.clear()
    strokes, length = 400, 100
    n, now = 0, 0.0
    for number in range(strokes):
        for place in range(length):
            pen = Pen.UP if place == length - 1 else Pen.DOWN
            output.send(action(n, number / strokes, place / length, ink=place > 0, pen=pen))
            n += 1
        output.tick(now)
    assert 0 < output.dropped <= strokes * (length - 2), "this returned, and points were lost"
    assert output.errors == 0
    assert len(output._link._queue) <= MAX_WAITING + 3 * strokes  # type: ignore[union-attr]
    windows.last.reads_on.set()
    heard = everything(output, windows)
    (lines,) = polylines(heard)
    ends = [(line[0], line[-1]) for line in lines]
    expected = [((k / strokes, 0.0), (k / strokes, (length - 1) / length)) for k in range(strokes)]
    assert np.allclose(ends, expected, atol=1e-6), "each line begins and ends where it should"
    assert sum(len(line) for line in lines) == n - output.dropped
    assert "dropped" in repr(output)


def test_a_window_that_never_takes_anything_is_given_up(
    windows: FakeWindows, output: PreviewOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_link, "MAX_QUEUE", 500)
    monkeypatch.setattr(preview_link, "MAX_WAITING", 100)
    windows.last.reads_on.clear()
    for n in range(5000):
        output.send(action(n, 0.5, 0.5, ink=False))  # each begins a line: none may be dropped
        output.tick(0.0)
    assert windows.last.killed
    assert not output.alive
    assert (output.errors, "given up" in output.last_error) == (1, True)
    assert not output._link._queue  # type: ignore[union-attr]


def test_the_window_closes_and_the_player_goes_on() -> None:
    windows, other = FakeWindows(), ls.Recorder()
    shown = fake_preview(windows)
    with ls.play(ls.sketch("cat", seed=1), to=[shown, other], rate=500, name="closes") as player:
        windows.last.wait_for(lambda heard: len(heard) > 20)
        link = shown._link
        assert link is not None
        windows.last.leaves()
        assert link.ended(20.0)
        before = player.stats().steps
        while player.stats().steps < before + 50:
            player.wait(0.01)
        assert player.playing
        assert (shown.errors, player.stats().output_errors) == (1, 1)
        assert "the window was closed" in repr(shown)
        assert shown.dropped > 0
        assert "\n" not in repr(shown)
        # A swap does not open it again: that would make the music wait.
        swapped = ls.play(ls.sketch("pig", seed=1), rate=500, name="closes")
        while swapped.stats().steps < 10:
            swapped.wait(0.01)
        assert len(windows.made) == 1
        swapped.stop()
        # A player that begins does.
        with ls.play(ls.sketch("cat", seed=1), to=[shown], rate=500, name="closes"):
            windows.last.wait_for(lambda heard: len(heard) > 20)
        assert len(windows.made) == 2
    assert shown.errors == 1
    assert not shown.alive


def test_closing_does_not_wait_and_a_stopped_window_is_ended(
    windows: FakeWindows, output: PreviewOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_link, "GRACE", 0.05)
    windows.last.reads_on.clear()
    for n in range(5000):
        output.send(action(n, 0.5, 0.5, ink=False))
    output.tick(0.0)
    link = output._link
    assert link is not None
    output.close()
    output.close()
    assert link.ended(20.0)
    assert windows.last.killed
    assert output.errors == 0, "it was closed from here"


def test_a_window_that_is_to_stay(windows: FakeWindows) -> None:
    made = fake_preview(windows, stay=True)
    made.open("cat", 1, STAGE)
    send(made, played(drawing(4)))
    made.close()
    assert made.alive
    made.send(action(9, 0.5, 0.5))
    assert made.dropped > 0, "nobody plays"
    made.open("cat", 1, STAGE)
    assert len(windows.made) == 1
    made.close()
    made.shut()
    made.shut()
    assert not made.alive


def test_no_window_yet(tmp_path: Path) -> None:
    made = fake_preview()
    assert "no window" in repr(made)
    made.fullscreen()
    made.lift()
    with pytest.raises(ls.OutputError, match="play into it first"):
        made.screenshot(tmp_path / "a.png")


def test_screenshots_and_the_whole_screen(output: PreviewOutput, windows: FakeWindows, tmp_path: Path) -> None:
    output.fullscreen()
    output.screenshot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"PNG"
    assert said_of(windows.last.heard, "fullscreen") == [{"say": "fullscreen", "on": True}]
    with pytest.raises(ls.OutputError, match="folder that exists"):
        output.screenshot(tmp_path / "nowhere" / "a.png")
    windows.last.leaves()
    with pytest.raises(ls.OutputError, match="no picture"):
        output.screenshot(tmp_path / "a.png")


def test_repr_says_how_it_goes(output: PreviewOutput, windows: FakeWindows) -> None:
    windows.last.says_now(say("alive", fps=59.7, size=[640, 480]) + say("trouble", why="no fonts"))
    while not output.errors:
        threading.Event().wait(0.001)
    assert repr(output) == (
        "<preview, 640 x 480 pixels, 60 pictures/s: 1 sent, 0 dropped, 1 errors, last error: no fonts>"
    )
    assert output.alive


def test_settings_reach_the_window(windows: FakeWindows) -> None:
    made = fake_preview(windows, width=np.int64(300), fade=float("inf"), color="red", layout="over", screen=1)
    made.open("cat", 1, STAGE)
    told = said(windows.last.heard[0][1]) if windows.last.heard else said(everything(made, windows)[0][1])
    made.close()
    assert told["say"] == "settings"
    assert (told["width"], told["fade"], told["grid"], told["screen"]) == (300, None, False, 1)
    assert told["colors"] == [[1.0, 0.0, 0.0]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_process_has_no_window(output: PreviewOutput, windows: FakeWindows) -> None:
    pid = os.fork()
    if pid == 0:
        output.send(action(0, 0.5, 0.5))
        alive = output.alive
        output.close()
        os._exit(1 if alive else 0)
    assert os.waitpid(pid, 0)[1] == 0
    assert output.alive
    send(output, played(drawing(4)))
    assert len(polylines(everything(output, windows))) == 1


def test_a_copy_in_another_process_has_no_window_yet(output: PreviewOutput) -> None:
    output._start = WindowProcess  # the made-up one cannot travel
    output.send("cat")  # type: ignore[arg-type]
    copy = pickle.loads(pickle.dumps(output))
    assert not copy.alive
    copy.send("cat")
    assert (copy.errors, output.errors) == (2, 1)


def test_what_cannot_be_drawn_is_counted(output: PreviewOutput, windows: FakeWindows) -> None:
    output.send("cat")  # type: ignore[arg-type]
    output.send(action(0, float("nan"), 0.5))
    output.send(Cue(0.0, "cat", 0, 0, 0, "hush", 0.5, 0.5))
    output.send(end(0, 0.5, 0.5))
    assert output.errors == 2
    heard = everything(output, windows)
    assert [point_of(payload) for kind, payload in heard if kind in {Kind.MOVE, Kind.LINE}] == []


def test_the_process_gets_the_search_path_of_its_player(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where livesketch was put on ``sys.path`` by hand; and a driver's words do not get between the frames."""
    monkeypatch.setattr(preview_link, "_BOOT", "import sys, json; print(json.loads(sys.argv[1])[0], file=sys.stderr)")
    monkeypatch.setattr(sys, "path", ["/some/where", *sys.path])
    process = WindowProcess()
    assert process.wait(60.0) == 0
    assert process.complaint() == "/some/where"
    process.reads.close()
    process.says.close()
