"""How late MIDI clock's pulses are handed to the MIDI system: `python -m benchmarks.midi_clock [seconds]`.

Each pulse's moment at the port, less when it is due by the beat; 125 beats a minute, so 20 ms apart. What the system, a
driver and a cable add is not in it. Busy: the main thread adds numbers in pure Python all the while.
"""

import functools
import importlib
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import livesketch as ls
from livesketch.outputs.midi import MidiOutput
from livesketch.outputs.midi_clock import CLOCK
from livesketch.outputs.midi_presets import FAST, make_sound
from livesketch.player.conductor import clock
from livesketch.player.engine import engine
from livesketch.player.pulse_sender import PulseSender

BPM = 125


class Port:
    """Notes when pulses come; writes that down where it is closed."""

    name = "noted"

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._times: list[float] = []

    def open(self) -> None: ...
    def release(self) -> None: ...

    def present(self) -> bool:
        return True

    def send(self, data: bytes) -> None:
        if data == CLOCK:
            self._times.append(time.monotonic())

    def close(self) -> None:
        self._path.write_text(json.dumps(self._times))


def output(path: str) -> MidiOutput:
    sound = make_sound("plain", None, "C3", 3, None, (16, 17, 18), None, FAST, 100.0)
    made = MidiOutput(Port(path), sound, True)
    here = importlib.import_module("benchmarks.midi_clock")  # what runs is called __main__ elsewhere
    made.recipe = functools.partial(here.output, path)
    return made


def wait(seconds: float, *, busy: bool) -> None:
    end, x = time.monotonic() + seconds, 0
    if not busy:
        threading.Event().wait(seconds)
    while time.monotonic() < end:
        for i in range(1000):
            x += i * i % 7


def late(kind: str, seconds: float, *, busy: bool) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/times.json"
        if kind == "ls.clock.send":
            sender = PulseSender(output(path), clock.tempo)
            sender.start()
            wait(seconds, busy=busy)
            sender.close()
        else:
            where = kind.rpartition(" ")[2]
            player = ls.play(ls.sketch("cat", seed=1), output(path), rate=60, engine=where)
            wait(seconds, busy=busy)
            player.stop()
        pulses = np.array([clock.beat_at(at) * 24 for at in json.loads(Path(path).read_text())])
    first = round(pulses[0] / 6) * 6
    return (pulses - first - np.arange(len(pulses))) * 60 / BPM / 24 * 1e3


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    clock.bpm = BPM
    print(f"lateness of pulses, ms, over {seconds:g} s at {BPM} bpm")
    for kind in ("ls.clock.send", "ls.midi clock=True, engine thread", "ls.midi clock=True, engine process"):
        for busy in (False, True):
            found = late(kind, seconds, busy=busy)[24:]  # the first beat: a process starts, kernels are loaded
            half = len(found) // 2
            drift = np.median(found[half:]) - np.median(found[:half])
            print(
                f"{kind:36} {'busy' if busy else 'idle'}: {len(found)} pulses, p50 {np.median(found):.3f}, "
                f"p99 {np.quantile(found, 0.99):.3f}, most {found.max():.3f}; second half - first {drift:+.4f}"
            )
    engine.close()


if __name__ == "__main__":
    main()
