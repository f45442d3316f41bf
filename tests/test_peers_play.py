"""`livesketch play` heard by real receivers: every message, in order, none lost."""

import re
import subprocess
import sys

import pytest
from listeners import DONE, READY


def play(port, tmp_path, seconds, rate=60):
    """One performance of the bundled cat by the command line; how many steps it says it played."""
    command = [sys.executable, "-m", "livesketch", "play", "cat", "--osc", f"127.0.0.1:{port}", "--rate", str(rate)]
    options = ["--seconds", str(seconds), "--seed", "7", "--name", "cat", "--quiet"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return int(re.search(r"cat: (\d+) steps", done.stdout)[1])


def check_performance(messages, steps, seconds, rate=60):
    """The messages, as (address without the name, values), tell one performance without a gap."""
    ends, points, expected, drawing, open_stroke = 0, 0, 0, 0, False
    for kind, values in messages:
        if kind == "pen":
            step, _, _, ink = values
            assert step == expected
            assert ink in (0, 1)
            assert not ink or open_stroke
            points, expected = points + 1, int(step) + 1
        elif kind == "stroke/begin":
            assert not open_stroke
            open_stroke = True
        elif kind == "stroke/end":
            assert open_stroke
            open_stroke = False
        elif kind == "end":
            assert values == [drawing]
            ends, expected, drawing = ends + 1, 0, drawing + 1
    assert not open_stroke
    assert ends >= 2
    assert steps >= (seconds - 2) * rate
    assert steps - ends <= points <= steps  # END sends no /pen; only the cut-off last drawing has none
    return points


@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_oscdump_prints_every_message_of_a_performance_in_order(oscdump, tmp_path, seconds):
    oscdump.wait_for("/ready", again=READY)
    steps = play(oscdump.port, tmp_path, seconds)
    oscdump.wait_for("/done", again=DONE)
    messages, alive, states = [], [], []
    for line in oscdump.lines():
        if "/livesketch/" not in line:
            continue
        address, types, *values = line.split(maxsplit=1)[1].split()
        numbers = [float(value) for value in values]
        if address == "/livesketch/alive":
            alive.append(numbers[0])
        elif address == "/livesketch/cat/state":
            assert types == "iiiffi"
            states.append(numbers)
        else:
            kind = address.removeprefix("/livesketch/cat/")
            assert types == {"pen": "iffi", "stroke/begin": "iff", "stroke/end": "iff", "end": "i"}[kind]
            messages.append((kind, numbers))
    check_performance(messages, steps, seconds)
    assert alive == list(range(len(alive)))
    assert seconds - 2 <= len(alive) <= seconds + 2
    assert states[-1][-1] == len(messages) + len(alive) + len(states) - 1  # what was sent is what came


@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_pure_data_accepts_every_message_of_a_performance(pd, tmp_path, seconds):
    pd.wait_for("got", again=READY)
    steps = play(pd.port, tmp_path, seconds)
    pd.wait_for("done", again=DONE)
    lines = pd.lines()
    assert not [line for line in lines if "error" in line.lower() or "unknown" in line.lower()]
    messages = []
    for line in lines:
        found = re.match(r"got: list livesketch cat (stroke begin|stroke end|pen|end) (.*)", line)
        if found:
            messages.append((found[1].replace(" ", "/"), [float(value) for value in found[2].split()]))
    check_performance(messages, steps, seconds)
