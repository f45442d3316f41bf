"""Suite `jitter`: how late ticks of 10 ms arrive at a receiver, idle and beside a busy Python prompt.

Each engine runs as a program of its own, in turn, and sends a UDP datagram every 10 ms; the kernel notes when each
arrives. Lateness is counted from the earliest tick of the run, so that what is constant does not count. Busy: the
program's main thread adds numbers in pure Python all the while; beside the C loop another process does.
"""

import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .report import Result, Series
from .rounds import progress

PERIOD = 0.01
"""Seconds between two ticks."""
WARM = 20
"""Ticks of a run that do not count."""
REFERENCE = "C, clock_nanosleep"

C = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
int main(int count, char **words) {
    struct sockaddr_in to = {AF_INET, htons(atoi(words[1])), {htonl(INADDR_LOOPBACK)}};
    int ticks = atoi(words[2]), out = socket(AF_INET, SOCK_DGRAM, 0);
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (int tick = 0; tick < ticks; tick++) {
        due.tv_nsec += 10000000;
        if (due.tv_nsec >= 1000000000) { due.tv_nsec -= 1000000000; due.tv_sec++; }
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, 0)) {}
        sendto(out, &tick, sizeof tick, 0, (struct sockaddr *)&to, sizeof to);
    }
    return 0;
}
"""

BUSY = """
def busy(done):
    x = 0
    while not done():
        for i in range(1000):
            x += i * i % 7
"""

NAIVE = (
    BUSY
    + """
import socket, struct, sys, threading, time
port, ticks, works = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "busy"
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def play():
    due = time.monotonic()
    for tick in range(ticks):
        due += 0.01
        time.sleep(max(0.0, due - time.monotonic()))
        out.sendto(struct.pack("<i", tick), ("127.0.0.1", port))
player = threading.Thread(target=play)
player.start()
if works:
    busy(lambda: not player.is_alive())
player.join()
"""
)

ORDINARY = "import os\nos.environ['LIVESKETCH_REALTIME'] = '0'\n"
PLAYER = (
    BUSY
    + """
import sys, time
import livesketch as ls
port, ticks, works, engine = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "busy", sys.argv[4]
stream = ls.sketch(sys.argv[5], seed=7)
player = ls.play(stream, ls.osc(f"127.0.0.1:{port}", rate=10000), rate=100, engine=engine)
end = time.monotonic() + ticks / 100
if works:
    busy(lambda: time.monotonic() > end)
else:
    time.sleep(max(0.0, end - time.monotonic()))
ls.hush()
"""
)


def suite(*, model: str, rounds: int, steps: int) -> Result:
    absent = {}
    with tempfile.TemporaryDirectory() as folder:
        engines: dict[str, list[str]] = {
            "time.sleep in a thread": [sys.executable, "-c", NAIVE],
            "livesketch, engine='thread'": [sys.executable, "-c", PLAYER],
            "livesketch, engine='process'": [sys.executable, "-c", PLAYER],
            "livesketch, engine='process', ordinary priority": [sys.executable, "-c", ORDINARY + PLAYER],
        }
        program = compiled(Path(folder))
        if program is None:
            absent[REFERENCE] = "no C compiler here"
        else:
            engines[REFERENCE] = [str(program)]
        found = measured(engines, model, rounds, steps)
    series = []
    for (name, state), runs in found.items():
        for share, said in ((0.5, "p50"), (0.99, "p99"), (1.0, "most")):
            series.append(Series(f"{name}, {state}, {said}", [float(np.quantile(run, share)) * 1e3 for run in runs]))
    return Result(
        suite="jitter",
        unit="ms late",
        facts={"tick": "10 ms", "ticks": steps, "rounds": rounds, "model": model},
        series=series,
        compare_with=f"{REFERENCE}, idle, p99",
        absent=absent,
    )


def compiled(folder: Path) -> Path | None:
    """The C loop as a program; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, program = folder / "tick.c", folder / "tick"
    source.write_text(C)
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def measured(engines: dict[str, list[str]], model: str, rounds: int, steps: int) -> dict[tuple[str, str], list[Any]]:
    """Seconds late of every tick of every run."""
    cases = [(name, state) for name in engines for state in ("idle", "busy")]
    found: dict[tuple[str, str], list[Any]] = {case: [] for case in cases}
    order, shuffle = list(cases), random.Random(1)
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        shuffle.shuffle(order)
        for name, state in order:
            found[name, state].append(run(engines[name], name, state, model, steps))
    progress("")
    return found


def run(command: list[str], name: str, state: str, model: str, ticks: int) -> Any:
    """Starts a program that ticks, and listens: seconds late of each tick."""
    engine = "process" if "process" in name else "thread"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        port = listener.getsockname()[1]
        words = [*command, str(port), str(ticks + WARM), state, engine, model]
        with beside(busy=state == "busy" and name == REFERENCE):
            times = arrivals(listener, words)
    return late(np.array(times))


SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)


def arrivals(listener: socket.socket, words: list[str], now: Callable[[], float] | None = None) -> list[float]:
    """Starts a program and gives when its ticks arrived, seconds, until it ends: as the kernel says, or by ``now``."""
    listener.settimeout(0.2)
    found: list[float] = []
    with subprocess.Popen(words) as program:
        while True:
            try:
                data, extra, _, _ = listener.recvmsg(65536, 256)
            except TimeoutError:
                if program.poll() is not None:
                    return found
                continue
            moment = told(extra) if now is None else now()
            found += [moment] * (1 if len(data) == 4 else steps_in(data))


def told(extra: list[tuple[int, int, bytes]]) -> float:
    """The kernel's time of arrival, seconds."""
    stamp = next(words for level, kind, words in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
    seconds, nanoseconds = struct.unpack("@ll", stamp[:16])
    return float(seconds + nanoseconds * 1e-9)


def steps_in(data: bytes) -> int:
    """Steps of a player in its datagram: each sends a `/pen`, the last of a drawing an `/end`."""
    return data.count(b"/pen\0") + data.count(b"/end\0") - data.count(b"/stroke/end\0")


def late(times: Any) -> Any:
    """Seconds after when each tick would have come had every one been like the best."""
    ticks = times[WARM:-2]
    found = ticks - np.arange(len(ticks)) * PERIOD
    return found - found.min()


@contextmanager
def beside(*, busy: bool) -> Iterator[None]:
    """Another process that adds numbers, where asked for."""
    if not busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", BUSY + "busy(lambda: False)"]) as other:
        time.sleep(0.2)
        try:
            yield
        finally:
            other.kill()


assert os.name == "posix", "the suite `jitter` needs the kernel's timestamps of Linux"
