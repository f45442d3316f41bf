"""Outputs against programs that others wrote: liblo's oscdump, Pure Data and vpype."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listeners import DONE, PATIENCE, READY, Listener
from made_events import STAGE, drawing, played

from livesketch.events import Cue, Event, Token
from livesketch.inputs.monitor import Received, read_packet
from livesketch.outputs.osc import OscOutput, osc
from livesketch.outputs.svg import svg


class Heard(OscOutput):
    """The OSC output, which also notes the messages it handed to the network."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.messages: list[tuple[str, tuple[Any, ...]]] = []

    def _send_datagram(self, packet: bytes) -> None:
        super()._send_datagram(packet)
        self.messages += read_packet(packet)


def play_everything(port: int) -> list[tuple[str, tuple[Any, ...]]]:
    """Two voices draw two drawings each, slowly enough for any receiver; what was sent."""
    output = Heard(f"127.0.0.1:{port}")
    output.open("Wild Cat", 2, STAGE)
    events: list[list[Event]] = []
    for number in range(2):
        for voice in range(2):
            events += played(drawing(120, name="Wild Cat", voice=voice, drawing=number))
    events.append([Token(0.0, "Wild Cat", 1, 3, "spring", -1.0, 2.0, False)])
    for number, step in enumerate(events):
        for event in step:
            output.send(event)
        output.tick(number / 60)
        if number % 10 == 0:
            time.sleep(0.005)
    output.lift()
    output.close()
    assert output.errors == 0
    kinds = {address.rpartition("/")[2] for address, _ in output.messages}
    assert kinds == {"pen", "begin", "end", "token", "state", "alive"}
    return output.messages


def test_oscdump_prints_every_message_in_order(oscdump: Listener) -> None:
    oscdump.wait_for("/ready", again=READY)
    sent = play_everything(oscdump.port)
    oscdump.wait_for("/done", again=DONE)
    got = [line.split(maxsplit=1)[1] for line in oscdump.lines() if "/livesketch/" in line]
    assert len(got) == len(sent)
    for line, (address, args) in zip(got, sent, strict=True):
        heard, types, *values = line.split()
        assert heard == address
        assert types == "".join({int: "i", float: "f", str: "s"}[type(value)] for value in args)
        for text, value in zip(values, args, strict=True):
            assert text.strip('"') == value if isinstance(value, str) else float(text) == pytest.approx(value, abs=1e-5)


def test_oscdump_understands_utf8_tokens_and_long_ones(oscdump: Listener) -> None:
    oscdump.wait_for("/ready", again=READY)
    output = osc(f"127.0.0.1:{oscdump.port}")
    for step, text in enumerate(("春", "山为斜好几" * 50)):
        output.send(Token(0.0, "poem", 0, step, text, -1.0, 2.0, False))
    output.close()
    oscdump.wait_for("/done", again=DONE)
    got = [line.split('"')[1] for line in oscdump.lines() if "/livesketch/poem/token" in line]
    if any("\\" in text for text in got):  # oscdump may escape what its locale cannot show
        assert len(got) == 2
    else:
        assert got == ["春", "山为斜好几" * 50]


def test_pure_data_accepts_every_message_in_order(pd: Listener) -> None:
    pd.wait_for("got: list ready 1", again=READY)
    sent = play_everything(pd.port)
    pd.wait_for("got: list done 1", again=DONE)
    lines = pd.lines()
    assert [line for line in lines if re.search(r"error|unknown|bad|oscparse", line, re.IGNORECASE)] == []
    got = [line.split()[2:] for line in lines if line.startswith("got: list livesketch")]
    assert len(got) == len(sent)
    for words, (address, args) in zip(got, sent, strict=True):
        parts = address.strip("/").split("/")
        assert words[: len(parts)] == parts
        for text, value in zip(words[len(parts) :], args, strict=True):
            assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_vpype_reads_the_page_at_its_size_with_its_layers(peer: Callable[[str], str], tmp_path: Path) -> None:
    vpype = peer("vpype")
    file = tmp_path / "cats.svg"
    output = svg(file, page="a5", landscape=True, margin="12mm", color=["black", "crimson"])
    output.open("cat", 2, STAGE)
    for number in range(2):
        for voice in range(2):
            for step in played(drawing(40, voice=voice, drawing=number)):
                for event in step:
                    output.send(event)
    output.close()
    done = subprocess.run([vpype, "read", str(file), "stat"], capture_output=True, text=True, timeout=100, check=True)
    told = done.stdout + done.stderr
    size = re.search(r"page size: \(([\d.]+), ([\d.]+)\)", told, re.IGNORECASE)
    assert size, told
    mm = [float(number) * 25.4 / 96 for number in size.groups()]
    assert mm == pytest.approx([210, 148], abs=0.01)
    assert re.findall(r"^Layer (\d+)", told, re.MULTILINE) == ["1", "2"], told
    assert [int(n) for n in re.findall(r"path count: (\d+)", told, re.IGNORECASE)][:2] == [10, 10], told


def test_rsvg_draws_the_page(peer: Callable[[str], str], tmp_path: Path) -> None:
    program = peer("rsvg-convert")
    output = svg(tmp_path / "cat.svg")
    output.open("cat", 1, STAGE)
    for step in drawing(40):
        output.send(step)
    output.close()
    done = subprocess.run(
        [program, "--format", "png", str(tmp_path / "cat.svg")], capture_output=True, timeout=60, check=True
    )
    assert done.stdout.startswith(b"\x89PNG")
    width, height = (int.from_bytes(done.stdout[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (794, 1123)


def test_what_oscsend_sends_the_monitor_reads(peer: Callable[[str], str]) -> None:
    from livesketch.inputs.monitor import monitor

    with monitor(0, timeout=PATIENCE) as ours:
        subprocess.run(
            [peer("oscsend"), "127.0.0.1", str(ours.port), "/a/b", "ifsT", "3", "0.5", "word"], check=True, timeout=30
        )
        got = next(ours)
    assert isinstance(got, Received)
    assert (got.address, got.args) == ("/a/b", (3, 0.5, "word", True))


def test_every_kind_of_cue_is_played() -> None:
    """What the peers are sent holds each cue that has a message."""
    kinds = {event.kind for step in played(drawing(20)) for event in step if isinstance(event, Cue)}
    assert kinds == {"drawing/begin", "stroke/begin", "stroke/end", "drawing/end"}
