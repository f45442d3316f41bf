"""``livesketch play`` and ``replay`` to MIDI: ports and files, and the options that say how it sounds."""

import sys
from pathlib import Path

import mido
import pytest
from midi_fakes import FakePort, Synth, words
from small_models import small_checkpoint

import livesketch as ls
from livesketch import cli
from livesketch.midi_ports import system
from livesketch.models.checkpoint import save_checkpoint
from livesketch.outputs import midi as midi_module


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(), path)
    return str(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recorded(model, here):
    ls.play(ls.sketch(model, seed=4), ls.trace("cat.jsonl"), rate=1000, then="stop", clock=ls.OfflineClock()).wait(10)
    return "cat.jsonl"


@pytest.fixture
def ports(monkeypatch):
    """Ports that were asked for: the name, whether it is one of our own, and what it heard."""
    made = []

    class Port(FakePort):
        def __init__(self, port, *, virtual, api):
            super().__init__()
            made.append((port, virtual, self))

        def check(self):
            if "gone" in str(made[-1][0]):
                raise ls.OutputError("no MIDI port 'gone'")

    monkeypatch.setattr(midi_module, "OutPort", Port)
    return made


def notes(path):
    """The notes that begin in a file, as (channel, number)."""
    return [(m.channel + 1, m.note) for m in mido.MidiFile(path) if m.type == "note_on"]


# Bad input


@pytest.mark.parametrize("command", ["play", "replay"])
@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--preset", "mpe"], 2, "--preset: for MIDI; expected --midi PORT or --mid FILE"),
        (["--program", "3", "--scale", "minor"], 2, "--scale, --program: for MIDI"),
        (["--mid", "a.mid", "--preset", "flute"], 2, "'plain', 'mpe', 'cc', 'token'"),
        (["--mid", "a.mid", "--preset", "token"], 2, "nothing of a drawing is heard"),
        (["--mid", "a.mid", "--scale", "minorish"], 2, "pentatonic"),
        (["--mid", "a.mid", "--scale", "0,12"], 2, "semitones from 0 to 11"),
        (["--mid", "a.mid", "--scale", ""], 2, "pentatonic"),
        (["--mid", "a.mid", "--root", "H2"], 2, "'C4' (60, middle C)"),
        (["--mid", "a.mid", "--root", "128"], 2, "0 to 127"),
        (["--mid", "a.mid", "--preset", "mpe", "--channel", "3"], 2, "leave it out"),
        (["--mid", "no/such/folder/a.mid"], 4, "no/such/folder"),
        (["--mid", ""], 4, "the name of a file"),
        (["--mid", "a.mid", "--midi", "gone"], 4, "gone"),
        (["--midi", " "], 2, "the name of a MIDI port"),
    ],
)
def test_mistakes_are_said_in_one_line_and_nothing_is_written(
    model, here, recorded, ports, capsys, command, args, code, says
):
    what = ["play", model, "--seconds", "5"] if command == "play" else ["replay", recorded]
    assert cli.main([*what, "--quiet", *args]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "\n" not in err.strip()
    assert [path.name for path in here.iterdir()] == [recorded]


@pytest.mark.parametrize("args", [["--channel", "0"], ["--channel", "17"], ["--program", "129"], ["--program", "x"]])
def test_numbers_out_of_range_end_with_the_usage(capsys, args):
    with pytest.raises(SystemExit) as ended:
        cli.main(["play", "cat", "--mid", "a.mid", *args])
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_without_python_rtmidi_a_port_is_refused_and_a_file_is_not(model, here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    system.rtmidi_module.cache_clear()
    try:
        assert cli.main(["play", model, "--midi", "synth", "--seconds", "5", "--quiet"]) == 5
        assert "livesketch[midi]" in capsys.readouterr().err
        assert cli.main(["play", model, "--mid", "a.mid", "--seconds", "0.1", "--quiet"]) == 0
    finally:
        system.rtmidi_module.cache_clear()


def test_what_is_silent_for_a_text(here, capsys):
    assert cli.main(["play", "wuyan", "--mid", "a.mid", "--preset", "mpe"]) == 2
    assert "nothing of a text is heard" in capsys.readouterr().err


# Played


def test_a_file_holds_what_the_library_would_write(model, here):
    args = ["--scale", "dorian", "--root", "D2", "--channel", "5", "--program", "12"]
    assert (
        cli.main(
            ["play", model, "--seed", "4", "--rate", "400", "--seconds", "0.3", "--quiet", "--mid", "a.mid", *args]
        )
        == 0
    )
    out = ls.midi_file("b.mid", scale="dorian", root="D2", channel=5, program=12)
    ls.draw(ls.sketch(model, seed=4), [out], n=40)
    got, wanted = notes("a.mid"), notes("b.mid")
    assert len(got) > 3
    assert got == wanted[: len(got)]
    assert {channel for channel, _ in got} == {5}
    assert [m.program for m in mido.MidiFile("a.mid") if m.type == "program_change"] == [11]


def test_semitones_and_note_numbers_may_be_given(model, here):
    args = ["play", model, "--seed", "4", "--rate", "400", "--seconds", "0.3", "--quiet", "--mid", "a.mid"]
    assert cli.main([*args, "--scale", "0, 7", "--root", "36"]) == 0
    assert {note % 12 for _, note in notes("a.mid")} <= {0, 7}
    assert all(36 <= note <= 72 for _, note in notes("a.mid"))


def test_a_text_is_notes_where_nothing_is_said(here):
    args = ["play", "wuyan", "--seed", "3", "--rate", "200", "--seconds", "0.3", "--quiet", "--mid", "a.mid"]
    assert cli.main(args) == 0
    out = ls.midi_file("b.mid", preset="token")
    more = iter(range(10))
    player = ls.play(
        ls.text("wuyan", seed=3), out, rate=200, clock=ls.OfflineClock(),
        then=lambda stream: None if next(more, None) is None else stream,
    )  # fmt: skip
    assert player.wait(20)
    got = notes("a.mid")
    assert len(got) > 3
    assert got == notes("b.mid")[: len(got)]


def test_ports_are_played_to_and_left_silent(model, here, ports):
    args = ["--midi", "one", "--midi", "-", "--preset", "mpe", "--mid", "a.mid"]
    assert cli.main(["play", model, "--seed", "4", "--rate", "400", "--seconds", "0.3", "--quiet", *args]) == 0
    assert [(name, virtual) for name, virtual, _ in ports] == [("one", False), (None, True)]
    for _, _, port in ports:
        synth = Synth().hear(port.heard)
        assert synth.begun == len(notes("a.mid")) > 3
        assert synth.sounding == []
        assert "cc 1 6 15" in words(port.heard)
        assert port.calls[-1] == "close"


def test_a_recording_is_played_again_to_midi(model, here, recorded, ports):
    assert cli.main(["replay", recorded, "--quiet", "--times", "5", "--mid", "a.mid", "--midi", "synth"]) == 0
    ls.draw(ls.sketch(model, seed=4), [ls.midi_file("b.mid")])
    assert notes("a.mid") == notes("b.mid") != []
    assert Synth().hear(ports[0][2].heard).begun == len(notes("a.mid"))


def test_a_recorded_text_is_notes_too(here):
    ls.play(ls.text("wuyan", seed=3), ls.trace("poem.jsonl"), rate=1000, then="stop", clock=ls.OfflineClock()).wait(10)
    assert cli.main(["replay", "poem.jsonl", "--quiet", "--times", "5", "--mid", "a.mid"]) == 0
    assert len(notes("a.mid")) > 3
    assert Path("a.mid").stat().st_size > 100
