"""Real time: players in both engines, with changes and swaps all the while, take no more memory, threads or files.

``LIVESKETCH_SOAK`` says for how many seconds (the figures in docs/results.md are of 600).
"""

import gc
import itertools
import os
import socket
import threading
import time
from pathlib import Path

import pytest

import livesketch as ls
from livesketch.player.engine import engine

SECONDS = float(os.environ.get("LIVESKETCH_SOAK", "30"))
MOST = 8_000 if SECONDS >= 300 else 60_000
"""Kilobytes more at the end than after a quarter: in a short run models are still being loaded then."""
PROC = Path("/proc")


class Receiver(threading.Thread):
    """Counts datagrams, so that every sender has somebody to send to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.got = 0

    def run(self):
        while self.udp.recv(2048) != b"over":
            self.got += 1

    @property
    def port(self):
        return self.udp.getsockname()[1]


def held(pid):
    """Kilobytes, threads and open files of a process."""
    status = dict(line.split(":", 1) for line in (PROC / f"{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]), int(status["Threads"]), len(list((PROC / f"{pid}/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.skipif(not PROC.exists(), reason="reads /proc")
def test_minutes_of_playing_take_no_more_of_anything(tmp_path):
    receiver = Receiver()
    receiver.start()
    to = f"127.0.0.1:{receiver.port}"
    trace = tmp_path / "trace.jsonl"
    ls.play(ls.sketch("cat", seed=1), [ls.osc(to), ls.trace(trace)], name="here", engine="thread")
    ls.play(ls.sketch("pig", seed=2), ls.osc(to), name="there", engine="process")
    ls.play(ls.text("shakespeare", seed=3), ls.osc(to), name="words", rate=20, engine="thread")
    began, quarter, turn = time.monotonic(), None, itertools.count()
    try:
        while (passed := time.monotonic() - began) < SECONDS:
            change(next(turn), to)
            if quarter is None and passed > SECONDS / 4:
                gc.collect()
                quarter, heard = [held(os.getpid()), held(engine.pid)], receiver.got
            time.sleep(0.25)
        gc.collect()
        end = [held(os.getpid()), held(engine.pid)]
        stats = {name: player.stats() for name, player in ls.players().items()}
    finally:
        ls.hush()
        engine.close()
        receiver.udp.connect(receiver.udp.getsockname())
        receiver.udp.send(b"over")
        receiver.join()
        receiver.udp.close()
    print(f"\n{SECONDS:g} s: (kB, threads, files) of both processes {quarter} -> {end}; {stats}")  # seen with -s
    assert receiver.got > heard > 0
    for before, after in zip(quarter, end, strict=True):
        assert after[0] - before[0] < MOST  # kB: one turn's streams come and go
        assert after[1] <= before[1] + 1  # a swap may be under way
        assert after[2] <= before[2] + 2
    assert all(not figures.output_errors for figures in stats.values())


def change(turn, to):
    """Four times a second: a control, a swap, a pause, in turns."""
    players = ls.players()
    name = ("here", "there")[turn % 2]
    player = players[name]
    if turn % 12 < 8:
        player.stream.temperature = 0.2 + 0.1 * (turn % 7)
    elif turn % 12 < 10:
        model = ("cat", "pig", "sheep")[turn % 3]
        ls.play(
            ls.sketch(model, seed=turn), player.to, name=name, quant="stroke", engine=("thread", "process")[turn % 2]
        )
    else:
        player.pause()
        player.resume()
