"""MIDI ports made of nothing, and what a receiver makes of the messages."""

from collections.abc import Callable, Iterable

import mido

from livesketch.errors import OutputError
from livesketch.events import Event
from livesketch.outputs.midi import MidiOutput
from livesketch.outputs.midi_presets import FAST, make_sound


class FakePort:
    """Stands for a port: notes what is sent, and goes away when told to."""

    def __init__(self) -> None:
        self.name = "fake"
        self.there = True
        self.breaks = False
        """The next message does not go out."""
        self.heard: list[bytes] = []
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")
        if not self.there:
            raise OutputError("no MIDI port 'fake'")

    def present(self) -> bool:
        self.calls.append("present")
        return self.there

    def send(self, data: bytes) -> None:
        if self.breaks or not self.there:
            raise RuntimeError("the cable is out")
        self.heard.append(data)

    def release(self) -> None:
        self.calls.append("release")

    def close(self) -> None:
        self.calls.append("close")

    def taken(self) -> list[bytes]:
        """What came since the last time."""
        heard, self.heard = self.heard, []
        return heard


class FakeSource:
    """Stands for an input port."""

    def __init__(self) -> None:
        self.name = "knobs"
        self.period = None
        self.there = True
        self.calls: list[str] = []
        self.hear: Callable[[bytes], None] | None = None

    def open(self, hear: Callable[[bytes], None]) -> None:
        self.calls.append("open")
        if not self.there:
            raise OutputError("no MIDI port 'knobs'")
        self.hear = hear

    def present(self) -> bool:
        return self.there

    def poll(self) -> None: ...

    def release(self) -> None:
        self.calls.append("release")

    def close(self) -> None:
        self.calls.append("close")


class Synth:
    """Follows messages as a receiver would; fails at what no receiver should get."""

    def __init__(self) -> None:
        self.sounding: list[tuple[int, int]] = []
        self.begun = 0
        self.most = 0
        """Notes on one channel at once."""

    def hear(self, messages: Iterable[bytes]) -> "Synth":
        for data in messages:
            message = mido.Message.from_bytes(data)  # raises for what is no MIDI
            assert bytes(message.bytes()) == data
            if message.type == "note_on":
                assert message.velocity > 0
                key = (message.channel + 1, message.note)
                assert key not in self.sounding, f"{key} begins twice"
                self.sounding.append(key)
                self.begun += 1
                self.most = max(self.most, sum(channel == key[0] for channel, _ in self.sounding))
            elif message.type == "note_off" and (message.channel + 1, message.note) in self.sounding:
                self.sounding.remove((message.channel + 1, message.note))
        return self


def fake_midi(port: FakePort | None = None, *, clock: object = None, **chosen: object) -> MidiOutput:
    """The output that ``ls.midi`` makes, on a fake port."""
    values: dict[str, object] = {
        "preset": "plain", "scale": None, "root": "C3", "octaves": 3, "channel": None, "controls": (16, 17, 18),
        "program": None, "fast": FAST, "rate": 100.0,
    }  # fmt: skip
    sound = make_sound(**{**values, **chosen})  # type: ignore[arg-type]
    return MidiOutput(FakePort() if port is None else port, sound, clock)  # type: ignore[arg-type]


def send(output: MidiOutput, steps: Iterable[list[Event]], now: float | None = None) -> None:
    """Steps as a player sends them: the events, then one tick at their moment, or at ``now``."""
    for step in steps:
        for event in step:
            output.send(event)
        output.tick(step[-1].at if now is None else now)


def words(messages: Iterable[bytes]) -> list[str]:
    """Messages as short words: ``on 1 60 83``, ``cc 1 10 64``."""
    names = {0x80: "off", 0x90: "on", 0xB0: "cc", 0xC0: "program", 0xD0: "pressure"}
    out = []
    for data in messages:
        kind, channel = data[0] & 0xF0, (data[0] & 15) + 1
        if kind == 0xE0:
            out.append(f"bend {channel} {(data[1] | data[2] << 7) - 8192}")
        elif kind == 0xF0:
            out.append(f"sys {data.hex()}")
        else:
            out.append(" ".join([names[kind], str(channel), *map(str, data[1:])]))
    return out
