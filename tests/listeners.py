"""Programs that others wrote, listening to OSC: liblo's oscdump and Pure Data's oscparse."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livesketch.outputs.osc_wire import osc_message

PATIENCE = 30.0  # seconds until a program must have answered
PATCH = """\
#N canvas 0 0 400 300 12;
#X obj 20 20 netreceive -u -b {port};
#X obj 20 50 oscparse;
#X obj 20 80 print got;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
"""


READY = osc_message("/ready", "i", 1).dgram
DONE = osc_message("/done", "i", 1).dgram


class Listener:
    """A running program that listens to OSC and prints what it hears into a file."""

    def __init__(
        self, command: Callable[[int], list[str]], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command(self.port), stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment
            )

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def wait_for(self, text: str, again: bytes = b"") -> None:
        """Waits until a line holds ``text``; ``again`` is sent meanwhile."""
        deadline = time.monotonic() + PATIENCE
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            while not any(text in line for line in self.lines()):
                assert self.process.poll() is None, self.lines()
                assert time.monotonic() < deadline, self.lines()[-20:]
                if again:
                    udp.sendto(again, ("127.0.0.1", self.port))
                time.sleep(0.05)

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def oscdump(peer: Callable[[str], str], tmp_path: Path) -> Iterator[Listener]:
    program = peer("oscdump")
    running = Listener(lambda port: [program, "-L", str(port)], tmp_path / "oscdump.log")
    yield running
    running.close()


@pytest.fixture
def pd(peer: Callable[[str], str], tmp_path: Path) -> Iterator[Listener]:
    program = peer("pd")
    patch = tmp_path / "listen.pd"

    def command(port: int) -> list[str]:
        patch.write_text(PATCH.format(port=port))
        return [program, "-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr", "-open", str(patch)]

    running = Listener(command, tmp_path / "pd.log")
    yield running
    running.close()
