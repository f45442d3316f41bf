"""The Pure Data patch of the examples understands what livesketch sends: a real Pd opens it."""

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

PATCH = Path(__file__).resolve().parent.parent / "examples" / "receive_pen.pd"
PATIENCE = 20.0  # seconds until Pd must have answered


def message(address: str, types: str, *values: float) -> bytes:
    builder = OscMessageBuilder(address)
    for kind, value in zip(types, values, strict=True):
        builder.add_arg(value, kind)
    return builder.build().dgram


class Pd:
    """A running Pure Data with the patch open on a free port, and what it printed so far."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        text, changed = re.subn(r"netreceive -u -b 9000;", f"netreceive -u -b {self.port};", PATCH.read_text())
        assert changed == 1
        patch, self.log = folder / "patch.pd", folder / "pd.log"
        patch.write_text(text)
        flags = ["-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr", "-open", str(patch)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, ("127.0.0.1", self.port))

    def printed(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def until(self, line: str, again: bytes = b"") -> None:
        """Waits for a line; ``again`` is sent until it comes."""
        deadline = time.monotonic() + PATIENCE
        while line not in self.printed():
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < deadline, self.printed()
            if again:
                self.send(again)
            time.sleep(0.05)

    def close(self) -> None:
        self.socket.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pd(peer: Callable[[str], str], tmp_path: Path) -> Iterator[Pd]:
    running = Pd(peer("pd"), tmp_path)
    try:
        yield running
    finally:
        running.close()


def test_the_patch_receives_every_kind_of_message(pd: Pd) -> None:
    pd.until("alive: 0", again=message("/livesketch/alive", "i", 0))
    pd.send(message("/livesketch/cat/stroke/begin", "iff", 0, 0.5, 0.5))
    pd.send(message("/livesketch/cat/pen", "iffi", 0, 0.25, 0.75, 1))
    pd.send(message("/livesketch/cat/stroke/end", "iff", 1, 0.25, 0.75))
    pd.send(message("/livesketch/cat/end", "i", 3))
    pd.until("drawing-end: 3")
    told = [line for line in pd.printed() if not line.startswith("alive")]
    assert [line for line in told if re.match(r"(pen|stroke|drawing)", line)] == [
        "stroke-begin: 0 0.5 0.5",
        "pen: 0 0.25 0.75 1",
        "stroke-end: 1 0.25 0.75",
        "drawing-end: 3",
    ]
    assert [line for line in told if "error" in line or "couldn't" in line or "no such" in line] == []
