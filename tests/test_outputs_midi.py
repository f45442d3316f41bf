"""MIDI out: what is sent for which event, that no note hangs, and what happens when the port goes away."""

import math
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import STAGE, action, drawing, end, played
from midi_fakes import FakePort, Synth, fake_midi, send, words

import livesketch as ls
from livesketch.cues import CueMaker
from livesketch.errors import ControlError, MissingExtraError, OutputError
from livesketch.events import Cue, Event, Pen, Token
from livesketch.midi_ports import system
from livesketch.midi_ports.notes import note_number
from livesketch.midi_ports.out_port import OutPort, _Echo
from livesketch.midi_ports.system import find, plain, ports
from livesketch.outputs.midi import MidiOutput, midi
from livesketch.outputs.midi_clock import make_clock
from livesketch.outputs.midi_messages import mpe_setup
from livesketch.outputs.midi_scale import SCALES, make_scale

TESTS = Path(__file__).resolve().parent

BAD_OPTIONS = [
    ({"preset": "flute"}, "'plain', 'mpe', 'cc', 'token'"),
    ({"preset": None}, "preset None"),
    ({"scale": "minorish"}, "pentatonic"),
    ({"scale": []}, "from 0 to 11"),
    ({"scale": [0, 12]}, "from 0 to 11"),
    ({"scale": [0.5]}, "from 0 to 11"),
    ({"scale": 7}, "from 0 to 11"),
    ({"root": "H2"}, "'C4' (60, middle C)"),
    ({"root": 128}, "0 to 127"),
    ({"root": True}, "0 to 127"),
    ({"root": "C99"}, "0 to 127"),
    ({"octaves": 0}, "1 to 10"),
    ({"channel": 0}, "1 to 16"),
    ({"channel": 17}, "1 to 16"),
    ({"channel": []}, "a list of them"),
    ({"channel": "1"}, "a list of them"),
    ({"channel": [1, 99]}, "1 to 16"),
    ({"channel": 1.5}, "1 to 16"),
    ({"preset": "mpe", "channel": 3}, "leave it out"),
    ({"controls": (1, 2)}, "three controllers"),
    ({"controls": (16, 40, 18)}, "0 to 31"),
    ({"controls": (16, 16, 18)}, "must differ"),
    ({"controls": (16, 17, 48)}, "must differ"),
    ({"program": 0}, "1 to 128"),
    ({"fast": 0}, "0.001 to 1e6"),
    ({"fast": math.nan}, "0.001 to 1e6"),
    ({"rate": 0}, "0.1 to 1e6"),
    ({"rate": math.inf}, "0.1 to 1e6"),
    ({"rate": "100"}, "0.1 to 1e6"),
]


@pytest.mark.parametrize(("options", "said"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_options_out_of_their_range(options: dict[str, object], said: str, tmp_path: Path) -> None:
    for make in (lambda: midi(**options), lambda: ls.midi_file(tmp_path / "a.mid", **options)):  # type: ignore[arg-type]
        with pytest.raises(ControlError) as caught:
            make()
        assert said in str(caught.value)
        assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("clock", [0, 19.9, 1000, "120", math.nan])
def test_clocks_that_are_none(clock: object) -> None:
    with pytest.raises(ControlError, match="20 to 999"):
        midi(clock=clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("port", ["", "  ", 3, b"synth", ["a"]])
def test_port_names_that_are_none(port: object) -> None:
    with pytest.raises(ControlError, match="name of a MIDI"):
        midi(port)  # type: ignore[arg-type]
    with pytest.raises(ControlError, match="name of a MIDI"):
        ls.midi_in(port)  # type: ignore[arg-type]


def test_a_midi_system_by_a_wrong_name() -> None:
    with pytest.raises(ControlError, match="'alsa', 'jack'"):
        ports(api="coremidi")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    system.rtmidi_module.cache_clear()
    try:
        for ask in (midi, ls.midi_in, lambda: ls.midi_learn(print)):
            with pytest.raises(MissingExtraError, match=r'pip install "livesketch\[midi\]"'):
                ask()
        assert "livesketch[midi]" in repr(ports())
        assert ports().error is MissingExtraError
    finally:
        system.rtmidi_module.cache_clear()


class NoMidi:
    """python-rtmidi on a machine without any MIDI."""

    API_LINUX_ALSA, API_UNIX_JACK = 2, 3

    class RtMidiError(Exception):
        pass

    def get_compiled_api(self) -> list[int]:
        return [2, 3]

    def MidiOut(self, **given: object) -> None:  # noqa: N802 - the module's own name
        raise self.RtMidiError("JACK server not running?")

    MidiIn = MidiOut


def test_without_a_midi_system(monkeypatch: pytest.MonkeyPatch) -> None:
    from livesketch.midi_ports import in_port, out_port

    none = NoMidi()
    for module in (system, out_port, in_port):
        monkeypatch.setattr(module, "rtmidi_module", lambda: none)
    for ask in (midi, lambda: midi("synth"), ls.midi_in):
        with pytest.raises(OutputError, match="no MIDI system here") as caught:
            ask()
        assert "JACK server not running?" in str(caught.value)
        assert "ls.midi_file" in str(caught.value)
    found = ports()
    assert (found.inputs, found.outputs) == ((), ())
    assert repr(found).startswith("<no MIDI: ")
    none.get_compiled_api = lambda: [2]  # type: ignore[method-assign]
    with pytest.raises(OutputError, match="built without it"):
        system.client("out", "jack")


def test_the_command_says_it_in_one_sentence() -> None:
    program = "import sys; sys.modules['rtmidi'] = None\nfrom livesketch.cli import main\nsys.exit(main(['ports']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "livesketch[midi]" in done.stderr


def test_an_open_that_fails_leaves_it_closed() -> None:
    port = FakePort()
    port.there = False
    output = fake_midi(port)
    with pytest.raises(OutputError, match="no MIDI port"):
        output.open("cat", 1, STAGE)
    assert "closed" in repr(output)
    output.close()
    assert port.heard == []


@pytest.mark.parametrize("where", ["x", "y"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, None, "x", 1e300])
def test_a_stroke_that_ends_nowhere_ends(where: str, bad: object) -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    send(output, [CueMaker().events(action(0, 0.6, 0.6))])
    assert len(output.sounding) == 1
    output.send(Cue(0.5, "cat", 0, 0, 1, "stroke/end", **{"x": 0.5, "y": 0.5, where: bad}))  # type: ignore[arg-type]
    output.tick(1.0)
    assert output.sounding == []
    assert output.errors == 1
    output.close()


def test_a_lift_at_no_place_lifts() -> None:
    output = fake_midi()
    output.open("cat", 1, STAGE)
    send(output, [[action(0, 0.6, 0.6)], [action(1, math.nan, 0.6, pen=Pen.UP)]])
    output.tick(1.0)
    assert output.sounding == []
    assert output.errors == 1
    output.close()


def test_moments_that_are_none() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    for at in (0.0, math.nan, -math.inf, None, "x", 1e308, 0.5):
        for step in played(drawing(9, at=at)):
            for event in step:
                output.send(event)
        output.tick(0.0)
    output.close()
    assert Synth().hear(port.heard).sounding == []


# Presets, message by message.


def stroke(*places: tuple[float, float], at: float = 0.0, step: int = 0, **changed: object) -> list[list[Event]]:
    """A drawing of one stroke from the middle through these places, one step of 1/60 s each, then END."""
    actions = [
        action(step + n, x, y, at=at + n / 60, pen=Pen.UP if n == len(places) - 1 else Pen.DOWN, **changed)
        for n, (x, y) in enumerate(places)
    ]
    last = end(step + len(places), *places[-1], at=at + len(places) / 60, **changed)
    return list(played([*actions, last]))


def heard(steps: list[list[Event]], **chosen: object) -> list[str]:
    port = FakePort()
    output = fake_midi(port, **chosen)
    output.open("cat", 1, STAGE)
    port.taken()
    send(output, steps)
    output.tick(9.0)
    return words(port.taken())


def test_plain_message_by_message() -> None:
    """Height 0.5 of three octaves from C3 is F#4 (66); the pentatonic's nearest is G4 (67)."""
    got = heard(stroke((0.5, 0.4), (0.7, 0.4)), fast=6.0)
    assert got[:3] == ["cc 1 10 64", "cc 1 1 64", "cc 1 11 127"]
    assert got[3] == "on 1 67 127"  # 0.1 in 1/60 s is 6 units a second: as fast as it gets
    assert got[4:] == ["cc 1 1 76", "cc 1 10 89", "off 1 67 64"]


def test_plain_is_softer_where_the_pen_is_slower() -> None:
    velocities = []
    for way in (0.0, 0.001, 0.01, 0.05, 0.2):
        got = heard(stroke((0.5, 0.5 - way), (0.5, 0.4)))
        velocities.append(next(int(word.split()[3]) for word in got if word.startswith("on")))
    assert velocities == sorted(set(velocities))
    assert velocities[0] == 20
    assert velocities[-1] == 127


def test_plain_takes_tokens_as_buckets() -> None:
    tokens: list[list[Event]] = [
        [Token(0.0, "poem", 0, 0, "a", -1.0, 1.0, False, index=130)],
        [Token(0.1, "poem", 0, 1, "a", -1.0, 1.0, False, index=130)],
        [Token(0.2, "poem", 0, 2, "", -1.0, 1.0, False, last=True, ended=True)],
    ]
    assert heard(tokens) == ["cc 1 20 2", "cc 1 20 2"]
    assert heard(tokens, preset="mpe") == []


def test_a_scale_holds_the_note_where_the_pen_comes_down() -> None:
    for scale, degrees in SCALES.items():
        notes = [
            int(heard(stroke((0.5, y), (0.5, y)), scale=scale, root="D2")[3].split()[2]) for y in (0.05, 0.31, 0.9)
        ]
        assert {(note - 38) % 12 for note in notes} <= set(degrees), scale
        assert notes == sorted(notes, reverse=True)


def test_notes_of_a_scale() -> None:
    scale = make_scale([0, 4, 7], 48, 2)
    assert scale.notes == (48, 52, 55, 60, 64, 67, 72)
    assert [scale.note(height) for height in (-3, 0, 0.5, 1, 9)] == [48, 48, 60, 72, 72]
    assert scale.note(2 / 24) == 48  # between 48 and 52: the lower one
    assert make_scale("chromatic", 120, 10).notes == tuple(range(120, 128))
    assert [note_number("root", name) for name in ("C4", "f#2", "Bb3", "C-1", "G9", 7)] == [60, 42, 58, 0, 127, 7]


def test_beyond_the_stage_plain_stays_at_its_edge() -> None:
    got = heard(stroke((3.0, -2.0), (-3.0, 9.0)))
    assert "cc 1 10 127" in got
    assert "cc 1 10 0" in got
    assert "cc 1 1 127" in got
    assert "cc 1 1 0" in got


def test_mpe_message_by_message() -> None:
    """Exact: height 0.5 is 66, and each note begins with its bend, brightness and pressure."""
    port = FakePort()
    output = fake_midi(port, preset="mpe")
    output.open("cat", 1, STAGE)
    assert port.taken() == mpe_setup()
    send(output, stroke((0.5, 0.51), (0.6, 0.48)))
    output.tick(9.0)
    got = words(port.taken())
    assert got[:4] == ["bend 2 0", "cc 2 74 64", "pressure 2 40", "on 2 66 54"]
    assert got[4:] == [f"bend 2 {round(-0.36 / 48 * 8192)}", "cc 2 74 76", "pressure 2 127",
                       f"bend 2 {round(0.72 / 48 * 8192)}", "off 2 66 64"]  # fmt: skip


def test_mpe_setup_is_the_configuration_message_and_48_semitones_on_each_member() -> None:
    got = words(mpe_setup())
    assert got[:6] == ["cc 1 101 0", "cc 1 100 6", "cc 1 6 15", "cc 1 38 0", "cc 1 101 127", "cc 1 100 127"]
    for channel in range(2, 17):
        rpn = [word for word in got if word.startswith(f"cc {channel} ")]
        numbers = ("101 0", "100 0", "6 48", "38 0", "101 127", "100 127")
        assert rpn == [f"cc {channel} {number}" for number in numbers]
    assert len(got) == 96


def test_mpe_in_a_scale_begins_in_tune_and_bends_by_the_way() -> None:
    got = heard(stroke((0.5, 0.5), (0.5, 0.75)), preset="mpe", scale="major")
    assert [word for word in got if word.startswith("bend")] == ["bend 2 0", f"bend 2 {-9 * 8192 // 48}"]
    assert [word for word in got if word.startswith("on")] == ["on 2 65 20"]  # of 66, F and not F sharp


def test_mpe_bends_to_the_ends_of_its_range_and_no_farther() -> None:
    got = heard(stroke((0.5, -9.0), (0.5, 9.0)), preset="mpe", octaves=10, root=0)
    bends = [int(word.split()[2]) for word in got if word.startswith("bend")]
    assert bends == [0, 8191, -8192]


def test_mpe_gives_each_of_15_voices_a_channel_and_steals_from_the_oldest() -> None:
    port = FakePort()
    output = fake_midi(port, preset="mpe")
    output.open("cat", 17, STAGE)
    port.taken()
    for voice in range(15):
        send(output, stroke((0.5, 0.5), (0.5, 0.5), voice=voice, at=voice / 10)[:1])
    assert sorted(channel for channel, _ in output.sounding) == list(range(2, 17))
    port.taken()
    send(output, stroke((0.5, 0.5), (0.5, 0.6), voice=15, at=5.0)[:1])
    got = words(port.taken())
    assert got[0] == "off 2 66 64"  # voice 0 was the oldest
    assert got[-1].startswith("on 2 ")
    send(output, [[action(1, 0.9, 0.1, voice=0, at=5.1)]])  # the robbed voice draws on, unheard
    assert not any("2 74 114" in word for word in words(port.taken()))
    send(output, [[action(2, 0.9, 0.1, voice=0, at=5.2, pen=Pen.UP)]])
    assert len(output.sounding) == 15
    output.close()
    assert output.sounding == []


def test_mpe_takes_the_channel_that_has_been_silent_for_longest() -> None:
    port = FakePort()
    output = fake_midi(port, preset="mpe")
    output.open("cat", 1, STAGE)
    for number in range(20):
        send(output, stroke((0.5, 0.5), (0.6, 0.5), at=number * 1.0, drawing=number))
    channels = [int(word.split()[1]) for word in words(port.heard) if word.startswith("on")]
    assert channels == [*range(2, 17), *range(2, 7)]


def test_cc_message_by_message() -> None:
    got = heard(stroke((0.5, 0.5), (0.5, 0.4)), preset="cc")
    middle = math.floor(16383 * 0.5 + 0.5)
    first = [f"cc 1 {number} {value}" for number, value in
             ((16, middle >> 7), (48, middle & 127), (17, middle >> 7), (49, middle & 127))]  # fmt: skip
    higher = math.floor(16383 * 0.6 + 0.5)
    assert got == [
        "cc 1 18 0",
        *first,
        "cc 1 18 127",
        "cc 1 18 0",
        f"cc 1 17 {higher >> 7}",
        f"cc 1 49 {higher & 127}",
    ]


def test_cc_sends_the_low_bits_alone_where_only_they_changed() -> None:
    got = heard(stroke((0.5, 0.5), (0.5 + 3 / 16383, 0.5)), preset="cc")
    assert got[-1] == f"cc 1 48 {(math.floor(16383 * 0.5 + 0.5) + 3) & 127}"
    assert sum(word.startswith("cc 1 16 ") for word in got) == 1


def test_cc_on_other_controllers() -> None:
    got = heard(stroke((0.2, 0.3), (0.4, 0.5)), preset="cc", controls=[1, 2, 64])
    assert {word.split()[2] for word in got} == {"1", "33", "2", "34", "64"}


def test_tokens_are_notes_until_the_next_one() -> None:
    steps: list[list[Event]] = [
        [Token(0.0, "poem", 0, 0, "a", math.log(0.5), 1.0, False, index=0)],
        [Token(1.0, "poem", 0, 1, "b", 0.0, 1.0, False, index=6)],
        [Token(2.0, "poem", 0, 2, " ", 0.0, 1.0, False, index=1)],
        [Token(3.0, "poem", 0, 3, "猫", -math.inf, 1.0, False)],
        [Token(4.0, "poem", 0, 4, "", 0.0, 1.0, False, last=True, ended=True)],
    ]
    got = heard(steps, preset="token")
    assert got[:4] == ["on 1 48 84", "off 1 48 64", "on 1 62 127", "off 1 62 64"]
    assert got[4].startswith("on 1 ")
    assert got[4].endswith(" 40")
    assert got[5:] == [got[4].replace("on", "off").rsplit(" ", 1)[0] + " 64"]
    assert heard(stroke((0.1, 0.1), (0.2, 0.2)), preset="token") == []


def test_voices_have_channels_of_their_own() -> None:
    port = FakePort()
    output = fake_midi(port, channel=15)
    output.open("cat", 4, STAGE)
    for voice in range(4):
        send(output, stroke((0.5, 0.5), (0.5, 0.5), voice=voice)[:1])
    assert [channel for channel, _ in output.sounding] == [1, 2, 15, 16]
    output.close()
    output = fake_midi(port, channel=[3, 7])
    output.open("cat", 3, STAGE)
    port.taken()
    for voice in range(3):
        send(output, stroke((0.5, 0.5), (0.5, 0.5), voice=voice)[:1])
    assert [word.split()[1] for word in words(port.taken()) if word.startswith("on")] == ["3", "7", "3"]
    output.close()


def test_two_voices_on_one_note_of_one_channel() -> None:
    """The second takes it over; the first one's lift does not end it."""
    port = FakePort()
    output = fake_midi(port, channel=[5])
    output.open("cat", 2, STAGE)
    for voice in range(2):
        send(output, stroke((0.5, 0.5), (0.5, 0.5), voice=voice, at=float(voice))[:1])
    assert [word[:6] for word in words(port.heard) if word[0] == "o"] == ["on 5 6", "off 5 ", "on 5 6"]
    send(output, [[action(1, 0.5, 0.5, voice=0, at=2.0, pen=Pen.UP)]])
    assert len(output.sounding) == 1
    send(output, [[action(1, 0.5, 0.5, voice=1, at=3.0, pen=Pen.UP)]])
    assert output.sounding == []
    output.close()


def test_a_program_is_chosen_first() -> None:
    port = FakePort()
    output = fake_midi(port, program=128, channel=[2, 4])
    output.open("cat", 5, STAGE)
    assert words(port.heard) == ["program 2 127", "program 4 127"]
    output.close()


def test_a_dot_is_long_enough_to_be_heard() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    dot = CueMaker().events(action(0, 0.2, 0.2, ink=False, pen=Pen.UP, at=1.0))
    assert [event.kind for event in dot if isinstance(event, Cue)][-2:] == ["stroke/begin", "stroke/end"]
    send(output, [dot])
    assert len(output.sounding) == 1
    output.tick(1.02)
    assert len(output.sounding) == 1
    output.tick(1.04)
    assert output.sounding == []
    send(output, [CueMaker().events(action(0, 0.2, 0.2, ink=False, pen=Pen.UP, at=0.5))])
    output.tick(0.1)  # the clock went back
    assert output.sounding == []
    output.close()


def test_a_stroke_that_begins_where_none_ended_ends_the_last() -> None:
    output = fake_midi()
    output.open("cat", 1, STAGE)
    for number, y in enumerate((0.1, 0.5, 0.9)):
        send(output, [[Cue(float(number), "cat", 0, 0, number, "stroke/begin", 0.5, y)]])
        assert len(output.sounding) == 1
    output.close()


def test_a_pen_that_was_lifted_in_a_stroke_goes_on() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    send(output, stroke((0.5, 0.5), (0.5, 0.4), (0.5, 0.3))[:1])
    output.lift()
    assert output.sounding == []
    send(output, [[action(1, 0.5, 0.4, at=1.0)]])
    assert len(output.sounding) == 1
    output.close()


# What is never too much, and never lost.


def test_controls_come_no_faster_than_the_rate_and_the_last_one_comes() -> None:
    port = FakePort()
    output = fake_midi(port, rate=50, fast=1000)
    output.open("cat", 1, STAGE)
    arrived: dict[tuple[int, int], list[float]] = {}
    values: dict[tuple[int, int], int] = {}
    for step in range(2000):
        at = step / 1000
        output.send(action(step, 0.5 + 0.4 * math.sin(step / 9), 0.5 + 0.4 * math.cos(step / 7), at=at))
        output.tick(at)
        for data in port.taken():
            if data[0] & 0xF0 == 0xB0:
                arrived.setdefault((data[0], data[1]), []).append(at)
                values[data[0], data[1]] = data[2]
    assert len(arrived) == 3
    for times in arrived.values():
        assert 80 <= len(times) <= 101
        assert min(after - before for before, after in pairwise(times)) > 0.0195
    assert output.thinned > 4000
    output.tick(3.0)
    values |= {(data[0], data[1]): data[2] for data in port.taken()}
    x = 0.5 + 0.4 * math.sin(1999 / 9)
    assert values[0xB0, 10] == math.floor(127 * x + 0.5)
    output.close()


def test_equal_values_are_not_sent_again() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    for step in range(100):
        output.send(action(step, 0.5, 0.5, at=step / 10))
        output.tick(step / 10)
    got = words(port.taken())
    assert sorted(word[:7] for word in got) == ["cc 1 1 ", "cc 1 10", "cc 1 11", "on 1 67"]
    output.close()


def test_a_clock_that_begins_anew_holds_no_control_back() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    send(output, stroke((0.1, 0.1), (0.2, 0.2), at=1e6))
    port.taken()
    send(output, stroke((0.8, 0.8), (0.9, 0.9), (0.7, 0.7), at=0.0, drawing=1)[:2])
    assert any(word in {"cc 1 10 102", "cc 1 10 114"} for word in words(port.taken()))
    output.close()
    output = fake_midi(port, preset="cc")
    output.open("cat", 1, STAGE)
    send(output, [[action(0, 0.1, 0.1, ink=False, at=1e6)]])
    port.taken()
    send(output, [[action(0, 0.0, 0.0, ink=False, at=0.0, drawing=1)]])
    assert "cc 1 16 0" in words(port.taken())
    output.close()


def test_panic_in_its_order() -> None:
    port = FakePort()
    output = fake_midi(port, channel=[3, 9])
    output.open("cat", 2, STAGE)
    for voice in range(2):
        send(output, stroke((0.5, 0.5), (0.5, 0.5), voice=voice)[:1])
    port.taken()
    output.panic()
    channels = (3, 9)
    assert words(port.taken()) == [
        *(f"off {channel} 67 64" for channel in channels),
        *(f"cc {channel} {number} 0" for number in (64, 120, 123) for channel in channels),
        *(f"bend {channel} 0" for channel in channels),
    ]
    assert output.sounding == []
    output.close()
    assert "cc 3 123 0" in words(port.heard)


@pytest.mark.parametrize("preset", ["plain", "mpe", "cc", "token"])
def test_close_is_a_panic_and_closes_the_port_once(preset: str) -> None:
    port = FakePort()
    output = fake_midi(port, preset=preset)
    output.open("cat", 1, STAGE)
    send(output, stroke((0.5, 0.5), (0.5, 0.5))[:1])
    send(output, [[Token(0.1, "cat", 0, 0, "a", -1.0, 2.0, False)]])
    output.close()
    output.close()
    assert Synth().hear(port.heard).sounding == []
    assert any(word.endswith(" 123 0") for word in words(port.heard))
    assert port.calls.count("close") == 1


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from made_events import STAGE, drawing, played
from midi_fakes import FakePort, fake_midi, send, words
class Loud(FakePort):
    def send(self, data):
        print(*words([data]), flush=True)
output = fake_midi(Loud())
output.open("cat", 1, STAGE)
send(output, list(played(drawing(5))))
{ending}
"""


def ended(ending: str) -> list[str]:
    program = PROGRAM.format(tests=str(TESTS), ending=ending)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines()


@pytest.mark.parametrize("ending", ["", "raise RuntimeError", "sys.exit(3)", "raise KeyboardInterrupt"])
def test_the_end_of_the_interpreter_silences(ending: str) -> None:
    got = ended(ending)
    assert "cc 1 123 0" in got
    assert sum(word.startswith("on") for word in got) == sum(word.startswith("off") for word in got) == 1


def test_a_thread_that_holds_the_output_for_ever_does_not_hold_the_exit() -> None:
    stuck = "target=lambda: (output._lock.acquire(), threading.Event().wait()), daemon=True"
    assert "cc 1 123 0" not in ended(f"import threading; threading.Thread({stuck}).start()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_silent() -> None:
    """The port is its parent's: the child's end may not end the parent's notes."""
    got = ended("import os; pid = os.fork()\nif pid == 0: sys.exit(0)\nos.waitpid(pid, 0); print('parent', flush=True)")
    assert got.count("cc 1 123 0") == 1
    assert got.index("parent") < got.index("cc 1 123 0")


def test_panic_from_another_thread_while_it_plays() -> None:
    port = FakePort()
    output = fake_midi(port, preset="mpe")
    output.open("cat", 1, STAGE)
    done = threading.Event()

    def panic() -> None:
        while not done.is_set():
            output.panic()

    other = threading.Thread(target=panic)
    other.start()
    try:
        for number in range(20):
            send(output, list(played(drawing(40, drawing=number))))
    finally:
        done.set()
        other.join()
    output.close()
    assert Synth().hear(port.heard).sounding == []
    assert output.errors == 0


# The port goes and comes.


def test_a_port_that_goes_and_comes_back() -> None:
    port = FakePort()
    output = fake_midi(port, preset="mpe")
    output.open("cat", 1, STAGE)
    send(output, stroke((0.5, 0.5), (0.5, 0.4), (0.5, 0.3))[:1])
    sounding = output.sounding
    assert len(sounding) == 1
    port.taken()
    port.there = False
    output.tick(2.0)
    assert "port lost" in repr(output)
    assert (output.port_lost, output.port_back, output.errors) == (1, 0, 1)
    send(output, [[action(1, 0.5, 0.4, at=2.1, pen=Pen.UP)]])  # its note-off cannot go
    send(output, stroke((0.2, 0.2), (0.3, 0.3), at=2.2, drawing=1)[:1])  # and this is not heard
    assert output.dropped > 0
    assert port.heard == []
    port.there = True
    output.tick(2.5)  # too early to look again
    assert port.heard == []
    output.tick(3.3)
    got = port.taken()
    channel, note = sounding[0]
    assert words(got)[0] == f"off {channel} {note} 64"
    assert f"cc {channel} 123 0" in words(got)
    assert got[-96:] == mpe_setup()
    assert (output.port_lost, output.port_back, output.errors) == (1, 1, 1)
    assert output.sounding == []
    send(output, stroke((0.2, 0.2), (0.3, 0.3), at=4.0, drawing=2))
    again = words(port.taken())
    assert any(word.startswith("on") for word in again)
    assert "back 1" in repr(output)
    output.close()


def test_a_port_that_is_back_is_told_everything_again() -> None:
    """It was off: it knows none of the values that it had."""
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    send(output, stroke((0.5, 0.5), (0.5, 0.5)))
    first = words(port.taken())
    port.there = False
    output.tick(2.0)
    port.there = True
    output.tick(4.0)
    port.taken()
    send(output, stroke((0.5, 0.5), (0.5, 0.5), at=5.0, drawing=1))
    assert words(port.taken()) == first
    output.close()


def test_a_message_that_does_not_go_out_loses_the_port_once() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    port.breaks = True
    send(output, list(played(drawing(40))))
    assert (output.port_lost, output.errors) == (1, 1)
    assert "the cable is out" in output.last_error
    port.breaks = False
    output.tick(5.0)
    assert output.port_back == 1
    output.close()


def test_watching_makes_no_new_ports() -> None:
    port = FakePort()
    output = fake_midi(port)
    output.open("cat", 1, STAGE)
    for step in range(10 * 60):
        output.tick(step / 60)
    assert port.calls.count("open") == 1
    assert 9 <= port.calls.count("present") <= 11
    port.there = False
    for step in range(10 * 60, 20 * 60):
        output.tick(step / 60)
    assert 9 <= port.calls.count("open") <= 11  # asked again on the port that there is
    assert port.calls.count("release") == 1
    output.close()


def test_names_of_ports() -> None:
    names = ["Midi Through:Midi Through Port-0 14:0", "Synth:Synth port 1 128:0", "Synth:Synth port 2 128:1", "synth"]
    assert find("synth", names) == "synth"
    assert find("Synth:Synth port 2", names) == "Synth:Synth port 2 128:1"
    assert find("Synth:Synth port 1 131:0", names) == "Synth:Synth port 1 128:0"  # it came back under another number
    assert find("through", names) == names[0]
    assert find("piano", names) is None
    assert plain(names[1]) == "Synth:Synth port 1"
    assert "'Synth:Synth port 1 128:0'" in str(system.not_found("piano", names, "ls.midi"))


class Client:
    """Of JACK: hears what was sent to it, where the server is alive."""

    def __init__(self) -> None:
        self.ports = ["livesketch:out"]
        self.queue: list[bytes] = []

    def ignore_types(self, **types: bool) -> None: ...

    def get_ports(self) -> list[str]:
        return self.ports

    def open_port(self, number: int, name: str) -> None: ...

    def get_message(self) -> tuple[list[int], float] | None:
        return (list(self.queue.pop(0)), 0.0) if self.queue else None


def test_a_jack_server_that_died_is_noticed_before_sending_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    from livesketch.midi_ports import out_port

    def refused(*asked: object) -> None:
        raise OutputError("JACK server not running?")

    monkeypatch.setattr(out_port, "client", refused)
    monkeypatch.setattr(out_port, "_PATIENCE", 0.0)
    server = Client()
    echo = _Echo(server, [])
    for number in range(5000):  # it is alive
        data = bytes((0xB0, 1, number % 128))
        echo.expect(data)
        server.queue.append(data)
    assert echo.well()
    assert echo.drained()
    taken = 0
    with pytest.raises(OutputError, match="takes no messages"):  # noqa: PT012 - at which one it is raised is the matter
        while taken < 5000:
            echo.expect(b"\xb0\x01\x00")
            taken += 1
    assert 1000 < taken < 16384 / 7  # RtMidi's buffer
    monkeypatch.setattr(out_port, "_DEAF", -1.0)
    assert not echo.well()
    assert not echo.drained()


def test_a_message_that_jack_lost_does_not_lose_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    from livesketch.midi_ports import out_port

    class Alive:
        def delete(self) -> None: ...

    monkeypatch.setattr(out_port, "client", lambda *asked: Alive())
    monkeypatch.setattr(out_port, "_PATIENCE", 0.0)
    monkeypatch.setattr(out_port, "_DEAF", -1.0)
    server = Client()
    echo = _Echo(server, [])
    for number in range(9):
        echo.expect(bytes((0xB0, 1, number)))
    server.queue = [bytes((0xB0, 1, 5))]
    echo._hear()
    assert len(echo._unheard) == 3  # those before it were lost, those after it may come
    assert echo.well()  # they do not, but the server answers
    assert len(echo._unheard) == 0


def test_a_port_that_was_never_opened_closes() -> None:
    port = OutPort("synth", virtual=False, api=None)
    assert not port.present()
    with pytest.raises(OutputError, match="not connected"):
        port.send(b"\xf8")
    port.release()
    port.close()


# Clock.


def clocked(beats: list[float]) -> list[str]:
    now = iter(beats)
    clock = make_clock(lambda _: next(now))
    assert clock is not None
    return [" ".join(message.hex() for message in clock.due(0.0)) for _ in beats]


def test_a_clock_starts_counts_and_stops() -> None:
    output_clock = make_clock(120)
    assert output_clock is not None
    got = [message for step in range(0, 1001, 10) for message in output_clock.due(7.0 + step / 1000)]
    assert got[0] == b"\xfa"
    assert got.count(b"\xf8") == 49  # two beats of 24, and the first of the next
    assert output_clock.stop() == [b"\xfc"]
    assert output_clock.stop() == []


def test_a_clock_that_begins_within_a_song_goes_on_at_the_next_sixteenth() -> None:
    got = clocked([4.1, 4.2, 4.25, 4.3])
    assert got == ["f21100 fb", "", "f8", "f8"]


def test_a_clock_that_jumps_says_where_it_is() -> None:
    assert clocked([0.0, 8.0, 8.01])[1].split()[:3] == ["fc", "f22000", "fb"]
    assert clocked([8.0, 1.0])[1].split()[:3] == ["fc", "f20400", "fb"]
    assert clocked([0.0, 1.0])[1].split() == ["f8"] * 24  # late by a beat, it catches up


def test_a_beat_that_raises_or_is_none_is_counted() -> None:
    def beats(now: float) -> float:
        if now == 1.0:
            raise ZeroDivisionError("no beat")
        return math.nan if now == 2.0 else now

    port = FakePort()
    output = fake_midi(port, clock=beats)
    output.open("cat", 1, STAGE)
    for now in (0.0, 1.0, 2.0, 3.0):
        output.tick(now)
    assert output.errors == 2
    assert port.heard[:2] == [b"\xfa", b"\xf8"]
    output.close()
    assert b"\xfc" in port.heard


# Whatever comes, in whatever order.

places = st.one_of(st.floats(-2, 3), st.sampled_from([math.nan, math.inf, 0.0, 0.5, 1.0]))
voices = st.integers(0, 19)
kinds = st.sampled_from(["drawing/begin", "stroke/begin", "stroke/end", "drawing/end", "swap", "hush"])
things = st.one_of(
    st.tuples(st.just("pen"), voices, places, places, st.sampled_from(Pen), st.booleans()),
    st.tuples(st.just("cue"), voices, places, places, kinds, st.just(None)),
    st.tuples(
        st.just("token"), voices, st.sampled_from(["a", " ", "", "猫"]), st.integers(-1, 400), st.just(0), st.just(0)
    ),
    st.sampled_from([("tick",), ("lift",), ("panic",), ("lose",), ("find",), ("open",)]),
)


@settings(max_examples=120, deadline=None)
@given(
    preset=st.sampled_from(["plain", "mpe", "cc", "token"]),
    steps=st.lists(st.tuples(st.sampled_from([0.0, 0.004, 0.02, 1.5, -3.0]), things), max_size=60),
    channel=st.sampled_from([None, [1], [4, 5]]),
)
def test_no_note_hangs_whatever_comes(
    preset: str, steps: list[tuple[float, tuple[object, ...]]], channel: object
) -> None:
    port = FakePort()
    output = fake_midi(port, preset=preset, channel=None if preset == "mpe" else channel)
    output.open("cat", 3, STAGE)
    now = 0.0
    for number, (passed, thing) in enumerate(steps):
        now += passed
        do(output, port, thing, now, number)
        if thing[0] in {"lift", "panic"}:
            assert output.sounding == []
    port.there = True
    output.close()
    assert output.sounding == []
    synth = Synth().hear(port.heard)
    assert synth.sounding == []
    if preset == "mpe":
        assert synth.most <= 1
    assert output.last_error == "" or "\n" not in output.last_error


def do(output: MidiOutput, port: FakePort, thing: tuple[object, ...], now: float, number: int) -> None:
    match thing:
        case ("pen", voice, x, y, pen, ink):
            output.send(action(number, x, y, pen=pen, ink=ink, at=now, voice=voice, last=pen is Pen.END))  # type: ignore[arg-type]
        case ("cue", voice, x, y, kind, _):
            output.send(Cue(now, "cat", voice, 0, number, kind, x, y))  # type: ignore[arg-type]
        case ("token", voice, text, index, _, _):
            output.send(Token(now, "cat", voice, number, text, -1.0, 2.0, False, index=index))  # type: ignore[arg-type]
        case ("lose",):
            port.there = False
            output.tick(now + 1.5)
        case ("find",):
            port.there = True
            output.tick(now + 3)
        case ("open",):
            output.open("cat", 3, STAGE)
        case ("tick",):
            output.tick(now)
        case (word,):
            getattr(output, str(word))()


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 40), voices=st.integers(1, 20), preset=st.sampled_from(["plain", "mpe", "cc"]))
def test_every_stroke_is_heard(count: int, voices: int, preset: str) -> None:
    """A note for each stroke, whoever else draws; none is dropped."""
    port = FakePort()
    output = fake_midi(port, preset=preset)
    output.open("cat", voices, STAGE)
    rings = [played(drawing(count, voice=voice)) for voice in range(voices)]
    for steps in zip(*rings, strict=True):
        for step in steps:
            for event in step:
                output.send(event)
        output.tick(steps[0][0].at)
    output.close()
    strokes = voices * math.ceil(count / 8)
    synth = Synth().hear(port.heard)
    assert synth.begun == (0 if preset == "cc" else strokes)
    assert synth.sounding == []
    assert output.dropped == 0
