"""The OSC output: every byte of every message, when datagrams go, and what happens when they cannot."""

import math
import socket
import struct
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_events import STAGE, action, drawing, end, played
from pythonosc.osc_message import OscMessage

from livesketch.errors import ControlError, OutputError
from livesketch.events import Cue, CueKind, Event, Pen, Token
from livesketch.inputs.monitor import read_packet
from livesketch.outputs.osc import OscOutput, osc
from livesketch.outputs.osc_wire import MAX_DATAGRAM, osc_message, osc_name, osc_packets


class Receiver:
    """A UDP socket on this machine; what it got is already in the kernel's queue when ``send`` returns."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def datagrams(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(65536))
            except BlockingIOError:
                return found

    def messages(self) -> list[tuple[str, tuple[Any, ...]]]:
        return [message for packet in self.datagrams() for message in read_packet(packet)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.socket.close()


@pytest.fixture
def out(receiver: Receiver) -> Iterator[OscOutput]:
    made = osc(f"127.0.0.1:{receiver.port}")
    yield made
    made.close()


def cue(kind: CueKind, step: int = 3, x: float = 0.25, y: float = 0.75, **changed: Any) -> Cue:
    return Cue(
        **{"at": 0.0, "name": "cat", "voice": 0, "drawing": 2, "step": step, "kind": kind, "x": x, "y": y} | changed
    )


GOLDEN: list[tuple[Event, str]] = [
    (action(3, 0.25, 0.75), "/livesketch/cat/pen\0 ,iffi\0\0\0 00000003 3e800000 3f400000 00000001"),
    (action(4, 0.5, -0.5, ink=False), "/livesketch/cat/pen\0 ,iffi\0\0\0 00000004 3f000000 bf000000 00000000"),
    (action(-1, 1.0, 0.0, pen=Pen.UP), "/livesketch/cat/pen\0 ,iffi\0\0\0 ffffffff 3f800000 00000000 00000001"),
    (cue("stroke/begin"), "/livesketch/cat/stroke/begin\0\0\0\0 ,iff\0\0\0\0 00000003 3e800000 3f400000"),
    (cue("stroke/end"), "/livesketch/cat/stroke/end\0\0 ,iff\0\0\0\0 00000003 3e800000 3f400000"),
    (cue("drawing/end"), "/livesketch/cat/end\0 ,i\0\0 00000002"),
    (Token(0.0, "cat", 0, 5, "春a", -1.0, 2.0, False), "/livesketch/cat/token\0\0\0 ,is\0 00000005 春a\0\0\0\0"),
]  # fmt: skip


def bytes_of(text: str) -> bytes:
    """The strings as they are, groups of eight hexadecimal digits as four bytes."""
    parts = text.split(" ")
    return b"".join(
        bytes.fromhex(p) if len(p) == 8 and not set(p) - set("0123456789abcdef") else p.encode() for p in parts
    )


@pytest.mark.parametrize(("event", "want"), GOLDEN, ids=[text.split("\0")[0] for _, text in GOLDEN])
def test_bytes_of_each_message(out: OscOutput, receiver: Receiver, event: Event, want: str) -> None:
    out.send(event)
    assert [packet.hex() for packet in receiver.datagrams()] == [bytes_of(want).hex()]


def test_bytes_of_state_and_alive(out: OscOutput, receiver: Receiver) -> None:
    out.open("cat", 1, STAGE)
    out.send(action(3, 0.25, 0.75, drawing=2))
    out.tick(100.0)
    bundle = receiver.datagrams()
    alive = bytes_of("/livesketch/alive\0\0\0 ,i\0\0 00000000")
    pen = bytes_of("/livesketch/cat/pen\0 ,iffi\0\0\0 00000003 3e800000 3f400000 00000001")
    state = bytes_of("/livesketch/cat/state\0\0\0 ,iiiffi\0 00000002 00000003 00000001 3e800000 3f400000 00000002")
    elements = b"".join(len(part).to_bytes(4, "big") + part for part in (pen, alive, state))
    assert bundle == [b"#bundle\0" + (1).to_bytes(8, "big") + elements]


def test_cues_that_send_nothing_and_the_end_that_sends_no_pen(out: OscOutput, receiver: Receiver) -> None:
    for event in (cue("drawing/begin"), cue("swap"), cue("hush"), end(4, 0.5, 0.5)):
        out.send(event)
    assert receiver.datagrams() == []
    assert out.errors == 0


def test_alive_and_state_once_a_second(out: OscOutput, receiver: Receiver) -> None:
    out.open("cat", 2, STAGE)
    for k in range(301):  # five seconds
        out.send(action(k, 0.5, 0.5, voice=k % 2, drawing=k // 100))
        out.tick(50.0 + k / 60)
    got = receiver.messages()
    assert [args for address, args in got if address == "/livesketch/alive"] == [(k,) for k in range(6)]
    for voice in (0, 1):
        states = [args for address, args in got if address == f"/livesketch/cat/{voice}/state"]
        assert len(states) in {5, 6}
    told = [(index, args) for index, (address, args) in enumerate(got) if address.endswith("/state")]
    assert all(args[5] == index for index, args in told), "the last number counts the messages before it"


def test_voices_have_addresses_only_where_there_are_several(out: OscOutput, receiver: Receiver) -> None:
    out.open("cat", 1, STAGE)
    out.send(action(0, 0.5, 0.5, voice=7))
    out.open("Wild Pig", 3, STAGE)
    out.send(action(0, 0.5, 0.5, voice=2, name="Wild Pig"))
    out.close()
    assert [address for address, _ in receiver.messages()] == ["/livesketch/cat/pen", "/livesketch/wild-pig/2/pen"]


def test_all_of_a_drawing_in_order_at_every_rate(receiver: Receiver) -> None:
    steps = list(played(drawing(200)))
    with_ends = [event for step in steps for event in step]
    for rate, pace in ((120.0, 60.0), (120.0, 1000.0), (5.0, 60.0), (1.0, 2000.0)):
        out = osc(f"127.0.0.1:{receiver.port}", rate=rate)
        out.open("cat", 1, STAGE)
        datagrams = []
        for number, step in enumerate(steps):
            for event in step:
                out.send(event)
            out.tick(number / pace)
            datagrams += receiver.datagrams()
        out.close()
        datagrams += receiver.datagrams()
        got = [message for packet in datagrams for message in read_packet(packet)]
        pens = [args[0] for address, args in got if address.endswith("/pen")]
        assert pens == list(range(200))
        begins = [address for address, _ in got if "/stroke/" in address or address.endswith("/end")]
        wanted = [e.kind for e in with_ends if isinstance(e, Cue) and e.kind != "drawing/begin"]
        assert [address.removeprefix("/livesketch/cat/") for address in begins] == [
            "end" if kind == "drawing/end" else kind for kind in wanted
        ]
        assert max(map(len, datagrams)) <= 1400
        assert out.sent == len(got)
        assert out.datagrams == len(datagrams)


@pytest.mark.parametrize("pace", [30, 60, 120, 121, 240, 1000])
def test_the_rate_is_a_cap_in_every_second(receiver: Receiver, out: OscOutput, pace: int) -> None:
    out.open("cat", 1, STAGE)
    times = []
    for k in range(3 * pace):
        now = 7.0 + k / pace
        out.send(action(k, 0.5, 0.5))
        out.tick(now)
        times += [now] * len(receiver.datagrams())
    assert len(times) >= 3 * min(pace, 60) - 2, "a rate below the cap is not slowed down"
    for begin in times:
        assert sum(begin <= t < begin + 1 - 1e-9 for t in times) <= 120


def test_a_single_message_is_no_bundle(out: OscOutput, receiver: Receiver) -> None:
    out.open("cat", 1, STAGE)
    out.send(action(0, 0.5, 0.5))
    assert receiver.datagrams() == []
    out.lift()
    assert [packet[:8] for packet in receiver.datagrams()] == [b"#bundle\0"]  # with its /state
    out.send(action(1, 0.5, 0.5))
    out.close()
    assert [packet[:8] for packet in receiver.datagrams()] == [b"/livesket"[:8]]


def test_lift_ends_an_open_stroke_and_ink_begins_it_again(out: OscOutput, receiver: Receiver) -> None:
    out.open("cat", 1, STAGE)
    out.send(cue("stroke/begin", 0, 0.5, 0.5))
    out.send(action(0, 0.625, 0.5))
    out.lift()
    out.lift()
    out.send(action(1, 0.75, 0.5))
    out.lift()
    got = [(address.removeprefix("/livesketch/cat/"), args) for address, args in receiver.messages()]
    assert got == [
        ("stroke/begin", (0, 0.5, 0.5)),
        ("pen", (0, 0.625, 0.5, 1)),
        ("stroke/end", (0, 0.625, 0.5)),
        ("state", (0, 0, 0, 0.625, 0.5, 3)),
        ("state", (0, 0, 0, 0.625, 0.5, 4)),
        ("stroke/begin", (1, 0.625, 0.5)),
        ("pen", (1, 0.75, 0.5, 1)),
        ("stroke/end", (1, 0.75, 0.5)),
        ("state", (0, 1, 0, 0.75, 0.5, 8)),
    ]


def test_places_that_are_none_are_counted_and_a_lift_still_goes(out: OscOutput, receiver: Receiver) -> None:
    out.send(action(0, 0.625, 0.5))
    out.send(action(1, float("nan"), 0.5))
    out.send(action(2, 0.5, 1e39))
    out.send(cue("stroke/end", 2, float("nan"), 0.5))
    assert out.errors == 3
    assert "stroke/end sent without its place" in out.last_error
    got = receiver.messages()
    assert got == [("/livesketch/cat/pen", (0, 0.625, 0.5, 1)), ("/livesketch/cat/stroke/end", (2, 0.625, 0.5))]


@pytest.mark.parametrize(
    "text", ["x" * 1500, "春" * 500, "a\0b", "\ud800"], ids=["long", "long utf-8", "nul", "surrogate"]
)
def test_tokens_that_osc_cannot_carry_are_counted_and_said(out: OscOutput, receiver: Receiver, text: str) -> None:
    out.send(Token(0.0, "cat", 0, 5, text, -1.0, 2.0, False))
    out.send(Token(0.0, "cat", 0, 6, "春" * 400, -1.0, 2.0, False))
    assert out.errors == 1
    assert "Token not sent" in out.last_error
    assert receiver.messages() == [("/livesketch/cat/token", (6, "春" * 400))]


def test_numbers_beyond_32_bits_are_limited(out: OscOutput, receiver: Receiver) -> None:
    out.send(action(2**40, 0.5, 0.5))
    out.send(cue("drawing/end", drawing=-(2**40)))
    assert [args[0] for _, args in receiver.messages()] == [2**31 - 1, -(2**31)]


def test_a_receiver_that_dies_and_returns_misses_only_that_time() -> None:
    first = Receiver()
    out = osc(f"127.0.0.1:{first.port}")
    out.send(action(0, 0.5, 0.5))
    assert len(first.messages()) == 1
    first.socket.close()
    for step in range(1, 6):
        out.send(action(step, 0.5, 0.5))
    assert out.errors >= 4
    assert "refused" in out.last_error
    assert f"127.0.0.1:{first.port}" in out.last_error
    second = Receiver(first.port)
    for step in range(6, 9):
        out.send(action(step, 0.5, 0.5))
    assert [args[0] for _, args in second.messages()] == [6, 7, 8]
    out.close()
    second.socket.close()


class Broken:
    """A socket that the network has left."""

    def send(self, packet: bytes) -> int:
        raise OSError(101, "Network is unreachable")

    def close(self) -> None:
        pass


def test_an_unreachable_network_is_counted_and_tried_again(out: OscOutput, receiver: Receiver) -> None:
    out._socket = Broken()  # type: ignore[assignment]
    out.send(action(0, 0.5, 0.5))
    assert (out.errors, out.sent) == (1, 0)
    assert "1 messages not sent" in out.last_error
    assert "unreachable" in out.last_error
    out.send(action(1, 0.5, 0.5))
    assert [args[0] for _, args in receiver.messages()] == [1]


def test_a_queue_that_nobody_ticks_does_not_grow_without_end(out: OscOutput, receiver: Receiver) -> None:
    out.open("cat", 1, STAGE)
    for step in range(10_000):
        out.send(action(step, 0.5, 0.5))
        if step % 100 == 0:
            receiver.datagrams()
    assert len(out._speech.queue) < 5000
    assert out.sent > 5000


@pytest.mark.parametrize(
    "target",
    [
        *("", "9000", "localhost", "localhost:", ":9000", "localhost:0", "localhost:65536", "localhost:-1", None, 9000),
        *("localhost:99999999", "a:b:9000", "::1:9000", "[::1:9000", "[not an address]:9000", "host name:9000"),
        *("no-such-host.invalid:9000", "a" * 300 + ":9000", "\udc80:9000", "x..y:9000"),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_targets_that_cannot_be(target: str) -> None:
    with pytest.raises(OutputError, match=r"expected .*; try"):
        osc(target)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "fast", None, True, "60", 10**400])
def test_rates_that_cannot_be(rate: float) -> None:
    with pytest.raises(ControlError, match="try rate=120"):
        osc("127.0.0.1:9000", rate=rate)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
        try:
            bound.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 loopback here")
        bound.settimeout(5)
        out = osc(f"[::1]:{bound.getsockname()[1]}")
        out.send(action(0, 0.5, 0.5))
        out.close()
        assert read_packet(bound.recv(2000)) == [("/livesketch/cat/pen", (0, 0.5, 0.5, 1))]


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("Cat", "cat"),
        ("wild cat #2", "wild-cat--2"),
        ("a*b,c/d?e[f]g{h}", "a-b-c-d-e-f-g-h-"),
        ("猫", "u732b"),
        ("\n", "-"),
    ],
)
def test_names_as_part_of_an_address(name: str, want: str) -> None:
    assert osc_name(name) == want


@pytest.mark.parametrize("name", ["", "x" * 101, "猫" * 50])
def test_names_that_cannot_be(out: OscOutput, name: str) -> None:
    with pytest.raises(OutputError, match="try name="):
        out.open(name, 1, STAGE)
    out.send(action(0, 0.5, 0.5, name=name))
    assert out.errors == 1


def test_the_representation_says_how_it_goes(out: OscOutput) -> None:
    out.send(action(0, 0.5, 0.5))
    assert repr(out).startswith("<osc 127.0.0.1:")
    assert "at 120/s: 1 messages sent, 0 errors" in repr(out)


NUMBERS = st.one_of(
    st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("f"), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    st.tuples(st.just("s"), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)),
)


@settings(deadline=None)
@given(st.lists(st.lists(NUMBERS, max_size=6), max_size=120))
def test_datagrams_are_valid_small_and_hold_every_message_in_order(rows: list[list[tuple[str, Any]]]) -> None:
    messages = [osc_message("/livesketch/cat/pen", "".join(t for t, _ in row), *(v for _, v in row)) for row in rows]
    packets = list(osc_packets(messages))
    assert all(len(packet) % 4 == 0 and len(packet) <= MAX_DATAGRAM for _, packet in packets)
    assert sum(count for count, _ in packets) == len(messages)
    got = [args for _, packet in packets for _, args in read_packet(packet)]
    assert got == [tuple(value for _, value in row) for row in rows]
    for (_, one), (_, two) in pairwise(packets):
        first = read_packet(two)[0]
        size = next(m.size for m in messages if (m.address, tuple(m.params)) == first)
        whole = len(one) + (20 if one.startswith(b"/") else 0)
        assert whole + 4 + size > MAX_DATAGRAM, "no datagram ends before it is full"


@settings(deadline=None)
@given(st.text(min_size=1, max_size=20))
def test_every_name_gives_a_valid_address(name: str) -> None:
    try:
        part = osc_name(name)
    except OutputError:
        return
    assert part.isascii()
    assert not set(part) & set(" #*,/?[]{}\0")
    assert (
        OscMessage(osc_message(f"/livesketch/{part}/pen", "i", np.int64(1)).dgram).address == f"/livesketch/{part}/pen"
    )


# Latency and timetags


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "early"},
        {"latency": -0.1},
        {"latency": math.nan},
        {"latency": 11},
        {"nudge": -0.1},
        {"latency": 0.1, "nudge": -0.2},
        {"latency": "much"},
    ],
)
def test_a_latency_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        osc("127.0.0.1:9000", **wrong)


def test_what_comes_later_is_held_until_then(receiver: Receiver) -> None:
    out = osc(f"127.0.0.1:{receiver.port}", latency=0.3, nudge=-0.1)
    out.open("cat", 1, STAGE)
    out.tick(5.0)
    receiver.datagrams()
    for k in range(4):
        out.send(action(k, 0.5, 0.5, at=5.0 + k / 100))
    assert out.next_tick == pytest.approx(5.2)
    out.tick(5.1)
    assert receiver.messages() == []
    out.tick(5.2)
    assert [address for address, _ in receiver.messages()].count("/livesketch/cat/pen") == 1
    out.tick(5.2151)
    assert [address for address, _ in receiver.messages()].count("/livesketch/cat/pen") == 1
    out.lift()  # nothing is lost where it stops
    assert out.next_tick is None
    assert [address for address, _ in receiver.messages()].count("/livesketch/cat/pen") == 2
    out.close()


def test_a_timetag_says_when_it_is_due(receiver: Receiver) -> None:
    out = osc(f"127.0.0.1:{receiver.port}", mode="timetag", latency=0.25)
    out.open("cat", 1, STAGE)
    out.tick(100.0)
    receiver.datagrams()
    out.send(action(0, 0.5, 0.5, at=100.5))
    before = time.time()
    out.tick(100.0)
    after = time.time()
    (packet,) = receiver.datagrams()
    assert packet.startswith(b"#bundle\0")
    seconds, fraction = struct.unpack(">II", packet[8:16])
    moment = seconds - 2208988800 + fraction / 2**32
    assert before + 0.75 - 1e-3 <= moment <= after + 0.75 + 1e-3
    assert next(address for address, _ in read_packet(packet)) == "/livesketch/cat/pen"
    out.close()
    out.send(action(1, 0.5, 0.5))  # by hand: at once
    assert not receiver.datagrams()[-1].startswith(b"#bundle")
    out.close()
