"""The ``.mid`` file: bad paths first, then bytes, moments, and what it does when its clock or its disk misbehaves."""

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import STAGE, action, drawing, end, played
from midi_fakes import FakePort, Synth, fake_midi, send

import livesketch as ls
from livesketch.cues import CueMaker
from livesketch.errors import ControlError, OutputError
from livesketch.events import Event, Pen, Token
from livesketch.outputs.base import Stage
from livesketch.outputs.midi_file import MidiFileOutput, _length, midi_file


@pytest.mark.parametrize("path", ["", ".", "missing/take.mid", "a\0b.mid", None, 7, b"take.mid"])
def test_paths_where_no_file_can_be_written(path: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError):
        midi_file(path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bpm", [0, 19.99, 1000, math.nan, "120", None])
def test_tempos_that_are_none(bpm: object, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="20 to 999"):
        midi_file(tmp_path / "a.mid", bpm=bpm)  # type: ignore[arg-type]


def test_nothing_is_written_where_nothing_was_played(tmp_path: Path) -> None:
    output = midi_file(tmp_path / "a.mid")
    output.send(action(0, 0.5, 0.5))
    output.close()
    assert output.errors == 1
    assert list(tmp_path.iterdir()) == []


def written(path: Path, steps: Iterator[list[Event]] | list[list[Event]], **chosen: object) -> bytes:
    output = midi_file(path, **chosen)  # type: ignore[arg-type]
    output.open("cat", 2, STAGE)
    for step in steps:
        for event in step:
            output.send(event)
        output.tick(step[-1].at)
    output.lift()
    output.close()
    assert output.errors == 0
    return path.read_bytes()


def two_drawings(at: float = 0.0) -> list[list[Event]]:
    first = [action(step, 0.5 + step / 20, 0.5 - step / 30, at=at + step / 60, pen=Pen.UP if step == 5 else Pen.DOWN)
             for step in range(6)]  # fmt: skip
    second = [action(step, 0.2, 0.1 * step, at=at + 1 + step / 60, drawing=1) for step in range(6)]
    dot = action(6, 0.9, 0.9, at=at + 1.2, drawing=1, ink=False, pen=Pen.UP)
    actions = [*first, end(6, 0.8, 0.3, at=at + 0.1), *second, dot, end(7, 0.9, 0.9, at=at + 1.25, drawing=1)]
    return list(played(actions))


@pytest.mark.parametrize("preset", ["plain", "mpe", "cc"])
def test_golden_bytes(preset: str, tmp_path: Path, golden: Callable[[str, bytes], None]) -> None:
    golden(f"take_{preset}.mid", written(tmp_path / "a.mid", two_drawings(), preset=preset))


def test_golden_bytes_of_tokens(tmp_path: Path, golden: Callable[[str, bytes], None]) -> None:
    steps: list[list[Event]] = [
        [Token(number / 4, "poem", 0, number, text, -number / 3, 2.0, False, index=number * 7)]
        for number, text in enumerate("山为斜好几，")
    ]
    golden("take_token.mid", written(tmp_path / "a.mid", steps, preset="token", program=12))


@pytest.mark.parametrize("preset", ["plain", "mpe", "cc"])
def test_the_bytes_depend_on_the_events_alone(preset: str, tmp_path: Path) -> None:
    """Not on ticks, nor on which moment the clock began with."""
    first = written(tmp_path / "a.mid", two_drawings(), preset=preset)
    output = midi_file(tmp_path / "b.mid", preset=preset)  # type: ignore[arg-type]
    output.open("cat", 2, STAGE)
    for step in two_drawings(4096.0):
        for event in step:
            output.send(event)
        for number in range(3):
            output.tick(1e9 * number)
    output.close()
    assert (tmp_path / "b.mid").read_bytes() == first


def test_mido_reads_tempo_name_and_moments(tmp_path: Path) -> None:
    data = written(tmp_path / "a.mid", two_drawings(), bpm=90)
    file = mido.MidiFile(file=io.BytesIO(data))
    assert (file.type, len(file.tracks), file.ticks_per_beat) == (1, 2, 480)
    assert [message.tempo for message in file.tracks[0] if message.type == "set_tempo"] == [round(6e7 / 90)]
    assert file.tracks[1][0].text == "cat: model cat, seed 7"
    on = [at for at, message in moments(file) if message.type == "note_on"]
    assert on == pytest.approx([0.0, 1.0, 1.2], abs=0.002)
    off = [at for at, message in moments(file) if message.type == "note_off"]
    assert off == pytest.approx([5 / 60, 1.2, 1.23], abs=0.002)  # the dot sounds for 30 ms
    assert file.length == pytest.approx(1.23, abs=0.002)


def moments(file: mido.MidiFile) -> list[tuple[float, mido.Message]]:
    at, out = 0.0, []
    for message in file:
        at += message.time
        out.append((at, message))
    return out


@pytest.mark.parametrize("preset", ["plain", "mpe", "cc"])
def test_the_file_holds_what_would_be_played(preset: str, tmp_path: Path) -> None:
    """Every note that the port gets, and where each control ends."""
    steps = list(played(drawing(120)))
    port = FakePort()
    live = fake_midi(port, preset=preset)
    live.open("cat", 2, STAGE)
    send(live, steps)
    live.lift()
    sent = list(port.heard)
    live.close()
    data = written(tmp_path / "a.mid", steps, preset=preset)
    read = [bytes(message.bytes()) for message in mido.MidiFile(file=io.BytesIO(data)).tracks[1] if not message.is_meta]
    assert notes(read) == notes(sent)
    assert last_values(read) == last_values(sent)
    assert Synth().hear(read).sounding == []


def notes(messages: list[bytes]) -> list[bytes]:
    return [data for data in messages if data[0] & 0xE0 == 0x80]


def last_values(messages: list[bytes]) -> dict[bytes, bytes]:
    return {data[:2] if data[0] & 0xF0 == 0xB0 else data[:1]: data for data in messages if data[0] & 0xF0 >= 0xB0}


def test_it_goes_on_behind_what_is_there_when_opened_again(tmp_path: Path) -> None:
    output = midi_file(tmp_path / "a.mid")
    for _ in range(3):  # each time the clock begins anew
        output.open("cat", 1, STAGE)
        for step in two_drawings():
            for event in step:
                output.send(event)
        output.close()
    file = mido.MidiFile(tmp_path / "a.mid")
    on = [at for at, message in moments(file) if message.type == "note_on"]
    assert len(on) == 9
    assert on == sorted(on)
    assert file.length == pytest.approx(3 * 1.25, abs=0.1)
    assert Synth().hear(bytes(message.bytes()) for message in file.tracks[1] if not message.is_meta).sounding == []


def test_a_dot_at_the_end_is_heard(tmp_path: Path) -> None:
    dot = CueMaker().events(action(0, 0.2, 0.2, ink=False, pen=Pen.UP, at=1.0))
    output = midi_file(tmp_path / "a.mid")
    output.open("cat", 1, STAGE)
    for event in dot:
        output.send(event)
    output.close()
    assert mido.MidiFile(tmp_path / "a.mid").length == pytest.approx(0.03, abs=0.002)


def test_the_time_between_two_plays_is_left_out(tmp_path: Path) -> None:
    output = midi_file(tmp_path / "a.mid")
    for start in (5000.0, 5900.0):
        output.open("cat", 1, STAGE)
        for step in two_drawings(start):
            for event in step:
                output.send(event)
        output.close()
    assert mido.MidiFile(tmp_path / "a.mid").length == pytest.approx(2.5, abs=0.05)


def test_a_swap_within_a_stroke(tmp_path: Path) -> None:
    output = midi_file(tmp_path / "a.mid")
    output.open("cat", 1, STAGE)
    for step in two_drawings()[:3]:
        for event in step:
            output.send(event)
    output.lift()
    output.open("cat", 1, Stage("folder/猫.safetensors", 8, 120.0))
    for step in two_drawings(0.1):
        for event in step:
            output.send(event)
    output.close()
    file = mido.MidiFile(tmp_path / "a.mid", charset="utf-8")
    texts = [message.text for message in file.tracks[1] if message.type == "text"]
    assert texts == ["cat: model cat, seed 7", "cat: model 猫.safetensors, seed 8"]
    on = [at for at, message in moments(file) if message.type == "note_on"]
    assert on == pytest.approx([0.0, 0.1, 1.1, 1.3], abs=0.002)


def test_a_machine_that_was_away_leaves_no_days_of_silence(tmp_path: Path) -> None:
    output = midi_file(tmp_path / "a.mid")
    output.open("cat", 1, STAGE)
    for step in [*two_drawings(), *two_drawings(1e6), *two_drawings(1e300)]:
        for event in step:
            output.send(event)
    output.close()
    assert output.errors == 2
    assert "left out" in output.last_error
    assert mido.MidiFile(tmp_path / "a.mid").length < 10


def test_a_full_disk_is_counted_while_it_plays_and_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livesketch.outputs import midi_file as module

    output = midi_file(tmp_path / "a.mid")
    output.open("cat", 1, STAGE)

    def full(path: object) -> None:
        raise OutputError(f"{path}: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(module, "replacing", full)
        for step in two_drawings():
            for event in step:
                output.send(event)
            output.tick(step[-1].at)
        assert output.errors == 1
        with pytest.raises(OutputError, match="No space left"):
            output.close()
    assert not (tmp_path / "a.mid").exists()
    output.close()
    assert mido.MidiFile(tmp_path / "a.mid").length > 1


def test_a_play_that_is_killed_leaves_the_drawings_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livesketch.outputs.midi_file._SAVE_SHARE", 1e9)  # the disk of the day does not count
    output = midi_file(tmp_path / "a.mid")
    output.open("cat", 1, STAGE)
    for step in [*two_drawings(), *two_drawings(3.0)[:12]]:
        for event in step:
            output.send(event)
        output.tick(step[-1].at)
    file = mido.MidiFile(tmp_path / "a.mid")  # never closed; a note sounds
    messages = [bytes(message.bytes()) for message in file.tracks[1] if not message.is_meta]
    assert Synth().hear(messages).sounding == []
    assert Synth().hear(messages).begun >= 4
    output.close()


def test_through_draw(tmp_path: Path) -> None:
    output = ls.midi_file(tmp_path / "cat.mid", preset="mpe", scale="dorian", root="A2")
    ls.draw(ls.sketch("cat", seed=5), to=[output], n=2)
    file = mido.MidiFile(tmp_path / "cat.mid")
    strokes = sum(message.type == "note_on" for message in file.tracks[1])
    assert strokes >= 4
    assert "messages" in repr(output)


@given(st.integers(0, 0x0FFFFFFF))
def test_lengths_as_mido_writes_them(number: int) -> None:
    from mido.midifiles.meta import encode_variable_int

    assert _length(number) == bytes(encode_variable_int(number))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 1e-4, 0.02, 5.0, -2.0, 1e12, math.nan]), st.integers(0, 3), st.floats(-1, 2),
            st.sampled_from(Pen), st.booleans(), st.sampled_from(["", "lift", "panic", "open", "close"]),
        ),
        max_size=40,
    ),
    st.sampled_from(["plain", "mpe", "cc"]),
)  # fmt: skip
def test_any_events_make_a_sound_file(steps: list[tuple[object, ...]], preset: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        output = MidiFileOutput(Path(folder) / "a.mid", fake_midi(preset=preset)._sound, 120.0)
        output.open("cat", 1, STAGE)
        now = 0.0
        for number, (passed, voice, y, pen, ink, then) in enumerate(steps):
            now += passed  # type: ignore[operator]
            output.send(action(number, 0.5, y, at=now, voice=voice, pen=pen, ink=ink))  # type: ignore[arg-type]
            if then == "open":
                output.open("cat", 2, STAGE)
            elif then:
                getattr(output, str(then))()
        output.open("cat", 1, STAGE)
        output.close()
        file = mido.MidiFile(Path(folder) / "a.mid")
        messages = [bytes(message.bytes()) for message in file.tracks[1] if not message.is_meta]
        synth = Synth().hear(messages)
        assert synth.sounding == []
        assert all(message.time >= 0 for message in file.tracks[1])
