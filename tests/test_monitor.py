"""The monitor: what it shows, and what hostile senders can do to it."""

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_events import STAGE, drawing, played

from livesketch.errors import ControlError, OutputError
from livesketch.inputs.monitor import Monitor, Received, monitor, read_packet
from livesketch.outputs.osc import osc
from livesketch.outputs.osc_wire import osc_message, osc_packets


@pytest.fixture
def heard() -> Iterator[Monitor]:
    with monitor(0, timeout=0.5) as made:
        yield made


@pytest.fixture
def say(heard: Monitor) -> Iterator[Callable[[bytes], None]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        yield lambda packet: sender.sendto(packet, ("127.0.0.1", heard.port)) and None


PEN = osc_message("/livesketch/cat/pen", "iffi", 3, 0.25, 0.75, 1)
TOKEN = osc_message("/livesketch/cat/token", "is", 5, "春")
((_, BUNDLE),) = osc_packets([PEN, TOKEN])


def bundle(*elements: bytes, sizes: list[int] | None = None) -> bytes:
    lengths = sizes or [len(element) for element in elements]
    body = b"".join(struct.pack(">i", size) + element for size, element in zip(lengths, elements, strict=True))
    return b"#bundle\0" + bytes(7) + b"\1" + body


def test_a_whole_drawing_is_heard_in_order(heard: Monitor) -> None:
    output = osc(f"127.0.0.1:{heard.port}")
    output.open("cat", 1, STAGE)
    for number, step in enumerate(played(drawing(100))):
        for event in step:
            output.send(event)
        output.tick(number / 60)
    output.close()
    got = list(heard)
    assert [message.args[0] for message in got if message.address == "/livesketch/cat/pen"] == list(range(100))
    assert heard.messages == output.sent == len(got)
    assert heard.malformed == 0
    assert [message.seconds for message in got] == sorted(message.seconds for message in got)


def test_bundles_are_taken_apart(heard: Monitor, say: Callable[[bytes], None]) -> None:
    say(bundle(PEN.dgram, bundle(TOKEN.dgram, bundle()), PEN.dgram))
    got = [(address, args) for _, address, args in heard]
    pen = ("/livesketch/cat/pen", (3, 0.25, 0.75, 1))
    assert got == [pen, ("/livesketch/cat/token", (5, "春")), pen]


HOSTILE = {
    "empty": b"",
    "noise": b"\xff\xfe\xfd",
    "text": b"hello world\n",
    "no terminator": b"/abc",
    "not a multiple of four": PEN.dgram + b"\0",
    "cut": PEN.dgram[:-4],
    "not utf-8": b"/a\xff\0,i\0\0\0\0\0\1",
    "token not utf-8": b"/a\0\0,s\0\0\xff\xff\xff\0",
    "unknown type": b"/a\0\0,Z\0\0",
    "no comma": b"/a\0\0i\0\0\0\0\0\0\1",
    "open array": b"/a\0\0,[\0\0",
    "deep arrays": b"/a\0\0," + b"[" * 50_000 + b"]" * 50_000 + b"\0\0\0",
    "blob beyond the end": b"/a\0\0,b\0\0\x7f\xff\xff\xff",
    "bundle without a timetag": b"#bundle\0",
    "element of negative size": bundle(PEN.dgram, sizes=[-4]),
    "element of size zero": bundle(b"", sizes=[0]),
    "element beyond the end": bundle(PEN.dgram, sizes=[1 << 30]),
    "bundle that ends in a size": bundle(PEN.dgram) + b"\0\0",
}
deep = b""
for _ in range(2000):
    deep = bundle(deep) if deep else bundle(PEN.dgram)
HOSTILE["deep bundles"] = deep


@pytest.mark.parametrize("packet", HOSTILE.values(), ids=HOSTILE)
def test_hostile_packets_are_refused_at_once(packet: bytes) -> None:
    begun = time.perf_counter()
    with pytest.raises(ValueError, match=r"[a-z]+ [a-z]+"):
        read_packet(packet)
    assert time.perf_counter() - begun < 1


def test_hostile_packets_are_counted_said_and_survived(
    heard: Monitor, say: Callable[[bytes], None], caplog: pytest.LogCaptureFixture
) -> None:
    small = [packet for packet in HOSTILE.values() if len(packet) < 60_000]
    for packet in small:
        say(packet)
    say(PEN.dgram)
    got = list(heard)
    assert len(got) == len(small) + 1
    assert heard.malformed == len(small)
    assert got[-1].address == "/livesketch/cat/pen"
    for bad in got[:-1]:
        assert bad.address == ""
        assert "127.0.0.1" in bad.args[0]
        assert "(not OSC)" in str(bad)
    assert caplog.records == []


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), st.sampled_from([b"", b"/a\0\0", b"/a\0\0,", b"#bundle\0", b"#bundle\0" + bytes(8)]))
@example(b"", b"")
def test_bytes_of_any_kind_parse_or_are_refused(data: bytes, start: bytes) -> None:
    try:
        messages = read_packet(start + data)
    except ValueError:
        return
    for address, args in messages:
        assert address.startswith("/")
        assert "\n" not in str(Received(0.0, address, args))


def test_mutated_packets_raise_nothing_else() -> None:
    dice = random.Random(1)
    seeds = [PEN.dgram, TOKEN.dgram, BUNDLE, bundle(BUNDLE, PEN.dgram)]
    for _ in range(20_000):
        packet = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        try:
            read_packet(bytes(packet))
        except ValueError:
            continue


def test_a_line_for_people_cannot_control_the_terminal() -> None:
    line = str(Received(1.5, "/a\x1b[2J", (3, 0.1, "x\n\x07", b"\x1b", "y" * 5000, None)))
    assert line.startswith("     1.500  /a\\x1b[2J 3 0.1 ")
    assert line.isprintable()
    assert len(line) < 400


def test_it_ends_after_the_timeout_whether_anything_comes_or_not() -> None:
    begun = time.monotonic()
    with monitor(0, timeout=0.2) as quiet:
        assert list(quiet) == []
    assert 0.15 < time.monotonic() - begun < 5
    with monitor(0, timeout=0.3) as busy:
        stop = threading.Event()

        def flood() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                while not stop.wait(0.001):
                    sender.sendto(PEN.dgram, ("127.0.0.1", busy.port))

        sending = threading.Thread(target=flood)
        sending.start()
        assert len(list(busy)) > 10
        stop.set()
        sending.join()
    assert time.monotonic() - begun < 10


def test_close_ends_it_from_another_thread() -> None:
    with monitor(0) as endless:
        timer = threading.Timer(0.2, endless.close)
        timer.start()
        assert list(endless) == []
        timer.join()
    endless.close()


def test_a_port_in_use_is_said(heard: Monitor) -> None:
    with pytest.raises(OutputError, match=rf"cannot listen on 127.0.0.1:{heard.port} .*in use.*try another port"):
        monitor(heard.port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "\udc80"])
def test_hosts_that_are_not_ours(host: str) -> None:
    with pytest.raises(OutputError, match="cannot listen"):
        monitor(0, host=host)


@pytest.mark.parametrize("port", [-1, 65536, "9000", None, 9000.0])
def test_ports_that_cannot_be(port: int) -> None:
    with pytest.raises(ControlError, match="expected 0 to 65535"):
        monitor(port)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_timeouts_that_cannot_be(timeout: float) -> None:
    with pytest.raises(ControlError, match="expected seconds, 0 or more"):
        monitor(0, timeout=timeout)
