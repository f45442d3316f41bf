"""OSC in: what is refused first, then every address against a player, then what hostile senders can do."""

import contextlib
import math
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from osc_mutants import mutants, packets
from small_models import small_checkpoint
from small_texts import small_text
from test_latent import KINDS

import livesketch as ls
from livesketch.inputs import osc_port
from livesketch.inputs.inbox import Inbox
from livesketch.inputs.osc_read import MOST_MESSAGES, Message, read
from livesketch.models import catalogue
from livesketch.models.checkpoint import save_checkpoint, save_text
from livesketch.outputs.osc_wire import osc_message
from livesketch.player.engine import engine
from livesketch.remote import listening, strokes, swap

PATIENCE = 10.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), made / "small.safetensors")
    save_text(small_text(labels=("wuyan", "qiyan"), name="verse"), made / "verse.safetensors")
    return made


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()
    ls.clock.bpm = 120
    assert not ls.players()


@pytest.fixture
def cat(folder):
    return ls.sketch(f"{folder}/small.safetensors#cat", seed=1)


@pytest.fixture
def player(cat):
    return ls.play(cat, ls.Recorder(), rate=300, name="cat")


@pytest.fixture
def poem(folder):
    return ls.play(ls.text(f"{folder}/verse.safetensors#wuyan", seed=1), ls.Recorder(), rate=300, name="poem")


class Talk:
    """A sender, and the listener that it speaks to."""

    def __init__(self, **how):
        self.listener = ls.listen(0, **how)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.settimeout(PATIENCE)
        self.said = 0

    def packet(self, data):
        self.udp.sendto(data, ("127.0.0.1", self.listener.port))

    def say(self, address, types="", *values, done=True):
        """Sends one message and waits until it was dealt with; where it was not done, why."""
        before = self.listener.done, self.listener.errors
        self.packet(osc_message(address, types, *values).dgram)
        self.said += 1
        wait_for(lambda: (self.listener.done, self.listener.errors) != before)
        assert (self.listener.done == before[0] + 1) is done, self.listener
        return self.listener.last_error

    def heard(self):
        (message,) = read(self.udp.recv(65536))
        return message.address, message.args

    def close(self):
        self.listener.stop()
        self.udp.close()


@pytest.fixture
def talk():
    made = Talk()
    yield made
    made.close()


def wait_for(condition):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.001)


# What is refused


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"port": -1}, "port"), ({"port": 65536}, "port"), ({"port": "9001"}, "port"), ({"port": True}, "port"),
        ({"port": 9001.0}, "port"), ({"port": 0, "answer": 70000}, "answer"), ({"port": 0, "answer": True}, "answer"),
        ({"port": 0, "host": ""}, "host"), ({"port": 0, "host": 7}, "host"),
    ],
)  # fmt: skip
def test_what_cannot_be_listened_to_is_refused(asked, says):
    with pytest.raises(ls.ControlError, match=says):
        ls.listen(**asked)


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.host.invalid", "\0", "x" * 300])
def test_a_host_that_is_not_ours_is_refused(host):
    with pytest.raises(ls.OutputError, match="of this machine"):
        ls.listen(0, host)


def test_a_port_in_use_is_refused_with_what_to_try():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ls.OutputError, match=rf"127.0.0.1:{port} .*in use.*try port"):
            ls.listen(port)
    with ls.listen(port) as listener:  # nothing was left behind
        assert listener.port == port


MESSAGE = osc_message("/livesketch/cat/pause", "i", 1).dgram
BUNDLE = b"#bundle\0" + bytes(7) + b"\1"


def in_bundle(*elements):
    return BUNDLE + b"".join(struct.pack(">i", len(element)) + element for element in elements)


def nested(depth):
    packet = MESSAGE
    for _ in range(depth):
        packet = in_bundle(packet)
    return packet


MALFORMED = {
    "empty": b"",
    "noise": b"\xff\xfe\xfd",
    "text": b"hello world\n",
    "no end": b"/abc",
    "not a multiple of four": MESSAGE + b"\0",
    "cut": MESSAGE[:-4],
    "more than said": MESSAGE + bytes(4),
    "address not utf-8": b"/a\xff\0,i\0\0\0\0\0\1",
    "address with a line break": b"/a\n\0,i\0\0\0\0\0\1",
    "address too long": b"/" + b"a" * 259 + bytes(4) + b",\0\0\0",
    "text not utf-8": b"/a\0\0,s\0\0\xff\xff\xff\0",
    "text without an end": b"/a\0\0,s\0\0aaaa",
    "unknown type": b"/a\0\0,Z\0\0",
    "no comma": b"/a\0\0i\0\0\0\0\0\0\1",
    "number beyond the end": b"/a\0\0,h\0\0\0\0\0\1",
    "blob beyond the end": b"/a\0\0,b\0\0\x7f\xff\xff\xff",
    "blob of negative size": b"/a\0\0,b\0\0\xff\xff\xff\xff",
    "bundle without a timetag": b"#bundle\0",
    "bundle cut in a size": BUNDLE + b"\0\0",
    "element of negative size": BUNDLE + b"\xff\xff\xff\xfc" + MESSAGE,
    "element of size 0": BUNDLE + bytes(4),
    "element beyond the end": BUNDLE + b"\0\1\0\0" + MESSAGE,
    "element that is no OSC": in_bundle(MESSAGE, b"abcd"),
    "too deep": nested(9),
    "too many": in_bundle(*[b"/a\0\0"] * (MOST_MESSAGES + 1)),
}


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_a_packet_that_is_no_osc_is_refused_whole(packet):
    with pytest.raises(ValueError, match=r"\w"):
        read(packet)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b"/a\0\0," + b"[" * 60_000 + b"\0" * 3)
@example(nested(2000))
def test_whatever_comes_is_read_or_refused(packet):
    try:
        messages = read(packet)
    except ValueError:
        return
    assert all(isinstance(message, Message) for message in messages)


def test_malformed_packets_are_counted_and_the_rest_goes_on(talk, player):
    for packet in MALFORMED.values():
        talk.packet(packet)
    wait_for(lambda: talk.listener.kinds["packet"] == len(MALFORMED))
    talk.say("/livesketch/cat/temperature", "f", 0.25)
    assert player.stream.temperature == 0.25
    assert talk.listener.errors == len(MALFORMED)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/", "address"), ("/livesketch", "address"), ("/livesketch/", "address"), ("/livesketch/nothing", "address"),
        ("/other/cat/pause", "address"), ("/livesketch/cat/nothing", "address"),
        ("/livesketch/cat/pause/now", "address"),
        ("/livesketch/cat/pause/", "address"), ("/livesketch/*/pause", "address"), ("/livesketch/c?t/pause", "address"),
        ("/livesketch/{cat,pig}/pause", "address"), ("/livesketch/[a-z]at/pause", "address"),
        ("/livesketch/cat/__class__", "address"), ("/livesketch/cat/z/-1", "address"),
        ("/livesketch/cat/z/²", "address"),
        ("/livesketch/cat/z/1000000", "address"), ("/livesketch/pong", "address"), ("/livesketch/dog/pause", "player"),
        ("/livesketch//pause", "player"), ("/livesketch/" + "x" * 200 + "/pause", "player"),
    ],
)  # fmt: skip
def test_an_address_that_does_nothing_is_counted(talk, player, address, kind):
    packet = address.encode() + b"\0"
    talk.packet(packet + bytes(-len(packet) % 4) + b",\0\0\0")
    wait_for(lambda: talk.listener.errors == 1)
    assert talk.listener.kinds[kind] == 1
    assert not player.paused
    assert "expected" in talk.listener.last_error or "docs/osc.md" in talk.listener.last_error


@pytest.mark.parametrize(
    ("command", "types", "values"),
    [
        ("temperature", "", ()), ("temperature", "s", ("hot",)), ("temperature", "f", (-1.0,)),
        ("temperature", "ff", (0.1, 0.2)), ("rate", "f", (0.0,)), ("rate", "f", (1e6,)), ("rate", "s", ("fast",)),
        ("label", "s", ("no such label",)), ("label", "f", (1.0,)), ("label", "", ()), ("label", "sf", ("cat", 0.0)),
        ("label", "sfs", ("cat", 1.0, "pig")), ("label", "sfsf", ("cat", 1.0, "cat", 1.0)),
        ("label", "ss", ("cat", "pig")),
        ("label", "s", ("x" * 1200,)), ("z", "ff", (0.1, 0.2)), ("z", "ffffff", (1e4,) * 6), ("z", "s", ("a",)),
        ("z/6", "f", (0.5,)), ("z/1", "f", (1e9,)), ("top_k", "i", (3,)), ("mode", "s", ("open",)),
        ("convention", "s", ("cold",)), ("convention", "i", (1,)), ("pause", "s", ("now",)), ("mute", "ii", (1, 1)),
        ("rewind", "i", (0,)), ("rewind", "f", (1.5,)), ("rewind", "i", (100_000,)), ("prompt", "s", ("春",)),
        ("acrostic", "s", ("春",)), ("feed", "", ()), ("feed", "fff", (0.1, 0.2, 0.3)), ("feed", "ff", (1e9, 0.0)),
        ("feed", "s", ("text",)), ("feed/point", "f", (0.5,)), ("feed/point", "", ()), ("feed/begin", "f", (0.5,)),
        ("feed/end", "fff", (0.5, 0.5, 0.5)), ("feed/commit", "", ()), ("swap", "", ()), ("swap", "i", (3,)),
        ("swap", "s", ("no such model",)), ("swap", "ss", ("cat", "x")), ("swap", "si", ("cat", -1)),
    ],
)  # fmt: skip
def test_what_an_argument_may_not_be_is_refused_and_all_stays(talk, player, cat, command, types, values):
    player.pause()
    before = cat.temperature, cat.convention, cat.label, player.rate
    said = talk.say(f"/livesketch/cat/{command}", types, *values, done=False)
    assert talk.listener.kinds["value"] == 1, said
    assert (cat.temperature, cat.convention, cat.label, player.rate) == before
    assert said.isprintable()
    assert player.stream is cat


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("command", ["temperature", "rate", "z/1", "feed/point", "rewind", "mute", "bpm"])
def test_numbers_that_are_not_finite_are_refused(talk, player, command, number):
    address = f"/livesketch/{command}" if command == "bpm" else f"/livesketch/cat/{command}"
    packet = address.encode() + b"\0"
    talk.packet(packet + bytes(-len(packet) % 4) + b",ff\0" + struct.pack(">ff", number, number))
    talk.packet(packet + bytes(-len(packet) % 4) + b",f\0\0" + struct.pack(">f", number))
    wait_for(lambda: talk.listener.errors == 2)
    assert talk.listener.kinds["value"] == 2
    assert not player.muted


def test_a_blob_or_nil_is_no_number(talk, player):
    address = b"/livesketch/cat/temperature\0"
    for tail in (b",b\0\0\0\0\0\1a\0\0\0", b",N\0\0", b",T\0\0", b",t\0\0" + bytes(8), b",m\0\0" + bytes(4)):
        talk.packet(address + tail)
    wait_for(lambda: talk.listener.kinds["value"] == 5)


def test_a_stream_that_raises_is_counted_and_nothing_ends(talk):
    class Odd:
        name, seed, convention, stage_units = "odd", 1, None, 1.0

        @property
        def temperature(self):
            return 1.0

        @temperature.setter
        def temperature(self, value):
            raise SystemExit("bad")

        def events(self):
            return [ls.Token(0.0, "odd", 0, 0, "a", -1.0, 2.0, False)]

    ls.play(Odd(), ls.Recorder(), rate=100, name="odd")
    assert "SystemExit" in talk.say("/livesketch/odd/temperature", "f", 0.5, done=False)
    assert "none" in talk.say("/livesketch/odd/min_p", "f", 0.5, done=False)
    assert talk.listener.kinds == {"packet": 0, "address": 0, "player": 0, "value": 1, "failed": 1}
    talk.say("/livesketch/odd/pause")
    assert ls.players()["odd"].paused


# Every address


def test_numbers_are_what_was_typed_at_the_sender(talk, player, cat):
    for types, value in (("f", 0.4), ("f", 1.1), ("i", 1)):
        talk.say("/livesketch/cat/temperature", types, value)
        assert cat.temperature == value  # not 0.4000000059604645: the same drawing as from the prompt
    address = b"/livesketch/cat/temperature\0"
    for tail, value in ((b",d\0\0" + struct.pack(">d", 0.1234567890123), 0.1234567890123), (b",h\0\0" + bytes(8), 0)):
        done = talk.listener.done
        talk.packet(address + tail)
        wait_for(lambda before=done: talk.listener.done > before)
        assert cat.temperature == value


def test_controls_of_a_drawing(talk, player, cat):
    talk.say("/livesketch/cat/convention", "s", "paper")
    assert cat.convention == "paper"
    talk.say("/livesketch/cat/rate", "f", 120.0)
    assert player.rate == 120
    talk.say("/livesketch/cat/label", "s", "PIG")
    assert cat.label == "pig"
    talk.say("/livesketch/cat/label", "sfsi", "cat", 0.5, "pig", 1)
    assert cat.label == pytest.approx({"cat": 1 / 3, "pig": 2 / 3})
    z = [0.1, -0.2, 0.3, 0.4, 0.5, 0.6]
    talk.say("/livesketch/cat/z", "ffffff", *z)
    assert cat.z.tolist() == z
    talk.say("/livesketch/cat/z/2", "f", 0.9)
    assert cat.z.tolist() == [0.1, -0.2, 0.9, 0.4, 0.5, 0.6]
    talk.say("/livesketch/cat/z")
    assert cat.z.tolist() != z
    assert cat.snapshot().standing.z is None


def test_a_change_acts_on_the_very_next_step_also_where_steps_are_made_ahead(talk, player, cat, folder):
    wait_for(lambda: player.stats().steps > 20)
    player.pause()
    wait_for(lambda: player.to[0].lifts)
    steps = player.stats().steps
    talk.say("/livesketch/cat/temperature", "f", 0.0)
    player.resume()
    wait_for(lambda: player.stats().steps > steps + 30)
    twin = ls.sketch(f"{folder}/small.safetensors#cat", seed=1)
    expected = [(action.x, action.y) for action in twin.take(steps)]
    twin.temperature = 0.0
    expected += [(action.x, action.y) for action in twin.take(30)]
    got = [(event.x, event.y) for event in list(player.to[0].events) if isinstance(event, ls.PenAction)]
    assert got[: steps + 30] == expected


def test_controls_of_a_text(talk, poem):
    stream = poem.stream
    for control, types, value in (
        ("temperature", "f", 0.8), ("top_k", "i", 5), ("top_k", "f", 6.0), ("top_p", "f", 0.9), ("min_p", "f", 0.1),
        ("mode", "s", "open"), ("label", "s", "qiyan"),
    ):  # fmt: skip
        talk.say(f"/livesketch/poem/{control}", types, value)
        assert getattr(stream, control) == value
    talk.say("/livesketch/poem/top_k", "i", -1, done=False)
    talk.say("/livesketch/poem/z", "f", 1.0, done=False)
    poem.pause()
    stream.finish()
    for command, text in (("prompt", "山人"), ("first_line", "山人"), ("acrostic", "山"), ("feed", "人")):
        talk.say(f"/livesketch/poem/{command}", "s", text)
        token = next(stream) if command != "feed" else stream.actions[-1]
        assert (token.text, token.given) == (text[0], True)
    talk.say("/livesketch/poem/feed", "ff", 0.1, 0.2, done=False)
    talk.say("/livesketch/poem/feed/begin", "", done=False)


def test_pause_resume_mute_solo_and_stop(talk, player, folder):
    other = ls.play(ls.sketch(f"{folder}/small.safetensors#pig"), ls.Recorder(), name="pig")
    talk.say("/livesketch/cat/pause")
    assert player.paused
    talk.say("/livesketch/cat/resume", "f", 0.0)  # a button that is let go
    assert player.paused
    talk.say("/livesketch/cat/resume", "f", 1.0)
    assert not player.paused
    for on in (1, 0):
        talk.say("/livesketch/cat/mute", "i", on)
        assert player.muted == bool(on)
    talk.say("/livesketch/cat/solo")
    assert other.muted
    talk.say("/livesketch/cat/solo", "f", 0.0)
    assert not other.muted
    talk.packet(b"/livesketch/pig/mute\0\0\0\0,T\0\0")
    wait_for(lambda: other.muted)
    talk.say("/livesketch/cat/stop", "i", 0)
    assert player.playing
    talk.say("/livesketch/cat/stop")
    assert player.wait(PATIENCE)
    assert other.playing


def test_restart_and_rewind(talk, player, cat):
    wait_for(lambda: player.stats().steps > 5)
    player.pause()
    talk.say("/livesketch/cat/restart")
    assert cat.actions == []
    while len(cat.actions) < 5:
        next(cat)
    drawn = [*cat.actions]
    talk.say("/livesketch/cat/rewind", "f", 3.0)
    assert cat.actions == drawn[:-3]
    talk.say("/livesketch/cat/rewind")
    assert cat.actions == drawn[:-4]


def test_bpm_hush_and_panic(talk, player, folder):
    talk.say("/livesketch/bpm", "f", 96.5)
    assert ls.clock.bpm == 96.5
    talk.say("/livesketch/bpm", "f", 5.0, done=False)
    assert ls.clock.bpm == 96.5
    talk.say("/livesketch/hush", "f", 0.0)
    assert player.playing
    talk.say("/livesketch/hush")
    assert player.wait(PATIENCE)
    talk.say("/livesketch/hush")  # twice is harmless
    again = ls.play(ls.sketch(f"{folder}/small.safetensors#pig"), recorder := ls.Recorder(), name="pig")
    talk.say("/livesketch/panic")
    assert again.wait(PATIENCE)
    assert recorder.closes == 1
    assert talk.listener.listening


def test_ping_is_answered_with_what_plays(talk, player, poem):
    talk.say("/livesketch/cat/pause")
    talk.say("/livesketch/ping")
    address, (count, *told) = talk.heard()
    assert (address, count) == ("/livesketch/pong", 2)
    assert [told[0], told[1], told[3], told[4]] == ["cat", "paused", "poem", "playing"]
    assert told[2] == player.stats().steps
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.settimeout(PATIENCE)
        talk.say("/livesketch/ping", "i", elsewhere.getsockname()[1])
        assert read(elsewhere.recv(2000))[0].address == "/livesketch/pong"
    talk.say("/livesketch/ping", "i", 0, done=False)
    talk.say("/livesketch/ping", "s", "me", done=False)


def test_a_pong_of_a_hundred_players_fits_one_datagram(talk, folder):
    for k in range(100):
        ls.play(ls.sketch(f"{folder}/small.safetensors#cat", seed=k), ls.Recorder(), rate=1, name=f"player number {k}")
    talk.packet(osc_message("/livesketch/ping", "").dgram)
    packet = talk.udp.recv(65536)
    assert 1200 < len(packet) <= 1400
    (message,) = read(packet)
    assert message.args[0] == 100
    assert message.args[1] == "player-number-0"


def test_names_are_mapped_as_the_output_does(talk, folder):
    made = [
        ls.play(ls.sketch(f"{folder}/small.safetensors#cat"), ls.Recorder(), name=name)
        for name in ("Wild Cat #2", "wild-cat--2", "猫")
    ]
    talk.say("/livesketch/wild-cat--2/pause")  # two of one address
    assert [one.paused for one in made] == [True, True, False]
    talk.say("/livesketch/u732b/pause")
    assert made[2].paused
    talk.packet("/livesketch/猫/resume".encode() + bytes(2))
    wait_for(lambda: not made[2].paused)
    talk.say("/livesketch/Wild-Cat--2/resume")
    assert not made[0].paused


def test_many_voices_take_what_they_have(talk, folder):
    choir = ls.voices(f"{folder}/small.safetensors#cat", 3, seed=1)
    ls.play(choir, ls.Recorder(), name="choir")
    talk.say("/livesketch/choir/label", "s", "pig")
    assert choir.label == ("pig",) * 3
    talk.say("/livesketch/choir/z/1", "f", 0.5)
    assert choir.z[:, 1].tolist() == [0.5] * 3
    for command, types, values in (("feed", "ffff", (0, 0, 1, 1)), ("rewind", "i", (1,)), ("restart", "", ())):
        talk.say(f"/livesketch/choir/{command}", types, *values, done=False)
    assert talk.listener.kinds["value"] == 3


def test_the_same_value_every_frame_takes_nothing_back(talk, player, cat):
    talk.say("/livesketch/cat/temperature", "f", 0.5)
    talk.say("/livesketch/cat/z", "ffffff", *[0.25] * 6)
    before = player.stats().taken_back
    for _ in range(20):
        talk.say("/livesketch/cat/temperature", "f", 0.5)
        talk.say("/livesketch/cat/z", "ffffff", *[0.25] * 6)
    assert player.stats().taken_back == before
    cat.temperature = 0.7
    talk.say("/livesketch/cat/temperature", "f", 0.5)
    assert cat.temperature == 0.5


# Strokes


def places(actions):
    return [(action.x, action.y) for action in actions]


def test_a_stroke_lands_where_it_was_drawn(talk, player, cat):
    wait_for(lambda: player.stats().steps > 3)
    player.pause()
    while len(cat.actions) < 3 or cat.actions[-1].last:  # in the middle of a drawing, wherever it was paused
        next(cat)
    talk.say("/livesketch/cat/feed", "ffffff", 0.1, 0.2, 0.5, 0.2, 0.5, 0.9)
    fed = [action for action in cat.actions if action.source == "human"][-3:]
    assert places(fed) == [pytest.approx(place) for place in ((0.1, 0.2), (0.5, 0.2), (0.5, 0.9))]
    assert [action.ink for action in fed] == [False, True, True]
    assert [action.pen.name for action in fed] == ["DOWN", "DOWN", "UP"]
    player.resume()
    recorder = player.to[0]
    wait_for(lambda: any(isinstance(one, ls.PenAction) and one.source == "human" for one in list(recorder.events)))


def test_a_stroke_follows_what_was_played_not_what_was_made_ahead(talk, cat):
    recorder = ls.Recorder()
    player = ls.play(cat, recorder, rate=20, lookahead=0.3, name="cat")
    wait_for(lambda: player.stats().steps > 2)
    player.pause()
    wait_for(lambda: recorder.lifts)
    played = [event for event in recorder.events if isinstance(event, ls.PenAction)]
    assert not played[-1].last
    talk.say("/livesketch/cat/feed", "ffff", 0.1, 0.2, 0.5, 0.2)
    assert places(cat.actions[: len(played)]) == places(played)
    fed = cat.actions[len(played) :]
    assert {action.source for action in fed} == {"human"}
    assert places(fed)[-2:] == [pytest.approx((0.1, 0.2)), pytest.approx((0.5, 0.2))]
    assert len(fed) == 2 + (played[-1].pen is ls.Pen.DOWN)


def test_point_by_point_is_the_same_as_at_once(talk, player, cat):
    player.pause()
    cat.restart()
    say = talk.say
    say("/livesketch/cat/feed/point", "ff", 0.2, 0.2)  # the first point touches down by itself
    say("/livesketch/cat/feed/point", "ffff", 0.4, 0.2, 0.4, 0.6)
    say("/livesketch/cat/feed/end")
    say("/livesketch/cat/feed/begin", "ff", 0.7, 0.7)
    say("/livesketch/cat/feed/point", "ff", 0.8, 0.9)
    say("/livesketch/cat/feed/end", "ff", 0.9, 0.7)
    say("/livesketch/cat/feed/begin", "ff", 0.1, 0.9)  # a dot; commit ends it
    assert cat.actions == []
    say("/livesketch/cat/feed/commit")
    whole = cat.actions
    # At the beginning the pen is down in the middle: the first stroke begins there, the others lie around it.
    moved = [(x + 0.3, y + 0.3) for x, y in ((0.4, 0.2), (0.4, 0.6), (0.7, 0.7), (0.8, 0.9), (0.9, 0.7), (0.1, 0.9))]
    assert places(whole) == [pytest.approx(place) for place in moved]
    assert [action.pen.name for action in whole] == ["DOWN", "UP", "DOWN", "DOWN", "UP", "UP"]
    assert [action.ink for action in whole] == [True, True, False, True, True, False]
    say("/livesketch/cat/feed/commit", done=False)  # nothing waits any more


def test_a_drawing_that_begins_with_a_dot_and_a_stroke_where_the_pen_is(talk, player, cat):
    player.pause()
    cat.restart()
    talk.say("/livesketch/cat/feed", "ff", 0.9, 0.9)
    assert [(a.x, a.y, a.ink, a.pen.name) for a in cat.actions] == [(0.5, 0.5, True, "UP")]
    talk.say("/livesketch/cat/feed", "ffff", 0.5, 0.5, 0.6, 0.5)  # the pen is up, and here already
    assert [a.ink for a in cat.actions] == [True, False, True]
    assert places(cat.actions)[1:] == [pytest.approx((0.5, 0.5)), pytest.approx((0.6, 0.5))]


def test_what_a_hand_draws_is_simplified_as_the_training_drawings_were(talk, player, cat):
    player.pause()
    cat.restart()
    turn = np.linspace(0, 2 * np.pi, 600)
    circle = np.stack([0.5 + 0.3 * np.cos(turn), 0.5 + 0.3 * np.sin(turn)], 1).ravel().tolist()
    for k in range(0, 1200, 200):
        talk.say("/livesketch/cat/feed/point", "f" * 200, *circle[k : k + 200])
    talk.say("/livesketch/cat/feed/commit")
    assert 10 < len(cat.actions) < 50


def test_points_that_wait_are_bounded_and_can_be_forgotten(talk, player):
    for _ in range(100):
        talk.say("/livesketch/cat/feed/point", "f" * 200, *[0.5] * 200)
    assert "commit" in talk.say("/livesketch/cat/feed/point", "ff", 0.5, 0.5, done=False)
    assert strokes.MOST_POINTS == 10_000
    talk.say("/livesketch/cat/feed/clear")
    talk.say("/livesketch/cat/feed/point", "ff", 0.5, 0.5)
    player.stop()
    ls.play(player.stream, ls.Recorder(), name="pig")
    talk.say("/livesketch/pig/pause")
    assert not talk.listener._board._pads  # who has stopped is forgotten


@pytest.fixture
def other_process():
    yield
    engine.close()


def test_what_plays_in_another_process_takes_all_that_too(talk, cat, tmp_path, small_catalogue, other_process):
    player = ls.play(cat, ls.trace(tmp_path / "cat.jsonl"), name="cat", engine="process")
    stream = player.stream
    talk.say("/livesketch/cat/temperature", "f", 0.25)
    talk.say("/livesketch/cat/pause")
    assert (stream.temperature, player.paused) == (0.25, True)
    talk.say("/livesketch/cat/top_k", "i", 3, done=False)
    talk.say("/livesketch/cat/prompt", "s", "a", done=False)
    talk.say("/livesketch/cat/restart")
    talk.say("/livesketch/cat/feed", "ffff", 0.1, 0.1, 0.3, 0.3)
    talk.say("/livesketch/cat/feed", "ffff", 0.1, 0.1, 0.3, 0.3)
    assert places(stream.actions) == [pytest.approx(place) for place in ((0.7, 0.7), (0.1, 0.1), (0.3, 0.3))]
    talk.say("/livesketch/ping")
    assert talk.heard()[1][1:3] == ("cat", "paused")
    talk.say("/livesketch/cat/swap", "s", "pig")
    assert ls.players()["cat"].stream.label == "pig"
    talk.say("/livesketch/panic")
    wait_for(lambda: not ls.players())
    assert talk.listener.kinds["failed"] == 0


# Another model


@pytest.fixture
def small_catalogue(folder, monkeypatch):
    monkeypatch.setattr(catalogue, "BUNDLED", folder)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("pig", "pig"),
        ("PIG", "pig"),
        ("cat#pig", "pig"),
        ("small#pig", "pig"),
        ("wuyan", "wuyan"),
        ("verse#qiyan", "qiyan"),
    ],
)
def test_swap_by_name(talk, player, small_catalogue, asked, name):
    player.stream.temperature = 0.3
    player.pace = ls.pace.speed(2.0)
    recorder = player.to[0]
    talk.say("/livesketch/cat/swap", "si", asked, 9)
    assert player.wait(PATIENCE)
    after = ls.players()["cat"]
    assert (after.stream.name, after.stream.seed, after.to) == (name, 9, (recorder,))
    assert after.pace == player.pace
    assert after.stream.temperature == (0.3 if name == "pig" else 1.0)
    wait_for(lambda: after.stats().steps > 3)


def test_swap_keeps_the_number_of_voices(talk, folder, small_catalogue):
    ls.play(ls.voices(f"{folder}/small.safetensors#cat", 3), ls.Recorder(), name="choir")
    talk.say("/livesketch/choir/swap", "s", "pig")
    assert len(ls.players()["choir"].stream) == 3


@pytest.mark.parametrize("where", ["thread", "process"])
def test_swap_keeps_what_the_player_was_told(talk, cat, tmp_path, small_catalogue, other_process, where):
    told = {"then": "repeat", "lookahead": 0.25, "place": ls.grid(3, 2, margin=0.1), "engine": where}
    before = ls.play(cat, ls.trace(tmp_path / "cat.jsonl"), name="cat", pace=ls.pace.speed(9), **told)
    talk.say("/livesketch/cat/swap", "s", "pig")
    after = ls.players()["cat"]
    for player in (before, after):
        assert {name: getattr(player, name) for name in told} == told
    assert (after.stream.label, after.pace) == ("pig", ls.pace.speed(9))
    with pytest.raises(AttributeError):
        after.then = "stop"
    ls.hush()
    plain = ls.play(cat, ls.trace(tmp_path / "dog.jsonl"), name="dog", engine=where)
    assert (plain.then, plain.lookahead, plain.place) == ("next", 0.1, "live")


@pytest.mark.parametrize(
    "asked", ["{folder}/small.safetensors#pig", "../small.safetensors", "magenta:owl", "small", "", "#"]
)
def test_swap_opens_no_file_and_fetches_nothing(talk, player, folder, small_catalogue, asked, monkeypatch):
    monkeypatch.setattr(catalogue, "fetch", lambda name: pytest.fail(f"fetched {name}"))
    talk.say("/livesketch/cat/swap", "s", asked.format(folder=folder), done=False)
    assert talk.listener.kinds["value"] == 1
    assert ls.players()["cat"] is player


def test_swap_opens_files_where_that_is_allowed(player, folder):
    talk = Talk(files=True)
    talk.say("/livesketch/cat/swap", "s", f"{folder}/small.safetensors#pig")
    talk.say("/livesketch/cat/swap", "s", f"{folder}/nothing.safetensors", done=False)
    assert ls.players()["cat"].stream.label == "pig"
    talk.close()


def test_panic_while_a_model_is_opened_stops_that_too(talk, player, small_catalogue, monkeypatch):
    opening, go_on, opened = threading.Event(), threading.Event(), swap._opened

    def slow(*asked):
        opening.set()
        assert go_on.wait(PATIENCE)
        return opened(*asked)

    monkeypatch.setattr(swap, "_opened", slow)
    talk.packet(osc_message("/livesketch/cat/swap", "s", "pig").dgram)
    assert opening.wait(PATIENCE)
    talk.packet(osc_message("/livesketch/cat/temperature", "f", 0.5).dgram)  # waits behind it
    wait_for(lambda: len(talk.listener._port.inbox) == 1)
    talk.packet(osc_message("/livesketch/panic", "").dgram)
    assert player.wait(PATIENCE)
    assert talk.listener.cancelled == 1
    go_on.set()
    wait_for(lambda: talk.listener.done == 2)
    assert ls.players() == {}


# Answers


def test_errors_are_answered_where_that_is_asked_for(player):
    talk = Talk(answer=0)
    talk.say("/livesketch/cat/temperature", "f", -1.0, done=False)
    address, (said,) = talk.heard()
    assert address == "/livesketch/error"
    assert "at least 0" in said
    talk.say("/livesketch/cat/label", "s", "\x1b[2J" + "x" * 600, done=False)
    assert talk.heard()[1][0].isprintable()
    errors = talk.listener.errors
    talk.packet(b"noise")  # who sends what is no OSC reads none
    wait_for(lambda: talk.listener.errors == errors + 1)
    talk.say("/livesketch/ping")
    assert talk.heard()[0] == "/livesketch/pong"
    talk.close()


def test_errors_are_not_answered_unless_asked_for(talk, player):
    talk.say("/livesketch/cat/temperature", "f", -1.0, done=False)
    talk.say("/livesketch/ping")
    assert talk.heard()[0] == "/livesketch/pong"


def test_two_listeners_do_not_talk_to_each_other():
    one = ls.listen(0)
    two = ls.listen(0, answer=one.port)
    one._answer = two.port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(osc_message("/livesketch/nothing", "").dgram, ("127.0.0.1", one.port))
        wait_for(lambda: two.errors == 1)
        udp.sendto(osc_message("/livesketch/ping", "").dgram, ("127.0.0.1", one.port))
        wait_for(lambda: two.errors == 2)
    assert (one.errors, two.kinds["address"]) == (1, 2)
    one.stop()
    two.stop()


def test_answers_are_no_flood():
    talk = Talk(answer=0)
    second = int(time.monotonic())
    for _ in range(300):
        talk.say("/livesketch/nothing", done=False)
    seconds = int(time.monotonic()) - second + 1
    talk.udp.settimeout(0.0)
    got = []
    with contextlib.suppress(BlockingIOError):
        while True:
            got.append(talk.udp.recv(2000))
    assert 1 <= len(got) <= listening.ANSWERS * seconds
    talk.close()


# Threads and ports


class Slow:
    """A stream with a control that takes as long as somebody wishes."""

    name, seed, convention, stage_units = "slow", 1, None, 1.0

    def __init__(self):
        self.began, self.go_on = threading.Event(), threading.Event()
        self._temperature = 1.0

    @property
    def temperature(self):
        return self._temperature

    @temperature.setter
    def temperature(self, value):
        self.began.set()
        assert self.go_on.wait(PATIENCE)
        self._temperature = value

    def events(self):
        return [ls.Token(0.0, "slow", 0, 0, "a", -1.0, 2.0, False)]


def test_what_takes_long_blocks_neither_the_port_nor_hush(talk):
    slow = Slow()
    player = ls.play(slow, ls.Recorder(), rate=100, name="slow")
    talk.packet(osc_message("/livesketch/slow/temperature", "f", 0.5).dgram)
    assert slow.began.wait(PATIENCE)
    many = in_bundle(*[osc_message("/livesketch/slow/temperature", "f", 0.6).dgram] * 500)
    for k in range(10):
        talk.packet(many)
        wait_for(lambda heard=1 + 500 * (k + 1): talk.listener.heard == heard)
    wait_for(lambda: talk.listener.dropped == 5000 - 4096)
    assert "wait to be done" in talk.listener.last_error
    talk.packet(osc_message("/livesketch/ping", "").dgram)
    assert talk.heard()[0] == "/livesketch/pong"
    talk.packet(osc_message("/livesketch/hush", "").dgram)
    assert player.wait(PATIENCE)
    assert talk.listener.cancelled == 4096
    slow.go_on.set()
    wait_for(lambda: talk.listener.done == 3)
    assert slow.temperature == 0.5


def test_stop_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(osc_port, "STOP_LIMIT", 0.1)
    slow, talk = Slow(), Talk()
    ls.play(slow, ls.Recorder(), rate=100, name="slow")
    talk.packet(osc_message("/livesketch/slow/temperature", "f", 0.5).dgram)
    assert slow.began.wait(PATIENCE)
    talk.close()
    assert not talk.listener.listening
    wait_for(lambda: talk.listener._port._udp.fileno() < 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:  # the port is free all the same
        udp.bind(("127.0.0.1", talk.listener.port))
    slow.go_on.set()


def test_an_inbox_is_bounded_in_bytes_too():
    box = Inbox(most=10, most_bytes=100)
    assert box.put("a", 60)
    assert not box.put("b", 60)
    assert box.put("c", 40)
    assert [box.get(), box.get()] == ["a", "c"]
    assert box.put("d", 100)
    assert box.clear() == 1
    box.close()
    box.close()
    assert box.get() is None
    assert not box.put("e", 1)


def test_listening_again_takes_the_place_of_what_listened_there(player):
    first = ls.listen(0)
    second = ls.listen(first.port)
    assert (first.listening, second.listening, second.port) == (False, True, first.port)
    first.stop()
    first.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(osc_message("/livesketch/cat/pause", "").dgram, ("127.0.0.1", second.port))
        wait_for(lambda: player.paused)
    second.stop()
    assert (first.heard, second.heard) == (0, 1)


def test_only_this_machine_is_heard_unless_asked_otherwise():
    with ls.listen(0) as listener:
        assert listener._port._udp.getsockname()[0] == listener.host == "127.0.0.1"
    assert not listener.listening
    with ls.listen(0, "0.0.0.0") as everybody:
        assert everybody.host == "0.0.0.0"


def test_repr_is_one_useful_line(talk, player):
    assert repr(talk.listener) == f"<listening on 127.0.0.1:{talk.listener.port}: 0 messages, 0 errors, 0 dropped>"
    talk.say("/livesketch/cat/pause")
    talk.say("/livesketch/cat/nothing", done=False)
    talk.say("/livesketch/cat/mute", "s", "a\nb", done=False)
    line = repr(talk.listener)
    assert "3 messages, 2 errors (address 1, value 1), 0 dropped; last error: mute" in line
    assert "\n" not in line
    talk.listener.stop()
    assert repr(talk.listener).startswith("<stopped, listened on")


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


def test_a_program_that_listens_ends_by_itself():
    assert run("import livesketch as ls\nprint(ls.listen(0).listening)") == ["True"]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_hold_the_port():
    program = """
import os, socket, livesketch as ls
listener = ls.listen(0)
ready, tell = os.pipe()
wait, end = os.pipe()
child = os.fork()
if child == 0:
    os.write(tell, b"x" if not listener.listening else b"-")
    os.read(wait, 1)
    os._exit(0)
print(os.read(ready, 1).decode())
listener.stop()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", listener.port))
os.write(end, b"x")
os.waitpid(child, 0)
print("free")
"""
    assert run(program) == ["x", "free"]


# The command line


def test_play_on_the_command_line_is_played_over_osc(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(PATIENCE)
        command = [sys.executable, "-m", "livesketch", "play", f"{folder}/small.safetensors#cat", "--name", "cat"]
        command += [
            "--osc",
            f"127.0.0.1:{udp.getsockname()[1]}",
            "--quiet",
            "--seconds",
            "60",
            "--listen",
            "0",
            "--rate",
            "500",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            said = running.stderr.readline()
            assert said.startswith("listening on 127.0.0.1 port ")
            udp.recv(2000)  # it plays

            def say(address, types, *values):
                packet = osc_message(f"/livesketch/cat/{address}", types, *values).dgram
                udp.sendto(packet, ("127.0.0.1", int(said.split()[-1])))

            say("swap", "si", "pig", 5)
            prefix, step = b"/livesketch/cat/pen\0,iffi\0\0\0", 0
            while step < 61:  # one more than the model before has
                packet = udp.recv(2000)
                if prefix in packet:
                    step = struct.unpack_from(">i", packet, packet.index(prefix) + len(prefix))[0]
            say("nothing", "")
            say("stop", "")
            out, err = running.communicate(timeout=PATIENCE * 3)
    assert running.returncode == 0
    assert out.startswith("cat: ")
    assert out.endswith("seed 5\n")
    assert err.startswith("warning: <listening on")
    assert "1 errors (address 1)" in err


def test_a_port_that_is_taken_ends_the_command_before_anything_plays(folder, capsys):
    from livesketch import cli

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        args = ["play", f"{folder}/small.safetensors#cat", "--osc", "127.0.0.1:9", "--quiet", "--listen", port]
        assert cli.main(args) == 4
    assert "in use" in capsys.readouterr().err


# What hostile senders can do


def torture(player, count, seed):
    """Sends mutants; the listener at the end, and the memory in bytes after a tenth and at the end."""
    sizes = []
    with contextlib.closing(Talk()) as talk:
        listener, sender = talk.listener, talk.udp.getsockname()
        for number, packet in enumerate(mutants(count, seed)):
            if number % 20 == 0:  # through the network, as far as it does not lose them
                talk.packet(packet)
            else:
                listener._port._take(packet, sender)
            if number % 100 == 0:
                wait_for(lambda: len(listener._port.inbox) < 500)
            if number in {count // 10, count - 1}:
                sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        calm(listener)
        for address, types, *values in (("solo", "i", 0), ("mute", "i", 0), ("resume", ""), ("rate", "f", 500.0)):
            talk.say(f"/livesketch/cat/{address}", types, *values)
    return listener, sizes


def calm(listener):
    """Waits until all that was sent is dealt with: packets may be on their way, and the last one in hand."""

    def counts():
        return len(listener._port.inbox), listener.done, listener.errors

    before, since = counts(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.02)
        if counts() != before or before[0]:
            before, since = counts(), time.monotonic()


def still_plays(player):
    """Whoever has the name now steps, and what it sends arrives."""
    recorder = ls.Recorder()
    player = ls.players()["cat"]
    player.to = recorder
    steps = player.stats().steps
    wait_for(lambda: player.stats().steps > steps + 50)
    wait_for(lambda: len(recorder.events) > 50)


@pytest.fixture
def empty_catalogue(tmp_path, monkeypatch):
    """So that the player stays the same one."""
    monkeypatch.setattr(catalogue, "BUNDLED", tmp_path)


def test_twenty_thousand_mutants_harm_nothing(player, empty_catalogue):
    listener, _ = torture(player, 20_000, 1)
    kinds = listener.kinds
    assert kinds["failed"] == 0, listener.last_error
    assert min(kinds["packet"], kinds["address"], kinds["player"], kinds["value"], listener.done) > 20
    still_plays(player)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_mutants_harm_nothing_and_leave_nothing_behind(player, empty_catalogue):
    threads = threading.active_count()
    listener, (early, late) = torture(player, 1_000_000, 2)
    assert listener.kinds["failed"] == 0, listener.last_error
    assert late - early < 40e6
    still_plays(player)
    assert threading.active_count() <= threads + 1


def test_the_seeds_of_the_mutants_are_valid():
    assert sum(len(read(packet)) for packet in packets()) > 60
