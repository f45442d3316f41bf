"""MIDI clock out: pulses when they are due, of the players' beat, from outputs and from a thread of its own."""

import itertools
import math
import pickle
import threading
import time

import pytest
from made_events import STAGE
from midi_fakes import FakePort, fake_midi
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint
from livesketch.outputs import midi as midi_module
from livesketch.outputs.midi_clock import ClockOut, make_clock
from livesketch.player import pulse_sender
from livesketch.player.clock import OfflineClock
from livesketch.player.conductor import Conductor
from livesketch.player.desk import Desk
from livesketch.player.engine import engine
from livesketch.player.pulse_sender import PulseSender
from livesketch.player.tempo import Tempo


class TimedPort(FakePort):
    """Notes when each message came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.enough = threading.Event()
        self.most = 10**9

    def send(self, data: bytes) -> None:
        super().send(data)
        self.times.append(time.monotonic())
        if len(self.heard) >= self.most:
            self.enough.set()


@pytest.fixture
def fake_port(monkeypatch: pytest.MonkeyPatch) -> TimedPort:
    """What ``ls.midi`` and ``ls.clock.send`` open."""
    port = TimedPort()
    port.check = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(midi_module, "OutPort", lambda *_, **__: port)
    return port


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


# Bad input


@pytest.mark.parametrize("port", [5, "", b"synth", True])
def test_a_port_that_is_none_leaves_what_is_sent(port: object, fake_port: TimedPort) -> None:
    clock = Conductor()
    clock.send("synth")
    with pytest.raises(ls.ControlError, match="name of a MIDI port"):
        clock.send(port)  # type: ignore[arg-type]
    assert "MIDI clock to" in repr(clock)
    clock.send(None)
    clock.send(None)
    assert "MIDI clock to" not in repr(clock)


def test_a_port_that_is_not_there_is_an_error_and_nothing_is_left_running(fake_port: TimedPort) -> None:
    clock, fake_port.there = Conductor(), False
    with pytest.raises(ls.OutputError):
        clock.send("synth")
    assert "MIDI clock to" not in repr(clock)


def test_an_engine_that_is_none_and_a_port_that_is_not_there_from_the_playing_process() -> None:
    clock = Conductor()
    with pytest.raises(ls.ControlError, match="'thread' or 'process'"):
        clock.send("synth", engine="moon")
    with pytest.raises((ls.OutputError, ls.MissingExtraError)):
        clock.send("a port that nobody has", engine="process")
    assert "MIDI clock to" not in repr(clock)
    clock.send(None)
    engine.close()


@pytest.mark.parametrize(
    "broken", [lambda at: 1 / 0, lambda at: math.nan, lambda at: "now", lambda at: 3.0, lambda at: -at]
)
def test_a_beat_that_fails_or_stands_still_wants_no_tick(broken) -> None:  # type: ignore[no-untyped-def]
    """A moment in the past would be waited for again and again, without a pause."""
    output = fake_midi(clock=broken)
    output.open("cat", 1, STAGE)
    for k in range(5):
        output.tick(10 + k / 100)
        assert output.next_tick is None or output.next_tick > 10 + k / 100
    output.close()
    assert output.next_tick is None


def test_a_beat_that_fails_in_the_middle_is_not_waited_for() -> None:
    fails = False

    def beats(at: float) -> float:
        if fails:
            raise ValueError("lost")
        return at

    output = fake_midi(clock=beats)
    output.open("cat", 1, STAGE)
    output.tick(10.0)
    output.tick(10.01)
    assert output.next_tick == pytest.approx(10 + 1 / 24)
    fails = True
    output.tick(10.02)
    assert output.next_tick is None
    output.close()


# When pulses are due


def test_a_clock_that_waits_for_a_tempo_sends_nothing_before() -> None:
    waiting = make_clock(True)
    assert waiting is not None
    assert (waiting.due(3.0), waiting.next, waiting.stop()) == ([], None, [])
    assert make_clock(False) is None


@pytest.mark.parametrize("pulse", range(25))
def test_it_begins_once_wherever_the_beat_is(pulse: int) -> None:
    """A song position points to a sixteenth: until the next one it waits, however often it is asked meanwhile."""
    clock = ClockOut(Tempo(120, at=0.0))
    out = [message for k in range(30) for message in clock.due((pulse + 0.3 + k / 3) / 48)]
    begin = -(-pulse // 6) * 6
    assert out[:2] == ([b"\xfa", b"\xf8"] if begin == 0 else [bytes((0xF2, begin // 6, 0)), b"\xfb"])
    assert set(out[2:]) == {b"\xf8"}
    assert out.count(b"\xf8") == pulse + 9 - begin + 1


def test_each_pulse_is_due_at_its_own_moment_through_changes_of_tempo() -> None:
    """Woken when ``next`` says so, one pulse goes out each time, and none is early: 10,000 beats, no drift."""
    tempo, clock = Tempo(120, at=0.0), ClockOut(None)
    clock.line = tempo
    assert clock.due(0.0)[:2] == [b"\xfa", b"\xf8"]
    now, count = 0.0, 1
    for k in range(24 * 400):
        due = clock.next
        assert due is not None
        if k % 100 == 50:
            tempo.set(60 + k % 700, now)
            due = clock.next
            assert due is not None
        assert due > now
        now = due
        assert clock.due(now) == [b"\xf8"]
        count += 1
        assert tempo.beat(now) * 24 == pytest.approx(count - 1, abs=1e-5)


def test_a_function_is_asked_for_two_moments_and_then_known() -> None:
    clock = make_clock(lambda at: at * 2)
    assert clock is not None
    clock.due(1.0)
    assert clock.next is None
    clock.due(1.01)
    assert clock.next == pytest.approx(1 + 1 / 48)


def test_a_player_wakes_for_each_pulse(model: str) -> None:
    """On an offline clock moments are exact: a step every half second, and pulses between when they are due."""
    port = FakePort()
    output, clock = fake_midi(port, clock=True), OfflineClock()
    moments: list[float] = []
    send = port.send

    def noted(data: bytes) -> None:
        send(data)
        if data == b"\xf8":
            moments.append(clock.now())

    port.send = noted  # type: ignore[method-assign]
    done = threading.Event()

    class Ends:
        paces = may_drop = False
        errors, last_error, steps = 0, "", 0

        def open(self, *_: object) -> None: ...
        def send(self, event: object) -> None:
            self.steps += 1
            if self.steps > 40:
                done.set()

        def tick(self, now: float) -> None: ...
        def lift(self) -> None: ...
        def close(self) -> None: ...

    before, ls.clock.bpm = ls.clock.bpm, 100
    player = ls.play(ls.sketch(model, seed=1), [output, Ends()], rate=2, clock=clock, name="pulses")
    assert done.wait(30)
    player.stop()
    ls.clock.bpm = before
    assert len(moments) > 100
    gaps = [after - one for one, after in itertools.pairwise(moments)]
    assert max(abs(gap - 60 / 100 / 24) for gap in gaps) < 1e-6
    assert port.heard[-1] != b"\xf8"
    assert b"\xfc" in port.heard


def test_outputs_that_follow_are_told_the_tempo_before_they_are_opened() -> None:
    told: list[object] = []

    class Follows:
        paces = may_drop = False
        errors, last_error = 0, ""

        def follow_tempo(self, tempo: object) -> None:
            told.append(tempo)

        def open(self, *_: object) -> None:
            told.append("open")

    tempo = Tempo(120)
    desk = Desk("cat", (Follows(),), tempo=tempo)  # type: ignore[arg-type]
    desk.open(desk.outputs, 1, STAGE)
    assert told == [tempo, "open"]


@pytest.mark.parametrize("clock", [120, lambda at: at])
def test_a_clock_of_its_own_does_not_follow(clock: object) -> None:
    output, tempo = fake_midi(clock=clock), Tempo(30)
    output.follow_tempo(tempo)
    assert output._clock is not None
    assert output._clock.line is not tempo


def test_an_output_that_follows_goes_to_another_process_as_its_recipe(fake_port: TimedPort) -> None:
    output = pickle.loads(pickle.dumps(ls.midi("synth", clock=True)))
    assert output._follows
    assert output._clock.line is None


# The thread of its own


def test_pulses_go_out_from_a_thread_of_their_own_and_stop_is_the_last(fake_port: TimedPort) -> None:
    clock = Conductor()
    clock.bpm = 600
    fake_port.most = 300
    clock.send("synth")
    assert "MIDI clock to <midi 'fake'" in repr(clock)
    assert fake_port.enough.wait(30)
    clock.send(None)
    heard, times = fake_port.heard, fake_port.times
    first = heard[0][:1]
    assert first in (b"\xfa", b"\xf2")
    pulses = [at for data, at in zip(heard, times, strict=True) if data == b"\xf8"]
    numbers = [clock.beat_at(at) * 24 for at in pulses]
    begun = round(numbers[0] / 6) * 6
    late = [number - begun - k for k, number in enumerate(numbers)]
    assert min(late) > -1e-3, "none is early"
    assert heard.count(b"\xfc") == 1
    assert heard[-1] == b"\xfc"
    assert fake_port.calls[-1] == "close"
    if first == b"\xf2":
        assert (heard[0][1] | heard[0][2] << 7) == begun // 6 % 16384
        assert heard[1] == b"\xfb"


def test_another_port_takes_its_place(fake_port: TimedPort) -> None:
    clock = Conductor()
    clock.send("synth")
    one = clock._sending
    clock.send("other")
    assert one is not None
    assert not one._thread.is_alive()
    clock.release()
    clock.release()
    assert fake_port.calls.count("close") == 2


class Far(Tempo):
    """Until it changes, every beat is an hour away."""

    __slots__ = ()

    def time(self, beat: float) -> float:
        return super().time(beat) + 3600 * (self.changes == 0)


def test_a_new_tempo_wakes_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_sender, "SLICE", 3600.0)
    port = TimedPort()
    port.most = 40
    tempo = Far(20, at=time.monotonic())
    sender = PulseSender(fake_midi(port, clock=True), tempo)
    sender.start()
    limit = time.monotonic() + 20
    while sender.output.next_tick is None:
        assert time.monotonic() < limit
        time.sleep(0.005)
    tempo.set(999, time.monotonic())
    assert port.enough.wait(30)
    sender.close()
    sender.close()
    assert not tempo._watching


def test_a_port_that_goes_away_ends_nothing() -> None:
    port = TimedPort()
    sender = PulseSender(fake_midi(port, clock=True), Tempo(999, at=time.monotonic()))
    sender.start()
    port.there = False
    limit = time.monotonic() + 20
    while not sender.output.port_lost:
        assert time.monotonic() < limit
        time.sleep(0.005)
    assert sender._thread.is_alive()
    sender.close()
