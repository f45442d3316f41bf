"""MIDI in: bad names and bad bytes first, then knobs, keys and wheels, and ports that go away."""

import logging
import math
import os
import random
import threading
from collections.abc import Iterator

import pytest
from midi_fakes import FakeSource

import livesketch as ls
from livesketch.errors import ControlError, OutputError
from livesketch.inputs import midi as module
from livesketch.inputs.midi import MidiIn, midi_learn
from livesketch.inputs.midi_controls import Control, position, read_control, read_message


class Knob:
    """Notes what it is set to."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def __call__(self, value: float) -> None:
        self.values.append(value)


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def keys(source: FakeSource) -> Iterator[MidiIn]:
    opened = MidiIn(source).start()
    yield opened
    opened.close()


BAD_CONTROLS = [
    -1,
    120,
    127,
    1.5,
    True,
    None,
    "",
    "cc",
    "cc120",
    "cc-1",
    "note 128",
    "note",
    "H4",
    "C99",
    "knob",
    "bend1",
    [],
]


@pytest.mark.parametrize("control", BAD_CONTROLS, ids=str)
def test_controls_that_are_none(control: object, keys: MidiIn) -> None:
    with pytest.raises(ControlError, match="control"):
        keys.map(control, print)  # type: ignore[arg-type]
    assert "->" not in repr(keys)


@pytest.mark.parametrize(
    "options",
    [
        {"setter": 3}, {"setter": None}, {"low": "0"}, {"low": math.nan}, {"high": math.inf}, {"high": None},
        {"channel": 0}, {"channel": 17}, {"channel": "1"}, {"bits": 8}, {"bits": "14"},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_set(options: dict[str, object], keys: MidiIn) -> None:
    setter = options.pop("setter", print)
    with pytest.raises(ControlError):
        keys.map(1, setter, **options)  # type: ignore[arg-type]
    with pytest.raises(ControlError):
        keys.learn(setter, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("control", [32, "cc63", "note 60", "bend", "pressure"])
def test_14_bits_come_from_the_first_32_controllers(control: object, keys: MidiIn) -> None:
    with pytest.raises(ControlError, match="0 to 31"):
        keys.map(control, print, bits=14)  # type: ignore[arg-type]


def test_a_clock_that_cannot_be_called() -> None:
    with pytest.raises(ControlError, match="function"):
        ls.midi_in("knobs", clock=120)  # type: ignore[arg-type]


BAD_BYTES = [
    b"",
    b"\x00",
    b"\x40\x40",
    b"\xb0",
    b"\xb0\x01",
    b"\xb0\x01\x80",
    b"\xb0\x01\x01\x01",
    b"\x90\xff\x01",
    b"\xf4",
]


@pytest.mark.parametrize("data", BAD_BYTES, ids=lambda data: data.hex() or "empty")
def test_bytes_that_are_no_midi_are_counted(data: bytes, keys: MidiIn) -> None:
    knob = Knob()
    keys.map(1, knob).learn(knob)
    keys.receive(data)
    assert (keys.messages, keys.malformed) == (1, 1)
    assert keys.last_error
    assert knob.values == []


@pytest.mark.parametrize("data", [b"\xc0\x05", b"\xa0\x05\x05", b"\xb0\x7b\x00", b"\xf8", b"\xfe", b"\xf2\x01\x01"])
def test_messages_that_set_nothing_are_counted(data: bytes, keys: MidiIn) -> None:
    keys.learn(print)
    keys.receive(data)
    assert (keys.messages, keys.unmapped, keys.malformed, keys.errors) == (1, 1, 0, 0)


def test_nothing_escapes() -> None:
    """100,000 messages of chance, with setters that raise."""

    def angry(value: float) -> None:
        raise ZeroDivisionError(value)

    chance = random.Random(5)
    keys = MidiIn(FakeSource(), clock=lambda *told: 1 / 0)  # type: ignore[arg-type, return-value]
    keys.map("bend", angry).map("pressure", angry).map("C4", angry).map(7, angry, bits=14)
    for number in range(100_000):
        data = bytes(chance.randrange(256) for _ in range(chance.randrange(5)))
        if number % 2:
            data = bytes((chance.randrange(0x80, 0xF0), chance.randrange(128), chance.randrange(128)))
        keys.receive(data)
        if number % 1000 == 0:
            keys.learn(angry)
    assert keys.messages == 100_000
    assert keys.errors > 1000
    assert keys.malformed > 1000
    keys.close()


def test_a_setter_that_raises_is_counted_and_said_once(keys: MidiIn, caplog: pytest.LogCaptureFixture) -> None:
    values: list[float] = []

    def fussy(value: float) -> None:
        if value > 0.9:
            raise ControlError("temperature: expected less")
        values.append(value)

    keys.map(1, fussy)
    with caplog.at_level(logging.WARNING, logger="livesketch"):
        for raw in (0, 127, 120, 127, 0):
            keys.receive(bytes((0xB0, 1, raw)))
    assert values == [0.0, 0.0]
    assert keys.errors == 3
    assert "expected less" in keys.last_error
    assert len(caplog.records) == 1


def test_a_knob_sets_from_low_to_high(keys: MidiIn, source: FakeSource) -> None:
    knob, back = Knob(), Knob()
    keys.map("cc74", knob, 0.1, 1.5).map(7, back, 10, -10)
    assert source.hear is not None
    for raw in (0, 64, 127):
        source.hear(bytes((0xB3, 74, raw)))
        source.hear(bytes((0xB3, 7, raw)))
    assert knob.values == pytest.approx([0.1, 0.1 + 1.4 * 64 / 127, 1.5])
    assert (knob.values[0], knob.values[-1]) == (0.1, 1.5)
    assert (back.values[0], back.values[-1]) == (10, -10)
    assert "cc 74 -> Knob = 1.5" in repr(keys)


def test_a_key_sets_its_velocity_and_low_when_released(keys: MidiIn) -> None:
    knob = Knob()
    keys.map("C4", knob)
    for data in (b"\x90\x3c\x7f", b"\x80\x3c\x40", b"\x90\x3c\x7f", b"\x90\x3c\x00", b"\x90\x3d\x7f"):
        keys.receive(data)
    assert knob.values == [1.0, 0.0, 1.0, 0.0]
    assert keys.unmapped == 1


def test_a_wheel_at_rest_is_in_the_middle(keys: MidiIn) -> None:
    knob = Knob()
    keys.map("bend", knob, -2, 2)
    for data in (b"\xe0\x00\x00", b"\xe0\x00\x40", b"\xe0\x7f\x7f"):
        keys.receive(data)
    assert knob.values == [-2.0, 0.0, 2.0]


def test_pressure(keys: MidiIn) -> None:
    knob = Knob()
    keys.map("pressure", knob)
    keys.receive(b"\xd0\x7f")
    assert knob.values == [1.0]


def test_one_channel_or_any(keys: MidiIn) -> None:
    one, each = Knob(), Knob()
    keys.map(1, one, channel=16).map(1, each)
    keys.receive(b"\xb0\x01\x7f")
    keys.receive(b"\xbf\x01\x7f")
    assert (len(one.values), len(each.values)) == (1, 2)


def test_14_bits(keys: MidiIn) -> None:
    knob = Knob()
    keys.map(1, knob, 0, 16383, bits=14)
    keys.receive(b"\xb0\x01\x7f")  # until an LSB comes, a controller of 7 bits
    assert knob.values == [16383]
    keys.receive(b"\xb0\x21\x00")
    keys.receive(b"\xb0\x01\x40")
    assert knob.values[1:] == [127 << 7]  # and then not before its LSB
    keys.receive(b"\xb0\x21\x01")
    keys.receive(b"\xb0\x21\x02")  # which may come alone
    assert knob.values[2:] == [64 << 7 | 1, 64 << 7 | 2]


def test_what_the_cc_preset_sends_is_heard_exactly(keys: MidiIn) -> None:
    from livesketch.outputs.midi_messages import Fader, moved

    knob = Knob()
    keys.map(16, knob, 0, 16383, bits=14)
    keys.receive(b"\xb0\x30\x00")
    before, sent = None, [0, 1, 127, 128, 129, 8192, 8193, 16383, 16256, 0]
    for value in sent:
        for data in moved(Fader("cc14", 1, 16), value, before):
            keys.receive(data)
        before = value
    assert knob.values[1:] == sent


def test_mapped_again_the_new_setter_takes_it(keys: MidiIn) -> None:
    """A script that is run again does not pile up setters."""
    old, new = Knob(), Knob()
    for knob in (old, old, new):
        keys.map("cc1", knob)
    keys.receive(b"\xb0\x01\x7f")
    assert (old.values, new.values) == ([], [1.0])
    keys.unmap("cc1").unmap("cc1")
    keys.receive(b"\xb0\x01\x00")
    assert new.values == [1.0]
    keys.map(1, new).learn(new).unmap()
    keys.receive(b"\xb0\x01\x00")
    assert new.values == [1.0]


def test_learn_takes_the_controller_that_is_moved_next(keys: MidiIn) -> None:
    knob = Knob()
    assert keys.learn(knob, 0, 10) is keys
    assert "1 learning: move a control" in repr(keys)
    keys.receive(b"\x90\x3c\x7f")  # a key is no controller
    assert knob.values == []
    keys.receive(b"\xb0\x15\x7f")
    keys.receive(b"\xb0\x16\x00")
    keys.receive(b"\xb0\x15\x00")
    assert knob.values == [10.0, 0.0]
    assert "learning" not in repr(keys)


def test_several_that_learn_take_one_controller_each(keys: MidiIn) -> None:
    first, second = Knob(), Knob()
    keys.learn(first).learn(second)
    for raw in (1, 2, 3):  # one turn of a knob is many messages
        keys.receive(bytes((0xB0, 20, raw)))
    keys.receive(b"\xb0\x15\x7f")
    assert (len(first.values), second.values) == (3, [1.0])


def test_learn_14_bits_by_either_half(keys: MidiIn) -> None:
    knob = Knob()
    keys.learn(knob, bits=14)
    keys.receive(b"\xb0\x50\x7f")  # controller 80 has no half
    keys.receive(b"\xb0\x22\x7f")
    keys.receive(b"\xb0\x02\x7f")
    keys.receive(b"\xb0\x22\x7f")
    assert knob.values == [127 / 16383, 1.0]


def test_learn_on_one_channel(keys: MidiIn) -> None:
    knob = Knob()
    keys.learn(knob, channel=2)
    keys.receive(b"\xb0\x01\x7f")
    keys.receive(b"\xb1\x02\x7f")
    keys.receive(b"\xb0\x02\x00")
    assert knob.values == [1.0]


def test_a_setter_may_map_and_unmap(keys: MidiIn) -> None:
    knob = Knob()
    keys.map(1, lambda value: keys.unmap(1).map(2, knob))
    keys.receive(b"\xb0\x01\x7f")
    keys.receive(b"\xb0\x02\x7f")
    assert knob.values == [1.0]
    assert keys.errors == 0


def test_midi_clock_is_handed_on() -> None:
    told: list[tuple[str, int]] = []
    keys = MidiIn(FakeSource(), clock=lambda kind, seconds, place: told.append((kind, place)))
    for data in (b"\xfa", b"\xf8", b"\xfc", b"\xf2\x10\x02", b"\xfb"):
        keys.receive(data)
    assert told == [("start", 0), ("pulse", 0), ("stop", 0), ("position", 272), ("continue", 0)]
    keys.receive(b"\xf2")
    assert keys.malformed == 1


def test_a_port_that_goes_and_comes_back(keys: MidiIn, source: FakeSource) -> None:
    source.there = False
    keys.check()
    keys.check()
    assert (keys.port_lost, keys.port_back, keys.errors) == (1, 0, 1)
    assert "port lost" in repr(keys)
    source.there = True
    keys.check()
    assert (keys.port_lost, keys.port_back) == (1, 1)
    knob = Knob()
    keys.map(1, knob)
    assert source.hear is not None
    source.hear(b"\xb0\x01\x7f")
    assert knob.values == [1.0]


def test_a_port_that_cannot_be_opened_leaves_no_thread(source: FakeSource) -> None:
    source.there = False
    with pytest.raises(OutputError):
        MidiIn(source).start()


def test_a_source_that_wants_to_be_asked_is_asked(source: FakeSource) -> None:
    """As JACK's, which may not call Python in its own thread."""
    came = threading.Event()
    waiting = [b"\xb0\x01\x7f"]

    def poll() -> None:
        while waiting and source.hear is not None:
            source.hear(waiting.pop())

    source.period, source.poll = 0.001, poll  # type: ignore[assignment, method-assign]
    keys = MidiIn(source).map(1, lambda value: came.set()).start()
    assert came.wait(20)
    keys.close()


def test_closing(source: FakeSource) -> None:
    with MidiIn(source).start() as keys:
        assert "open" in repr(keys)
    keys.close()
    keys.check()
    assert keys.closed
    assert source.calls == ["open", "close"]
    assert not any(thread.name == "livesketch-midi-in" for thread in threading.enumerate())


def test_closing_from_its_own_setter(source: FakeSource) -> None:
    keys = MidiIn(source).start()
    keys.map(1, lambda value: keys.close())
    keys.receive(b"\xb0\x01\x7f")
    assert keys.closed
    assert keys.errors == 0


def test_midi_learn_goes_on_with_what_was_opened_last(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[MidiIn] = []

    class Port(FakeSource):
        def __init__(self, *asked: object, **options: object) -> None:
            super().__init__()

    monkeypatch.setattr(module, "InPort", Port)
    monkeypatch.setattr(module, "_latest", None)
    knob = Knob()
    opened += [ls.midi_learn(knob), midi_learn(knob)]
    assert opened[0] is opened[1]
    opened.append(midi_learn(knob, port="other"))
    assert opened[2] is not opened[0]
    opened[2].close()
    opened.append(midi_learn(knob))
    assert opened[3] is not opened[2]
    with pytest.raises(ControlError):
        midi_learn("knob")  # type: ignore[arg-type]
    for one in opened:
        one.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_close_the_ports_of_its_parent(keys: MidiIn, source: FakeSource) -> None:
    pid = os.fork()
    if pid == 0:
        module._finish()
        os._exit(17 if "close" in source.calls else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not keys.closed


def test_names_of_controls() -> None:
    for said, meant in (
        (1, Control("cc", 1)), ("CC 1", Control("cc", 1)), ("cc119", Control("cc", 119)), (" Bend ", Control("bend")),
        ("note 60", Control("note", 60)), ("C4", Control("note", 60)), ("note F#2", Control("note", 42)),
    ):  # fmt: skip
        assert read_control(said) == meant
    assert str(read_control("C4")) == "note 60"
    heard = read_message(b"\xe5\x01\x40")
    assert heard is not None
    assert heard.channel == 6
    assert position(heard) == pytest.approx(0.5 + 1 / 16382)
