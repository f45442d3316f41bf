"""A JACK server without a sound card, and Python programs that use MIDI through it.

JACK's ``dummy`` driver needs no hardware. python-rtmidi's wheel brings a libjack of its own that does not find Debian's
server, so Debian's is loaded first, which a running process cannot do: MIDI runs in programs of their own.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0  # seconds until the server must have answered
TESTS = Path(__file__).resolve().parent
LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib")
START = """
import json, os, signal, subprocess, sys, threading, time
sys.path.insert(0, {tests!r})
import faulthandler
faulthandler.dump_traceback_later(90, exit=True)
import rtmidi
import livesketch as ls
from made_events import STAGE, action, drawing, played
from midi_fakes import Synth, send, words

def wait_for(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)

class Peer:
    '''Hears by polling: a callback would run in JACK's thread, and wait there for the interpreter.'''
    def __init__(self, name="peer"):
        self.client = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name=name, queue_size_limit=8192)
        self.client.ignore_types(False, False, False)
        self.got, self.done = [], threading.Event()
        self.thread = threading.Thread(target=self.hear, daemon=True)
        self.thread.start()
    def __getattr__(self, name):
        return getattr(self.client, name)
    def hear(self):
        while not self.done.wait(0.0005):
            while (heard := self.client.get_message()) is not None:
                self.got.append((time.monotonic(), bytes(heard[0])))
    def close_port(self):
        self.done.set()
        self.thread.join()
        self.client.close_port()

def peer_in(name="peer"):
    peer = Peer(name)
    return peer, peer.got

def peer_out(name="knobs"):
    client = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name=name)
    return client

class Noted:
    '''A port that notes what it hands to the system.'''
    def __init__(self, port):
        self.port, self.sent = port, []
    def __getattr__(self, name):
        return getattr(self.port, name)
    def send(self, data):
        self.port.send(data)
        self.sent.append(data)

def noted(output):
    output._cable.port = Noted(output._cable.port)
    return output

answer = {{}}
"""


class Jack:
    """The server, and how to use it."""

    def __init__(self, program: str, library: str, name: str = "livesketch") -> None:
        self.program = program
        self.name = f"{name}-{os.getpid()}"
        self.library = library
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_AUDIO_RESERVATION": "1"}

    @property
    def command(self) -> list[str]:
        """256 frames at 48 kHz: a cycle of 5.3 ms. Not in real time: nobody may need to be root.

        Synchronous, with patience: a client that is late is waited for, not left out with its messages.
        """
        server = [self.program, "--no-realtime", "--sync", "--timeout", "500", "-n", self.name]
        return [*server, "-d", "dummy", "-r", "48000", "-p", "256"]

    def start(self) -> None:
        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        deadline = time.monotonic() + PATIENCE
        while self.run("answer['there'] = not ls.ports().missing") != {"there": True}:
            assert self.process.poll() is None, "jackd ended"
            assert time.monotonic() < deadline, "jackd does not answer"

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def run(self, program: str) -> Any:
        """Runs a program that fills ``answer``; what it holds then."""
        whole = START.format(tests=str(TESTS)) + program + "\nprint(json.dumps(answer))\n"
        done = subprocess.run(
            [sys.executable, "-c", whole], env={**self.environment, "LD_PRELOAD": self.library}, capture_output=True,
            text=True, timeout=110, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.fail(f"exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
        import json

        assert done.stderr == "", "the libraries print into the prompt"
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def jack(peer: Callable[[str], str], peer_module: Callable[[str], Any]) -> Iterator[Jack]:
    program = peer("jackd")
    peer_module("rtmidi")
    from conftest import skip_or_fail

    found = [path for folder in LIBRARIES for path in sorted(Path(folder).glob("**/libjack.so.0"))]
    if not found:
        skip_or_fail("peers", "libjack is not installed; .ci/run installs it")
    server = Jack(program, str(found[0]))
    server.start()
    yield server
    server.stop()
