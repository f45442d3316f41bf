"""MIDI against what others wrote: python-rtmidi through a JACK server, both ways, and fluidsynth for files."""

import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import skip_or_fail
from jack_server import Jack
from jack_server import jack as jack  # noqa: PLC0414 - a fixture
from made_events import STAGE, action, drawing, end, played

from livesketch.events import Event, Pen
from livesketch.outputs.midi_file import midi_file

SOUNDFONTS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts")


@pytest.mark.parametrize("preset", ["plain", "mpe", "cc"])
def test_a_peer_hears_every_message_in_order(jack: Jack, preset: str) -> None:
    """JACK itself may drop a message where it is late (an xrun); so the best of three plays counts."""
    program = f"""
client, got = peer_in()
client.open_virtual_port("in")
answer["tries"] = []
for number in range(3):
    output = noted(ls.midi("peer", preset={preset!r}))
    output.open("cat", 2, STAGE)
    for step in played(drawing(60)):
        send(output, [step])
        time.sleep(0.003)
    output.close()
    sent = output._cable.port.sent
    wait_for(lambda: got and got[-1][1] == sent[-1])
    heard = [data for _, data in got]
    got.clear()
    same = heard == sent
    answer["tries"].append([len(sent), len(heard), same, output.errors, output.dropped, Synth().hear(heard).sounding])
    if same:
        break
client.close_port()
client.delete()
"""
    sent, heard, same, *rest = jack.run(program)["tries"][-1]
    assert (heard, same, rest) == (sent, True, [0, 0, []])
    assert sent > 100


def test_a_port_of_our_own_is_listed_and_heard(jack: Jack, run_cli: Callable[..., Any]) -> None:
    program = """
output = ls.midi(preset="token", clock=999)
output.open("cat", 1, STAGE)
answer["ports"] = list(ls.ports().inputs)
client, got = peer_in()
client.open_port(client.get_ports().index(answer["ports"][0]))
for tick in range(50):
    output.tick(tick / 50)
    time.sleep(0.01)
answer["cli"] = subprocess.run(
    [sys.executable, "-m", "livesketch", "ports"], capture_output=True, text=True, check=True).stdout
output.panic()
output.close()
time.sleep(0.2)
answer["heard"] = [data.hex() for _, data in got]
answer["repr"] = repr(ls.ports())
client.close_port(); client.delete()
"""
    got = jack.run(program)
    assert got["ports"] == ["livesketch:livesketch"]
    assert "inputs:\n  livesketch:livesketch\n" in got["cli"]
    assert "echo" not in got["cli"] + got["repr"]
    assert 150 < got["heard"].count("f8") <= 401  # the first ones may be before the peer listened
    assert got["heard"][-1] == "fc"


def test_the_command_line_plays_to_a_peer_and_ends_silent(jack: Jack) -> None:
    program = """
client, got = peer_in()
client.open_virtual_port("in")
command = [sys.executable, "-m", "livesketch", "play", "cat", "--seed", "1", "--midi", "peer", "--preset", "mpe"]
done = subprocess.run([*command, "--seconds", "2", "--quiet"], capture_output=True, text=True, timeout=60)
answer["done"] = [done.returncode, done.stderr]
time.sleep(0.2)
synth = Synth().hear([data for _, data in got])
answer["heard"] = [synth.begun, synth.sounding]
client.close_port(); client.delete()
"""
    got = jack.run(program)
    assert got["done"] == [0, ""]
    assert got["heard"][0] > 3
    assert got["heard"][1] == []


def test_silence_within_50_milliseconds(jack: Jack) -> None:
    """From ``panic()`` to the last of 15 note-offs at the receiver; the best of eight, since JACK may be late."""
    program = """
client, got = peer_in()
client.open_virtual_port("in")
answer["took"] = []
def count(kind):
    return sum(data[0] & 0xF0 == kind for _, data in got)
def soon(true):
    end = time.monotonic() + 1
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    return true()
for number in range(8):
    output = ls.midi("peer", preset="mpe")
    output.open("cat", 15, STAGE)
    for voice in range(15):
        send(output, [list(step) for step in played(drawing(3, voice=voice))][:2])
    heard = soon(lambda: count(0x90) == 15)
    time.sleep(0.05)
    got.clear()
    begun = time.monotonic()
    output.panic()
    if heard and soon(lambda: count(0x80) == 15):
        answer["took"].append([at for at, data in got if data[0] & 0xF0 == 0x80][14] - begun)
    output.close()
    time.sleep(0.05)
    got.clear()
client.close_port(); client.delete()
"""
    took = jack.run(program)["took"]
    print("panic to silence, ms:", [round(1000 * seconds, 1) for seconds in took])
    assert len(took) >= 4
    assert min(took) < 0.05


def test_a_peer_that_goes_and_comes_back(jack: Jack) -> None:
    program = """
client, got = peer_in()
client.open_virtual_port("in")
output = ls.midi("peer")
output.open("cat", 1, STAGE)
steps = [list(step) for step in played(drawing(20))]
send(output, steps[:3])
client.close_port(); client.delete()
output.tick(10.0)
answer["lost"] = [output.port_lost, output.port_back]
client, got = peer_in()
client.open_virtual_port("in")
output.tick(20.0)
answer["back"] = [output.port_lost, output.port_back]
wait_for(lambda: len(got) >= 4)
answer["first"] = words([got[0][1]])
send(output, steps)
output.close()
wait_for(lambda: words([got[-1][1]]) == ["bend 1 0"])
answer["sounding"] = Synth().hear([data for _, data in got]).sounding
client.close_port(); client.delete()
"""
    got = jack.run(program)
    assert (got["lost"], got["back"]) == ([1, 0], [1, 1])
    assert got["first"][0].startswith("off 1 ")
    assert got["sounding"] == []


def test_a_server_that_is_killed_hangs_nothing_and_a_new_one_is_found(jack: Jack) -> None:
    """RtMidi would wait for ever for room in a buffer that nobody empties, with the interpreter in its hand."""
    other = Jack(jack.program, jack.library, "livesketch-doomed")  # this program starts it, and kills it
    program = f"""
def serve():
    env = {{key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}}
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = subprocess.Popen({other.command!r}, env=env, **quiet)
    wait_for(lambda: not ls.ports().missing)
    return server

server = serve()
output = ls.midi(preset="mpe")
output.open("cat", 1, STAGE)
now = 0.0
def go(drawings):
    global now
    for number in range(drawings):
        send(output, played(drawing(60, drawing=number)), now)
        now += 1.0
go(1)
answer["before"] = [output.errors, output.dropped]
server.kill()
server.wait()
begun = time.monotonic()
go(40)
answer["took"] = time.monotonic() - begun
answer["lost"] = output.port_lost
server = serve()
now += 5
go(3)
answer["back"] = output.port_back
sent = output.sent
go(2)
answer["more"] = output.sent > sent
output.close()
answer["sounding"] = output.sounding
server.terminate()
server.wait()
"""
    got = other.run(program)
    assert got["before"] == [0, 0]
    assert got["lost"] == 1
    assert got["took"] < 20
    assert (got["back"], got["more"], got["sounding"]) == (1, True, [])


def test_midi_in_hears_a_peer(jack: Jack) -> None:
    program = """
knobs = peer_out()
knobs.open_virtual_port("out")
keys = ls.midi_in()  # the only device that there is
values = {"cc": [], "fine": [], "bend": [], "key": [], "learnt": []}
keys.map(74, values["cc"].append, 0, 127).map(1, values["fine"].append, 0, 16383, bits=14)
keys.map("bend", values["bend"].append, -1, 1).map("C4", values["key"].append)
ls.midi_learn(values["learnt"].append)
messages = [(0xB0, 20, 127)] + [(0xB0, 74, n) for n in range(128)]
messages += [(0xB0, 33, 0)] + [m for n in range(0, 16384, 999) for m in ((0xB0, 1, n >> 7), (0xB0, 33, n & 127))]
messages += [(0xE0, 0, 0), (0xE0, 0, 64), (0xE0, 127, 127), (0x90, 60, 127), (0x80, 60, 0)]
for message in messages:
    knobs.send_message(message)
    time.sleep(0.001)
wait_for(lambda: keys.messages >= len(messages))
answer.update(values)
answer["name"] = repr(keys)
knobs.close_port(); knobs.delete()
keys.check()
answer["lost"] = keys.port_lost
knobs = peer_out()
knobs.open_virtual_port("out")
keys.check()
answer["back"] = keys.port_back
for number in range(100):  # the connection takes a moment
    knobs.send_message((0xB0, 74, 5))
    time.sleep(0.01)
answer["again"] = values["cc"][-1]
keys.close()
knobs.close_port(); knobs.delete()
own = ls.midi_in()
answer["own"] = list(ls.ports().outputs)
own.close()
"""
    got = jack.run(program)
    assert got["learnt"] == [1.0]
    assert got["cc"][:128] == list(range(128))
    assert got["fine"][1:] == list(range(0, 16384, 999))
    assert got["bend"] == [-1.0, 0.0, 1.0]
    assert got["key"] == [1.0, 0.0]
    assert "knobs:out" in got["name"]
    assert (got["lost"], got["back"]) == (1, 1)
    assert got["own"] == ["livesketch:livesketch"]


def test_out_and_in_through_the_system(jack: Jack) -> None:
    """What ``ls.midi`` plays, ``ls.midi_in`` hears: the pen's place with 14 bits."""
    program = """
keys = ls.midi_in(virtual=True)
places = []
keys.map(16, places.append, bits=14)
output = ls.midi("livesketch", preset="cc")
output.open("cat", 1, STAGE)
for number in range(50):
    send(output, [[action(number, number / 49, 0.5, at=number / 50)]])
    time.sleep(0.005)
wait_for(lambda: places and places[-1] == 1.0)
answer["places"] = places
output.close()
keys.close()
"""
    places = jack.run(program)["places"]
    places = places[places.index(0.0) :]  # before that, where the pen comes from
    assert places == sorted(places)
    assert len(places) >= 45


@pytest.fixture
def soundfont() -> str:
    found = [path for folder in SOUNDFONTS for path in sorted(Path(folder).glob("*.sf2"))]
    if not found:
        skip_or_fail("peers", "no SoundFont in /usr/share/sounds/sf2; .ci/run installs one")
    return str(found[0])


def rendered(program: str, soundfont: str, file: Path) -> np.ndarray:
    """What fluidsynth makes of the file: samples of one channel, 44,100 a second; it may say nothing against it."""
    sound = file.with_suffix(".wav")
    command = [program, "-ni", "-R", "0", "-C", "0", "-r", "44100", "-T", "wav", "-F", str(sound), soundfont, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    said = (done.stdout + done.stderr).casefold()
    assert not any(word in said for word in ("warning", "error", "panic", "unknown", "invalid")), said
    with wave.open(str(sound)) as read:
        assert (read.getframerate(), read.getnchannels()) == (44100, 2)
        return np.frombuffer(read.readframes(read.getnframes()), dtype="<i2")[::2].astype(float)


def write(path: Path, steps: list[list[Event]], **chosen: object) -> Path:
    output = midi_file(path, **chosen)  # type: ignore[arg-type]
    output.open("cat", 1, STAGE)
    for step in steps:
        for event in step:
            output.send(event)
    output.close()
    return path


@pytest.mark.parametrize("preset", ["plain", "mpe", "cc"])
def test_fluidsynth_plays_the_file(preset: str, peer: Callable[[str], str], soundfont: str, tmp_path: Path) -> None:
    program = peer("fluidsynth")
    steps = [step for number in range(3) for step in played(drawing(60, drawing=number, at=float(number)))]
    samples = rendered(program, soundfont, write(tmp_path / "take.mid", steps, preset=preset, program=12))
    loud = np.abs(samples).max()
    assert loud < 50 if preset == "cc" else loud > 500  # controllers alone make no sound


def fundamental(program: str, soundfont: str, file: Path, semitones: float) -> float:
    """Hertz of a stroke that begins at height 0.5 of ten octaves from C-1 (60) and moves by so many semitones."""
    y = 0.5 - semitones / 120
    actions = [action(0, 0.5, 0.5, at=0.0), *(action(n, 0.5, y, at=n / 60) for n in range(1, 90))]
    last = [action(90, 0.5, y, at=1.5, pen=Pen.UP), end(91, 0.5, y, at=1.5)]
    write(file, list(played([*actions, *last])), preset="mpe", root=0, octaves=10)
    part = rendered(program, soundfont, file)[4410:48510] * np.hanning(44100)
    spectrum = np.abs(np.fft.rfft(part, 8 * len(part)))
    wanted = 440 * 2 ** ((60 + semitones - 69) / 12)
    near = slice(int(wanted * 8 * 0.93), int(wanted * 8 * 1.07))
    return (near.start + int(np.argmax(spectrum[near]))) / 8


@pytest.mark.parametrize("semitones", [-24.5, -12.0, 7.25, 12.0, 36.0])
def test_fluidsynth_bends_to_the_exact_pitch(
    semitones: float, peer: Callable[[str], str], soundfont: str, tmp_path: Path
) -> None:
    """Its bends are 127/128 of what is asked for: SoundFont's modulator is 12,700 cents for 128 semitones."""
    program = peer("fluidsynth")
    straight = fundamental(program, soundfont, tmp_path / "straight.mid", 0.0)
    bent = fundamental(program, soundfont, tmp_path / "bent.mid", semitones)
    cents = 1200 * np.log2(bent / straight)
    assert cents == pytest.approx(100 * semitones * 127 / 128, abs=4)
