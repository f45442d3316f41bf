"""One suite for every output: what a player may do to it, and what may happen to it."""

import io
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from made_events import STAGE, action, drawing, end, played
from midi_fakes import FakePort, fake_midi
from preview_fakes import FakeWindows, fake_preview

from livesketch.events import Cue, Event, Pen, PenAction, Token
from livesketch.outputs.base import Output, Stage
from livesketch.outputs.midi_file import midi_file
from livesketch.outputs.osc import osc
from livesketch.outputs.progress import Progress
from livesketch.outputs.recorder import Recorder
from livesketch.outputs.svg import svg
from livesketch.outputs.terminal import terminal


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Full(Tty):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class Broken(FakePort):
    """Opens, and takes nothing."""

    breaks = property(lambda self: True, lambda self, value: None)  # type: ignore[assignment]


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


MAKERS: dict[str, Callable[[Path, int], Output]] = {
    "recorder": lambda folder, port: Recorder(),
    "osc": lambda folder, port: osc(f"127.0.0.1:{port}"),
    "osc, nobody listens": lambda folder, port: osc("127.0.0.1:9"),
    "midi": lambda folder, port: fake_midi(),
    "midi, mpe": lambda folder, port: fake_midi(preset="mpe"),
    "midi, cc": lambda folder, port: fake_midi(preset="cc", clock=120),
    "midi, token": lambda folder, port: fake_midi(preset="token"),
    "midi, nobody takes it": lambda folder, port: fake_midi(Broken()),
    "midi file": lambda folder, port: midi_file(folder / "take.mid"),
    "midi file, mpe": lambda folder, port: midi_file(folder / "take.mid", preset="mpe"),
    "svg": lambda folder, port: svg(folder / "page.svg"),
    "terminal": lambda folder, port: terminal(Tty(), 60, 20),
    "terminal, plain": lambda folder, port: terminal(io.StringIO(), 60, 20),
    "terminal, ascii": lambda folder, port: terminal(io.TextIOWrapper(io.BytesIO(), encoding="ascii"), 60, 20),
    "preview": lambda folder, port: fake_preview(),
    "preview, window dies": lambda folder, port: fake_preview(FakeWindows(dies_after=3)),
    "progress": lambda folder, port: Progress(10, Tty()),
    "progress, full disk": lambda folder, port: Progress(10, Full()),
    "terminal, full disk": lambda folder, port: terminal(Full(), 60, 20),
}


@pytest.fixture(params=MAKERS)
def output(request: pytest.FixtureRequest, tmp_path: Path, receiver: socket.socket) -> Iterator[Output]:
    made = MAKERS[request.param](tmp_path, receiver.getsockname()[1])
    yield made
    made.close()


def play(output: Output, events: Iterator[list[Event]], start: float = 0.0) -> float:
    now = start
    for step in events:
        for event in step:
            output.send(event)
        output.tick(now)
        now += 1 / 60
    return now


def one_of_each() -> list[Event]:
    cues = [
        Cue(0.0, "cat", 0, 0, 0, kind, 0.5, 0.5)
        for kind in ("drawing/begin", "stroke/begin", "stroke/end", "drawing/end", "swap", "hush")
    ]
    return [*cues, action(0, 0.6, 0.6), end(1, 0.6, 0.6), Token(0.0, "cat", 0, 0, "春", -1.0, 2.0, False)]


def test_it_is_an_output(output: Output) -> None:
    assert isinstance(output, Output)
    assert isinstance(output.paces, bool)
    assert isinstance(output.may_drop, bool)
    assert "\n" not in repr(output)
    assert len(repr(output)) < 300


def test_a_performance(output: Output) -> None:
    output.open("cat", 1, STAGE)
    play(output, played(drawing()))
    output.lift()
    output.close()


@pytest.mark.parametrize("event", one_of_each(), ids=lambda event: getattr(event, "kind", type(event).__name__))
def test_every_kind_of_event(output: Output, event: Event) -> None:
    output.open("cat", 1, STAGE)
    output.send(event)
    output.tick(0.0)
    output.close()


def test_without_a_player(output: Output) -> None:
    for event in one_of_each():
        output.send(event)
    output.tick(0.0)
    output.lift()
    output.close()


def test_nothing_at_all(output: Output) -> None:
    output.close()
    output.open("cat", 1, STAGE)
    output.tick(0.0)
    output.lift()
    output.close()


def test_close_twice_and_send_after_it(output: Output) -> None:
    output.open("cat", 1, STAGE)
    play(output, played(drawing(4)))
    output.close()
    output.close()
    output.send(action(9, 0.7, 0.7))
    output.tick(1.0)
    output.lift()
    output.close()


def test_open_again_goes_on(output: Output) -> None:
    output.open("cat", 1, STAGE)
    play(output, played(drawing(12)))
    output.open("cat", 1, Stage("pig", 8, 120.0))  # a swap: the same name, not closed between
    play(output, played(drawing(12)))
    output.close()
    output.open("cat", 1, STAGE)
    play(output, played(drawing(12, drawing=1)))  # its clock begins anew
    output.close()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, None, "x"], ids=str)
@pytest.mark.parametrize("where", ["x", "y"])
def test_places_that_are_none(output: Output, bad: object, where: str) -> None:
    output.open("cat", 1, STAGE)
    values = {"x": 0.6, "y": 0.6, where: bad}
    output.send(action(0, 0.55, 0.5))
    output.send(action(1, **values))  # type: ignore[arg-type]
    output.tick(0.0)
    output.send(Cue(0.0, "cat", 0, 0, 1, "stroke/end", **values))  # type: ignore[arg-type]
    output.send(action(2, 0.6, 0.5, pen=Pen.UP))
    output.tick(0.1)
    output.lift()
    output.close()
    if not isinstance(output, (Recorder, Progress)):  # these look at no place
        assert output.errors >= 1
        assert output.last_error


def test_numpy_scalars(output: Output) -> None:
    output.open("cat", 1, STAGE)
    for step in range(5):
        numbers = {"voice": np.int64(0), "drawing": np.int32(0), "step": np.uint8(step)}
        place = {"x": np.float32(0.5 + step / 9), "y": np.float16(0.5)}
        flags = {"ink": np.bool_(True), "last": np.bool_(False), "ended": np.bool_(False)}
        made = PenAction(at=np.float64(0), name="cat", dx=np.float32(1), dy=np.float16(1), pen=Pen.DOWN, source="model",
                         **numbers, **place, **flags)  # type: ignore[arg-type]  # fmt: skip
        output.send(made)
        output.send(Cue(at=np.float64(0), name="cat", kind="stroke/end", **numbers, **place))  # type: ignore[arg-type]
        output.tick(np.float64(step / 60))
    assert re.search("^$|was refused|not written|window is gone|port_lost", getattr(output, "last_error", ""))
    output.close()


@pytest.mark.parametrize("voices", [1, 3, 40])
def test_many_events_of_several_voices(output: Output, voices: int) -> None:
    output.open("cat", voices, STAGE)
    rings = [drawing(1000 // voices, voice=voice) for voice in range(voices)]
    now = 0.0
    for at_once in zip(*rings, strict=True):
        now = play(output, played(at_once), now)
    output.lift()
    output.close()


def test_a_drawing_that_leaves_the_stage(output: Output) -> None:
    output.open("cat", 1, STAGE)
    play(output, played(drawing(60, size=40.0)))
    output.close()


def test_a_drawing_without_size(output: Output) -> None:
    output.open("cat", 1, STAGE)
    play(output, played([action(0, 0.5, 0.5), action(1, 0.5, 0.5), end(2, 0.5, 0.5)]))
    output.close()


def test_clocks_that_jump(output: Output) -> None:
    output.open("cat", 1, STAGE)
    for step, now in enumerate((0.0, 1e9, -5.0, float("nan"), 0.0, 3.0)):
        output.send(action(step, 0.5, 0.6))
        output.tick(now)
    output.close()


def test_progress_counts_drawings_and_leaves_a_clean_line() -> None:
    screen = Tty()
    shown = Progress(3, screen)
    for event in (event for number in range(2) for step in played(drawing(5, drawing=number)) for event in step):
        shown.send(event)
    assert "\r1 of 3 drawings" in screen.getvalue()
    shown.close()
    assert screen.getvalue().endswith("\r\x1b[K")
    silent = io.StringIO()
    Progress(3, silent).send(Cue(0.0, "cat", 0, 0, 5, "drawing/end", 0.5, 0.5))
    assert silent.getvalue() == ""
