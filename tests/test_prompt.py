"""The manners at a prompt: plain Python and IPython in a pseudo-terminal, scripts that run again, one line each."""

import fcntl
import importlib
import importlib.util
import os
import pty
import re
import runpy
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-B]|[=>78])")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    return f"{path}#cat"


@pytest.fixture(autouse=True)
def silence():
    yield
    ls.hush()
    assert not ls.players()


class Prompt:
    """A program in a pseudo-terminal of its own."""

    def __init__(self, command, folder):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
        environment = os.environ | {
            "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "IPYTHONDIR": str(folder), "PYTHONSTARTUP": "",
            "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "HOME": str(folder),
        }  # fmt: skip
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=folder, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - nothing else makes it its own
        )  # fmt: skip
        os.close(slave)
        self.text, self._seen = "", 0

    def type(self, line):
        """A line and the key that enters it."""
        os.write(self._master, line.encode() + b"\r")

    def press(self, key):
        os.write(self._master, key)

    def until(self, words, seconds=60.0):
        """Waits until these come, behind what was waited for before."""
        limit = time.monotonic() + seconds
        while words not in self.text[self._seen :]:
            assert time.monotonic() < limit, f"no {words!r} in {self.text[-900:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._read()
            elif self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.text[-900:]!r}")
        self._seen = self.text.index(words, self._seen) + len(words)

    def ends(self, seconds=30.0):
        """Its exit code."""
        limit = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < limit, f"it hangs: {self.text[-900:]!r}"
            if select.select([self._master], [], [], 0.05)[0]:
                self._read()
        return self.process.returncode

    def _read(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            time.sleep(0.02)
            return
        self.text = _ESCAPES.sub("", self.text + data.decode(errors="replace"))

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)


@pytest.fixture(params=["python", "ipython"])
def prompt(request, tmp_path):
    command = [sys.executable, "-q"]
    if request.param == "ipython":
        if importlib.util.find_spec("IPython") is None:
            pytest.skip("IPython is not installed; `make test` installs it")
        command = [sys.executable, "-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=NoColor"]
    made = Prompt(command, tmp_path)
    made.kind = request.param
    made.ready = ">>> " if request.param == "python" else "In ["
    made.until(made.ready)
    yield made
    made.close()


def test_a_set_at_the_prompt(prompt, model):
    """Start, change, swap, a function that fails, Ctrl-C at the prompt and in a long call, and exit while it plays."""
    prompt.type("import livesketch as ls, time; out = ls.Recorder()")
    prompt.type(f"p = ls.play(ls.sketch({model!r}, seed=3), [out], rate=200, name='cat'); print('sta' + 'rted')")
    prompt.until("started")
    prompt.type("p.stream.temperature = 0.3; p.rate = 300; p.pause().resume(); print('chan' + 'ged', p.playing)")
    prompt.until("changed True")
    prompt.type(
        f"p = ls.play(ls.sketch({model!r}, seed=4), name='cat', rate=300); print('swap' + 'ped', len(ls.players()))"
    )
    prompt.until("swapped 1")
    prompt.type(
        "asked = []; p.stream.temperature = lambda beat: asked.append(beat) or (0.5 if len(asked) < 9 else 1 / 0)"
    )
    prompt.type("time.sleep(0.5); print('as' + 'ked', len(asked) > 20, p.playing, p.error)")
    prompt.until("asked True True None")
    prompt.type("print('said', [line.count('division') for line in ls.log()].count(1), 'times')")
    prompt.until("said 1 times")
    prompt.type("ls.players()")
    prompt.until("late p99")
    prompt.until("cat ")
    prompt.until(prompt.ready)
    time.sleep(0.3)
    prompt.press(b"\x03")
    time.sleep(0.5)  # what is typed before it is heard would go with it
    prompt.type("print('after' + 'wards', p.playing, p.error)")
    prompt.until("afterwards True None")
    prompt.type("steps = p.stats().steps; print('slee' + 'ping'); time.sleep(60)")
    prompt.until("sleeping")
    time.sleep(0.3)
    prompt.press(b"\x03")
    prompt.until("KeyboardInterrupt")
    prompt.type("time.sleep(0.3); print('sti' + 'll', p.stats().steps > steps + 20, p.error, len(ls.players()))")
    prompt.until("still True None 1")
    prompt.type("p.wait()")
    time.sleep(0.3)
    prompt.press(b"\x03")
    prompt.until("KeyboardInterrupt")
    prompt.type("print('on' + 'wards', p.playing)")
    prompt.until("onwards True")
    seen = len(prompt.text)
    prompt.type("exit()")
    assert prompt.ends() == 0
    assert "Error" not in prompt.text[seen:]
    assert "Traceback" not in prompt.text[seen:]
    for words in ("ZeroDivision", "warning", "Exception in thread", "said once"):
        assert words not in prompt.text


def test_ctrl_c_while_the_other_process_is_asked(prompt, model, tmp_path):
    if prompt.kind == "ipython":
        pytest.skip("as in plain Python")
    prompt.type("import livesketch as ls, time")
    prompt.type(
        f"p = ls.play(ls.sketch({model!r}, seed=3), ls.trace('a.jsonl'), rate=300, engine='process', name='cat');"
        " print('sta' + 'rted')"
    )
    prompt.until("started")
    for k in range(3):
        prompt.type(f"print('ask' + 'ing', {k}); [p.stats() for _ in range(10**9)]")
        prompt.until(f"asking {k}")
        time.sleep(0.2)
        prompt.press(b"\x03")
        prompt.until("KeyboardInterrupt")
        prompt.until(prompt.ready)
    prompt.type("print('rate', p.rate, type(p.stats()).__name__, p.playing, p.paused)")
    prompt.until("rate 300 Stats True False")
    prompt.type("exit()")
    assert prompt.ends() == 0
    assert (tmp_path / "a.jsonl").read_text().rstrip().splitlines()[-1].count('"hush"') == 1


SHOW = """
import livesketch as ls
def start(model):
    return ls.play(ls.sketch(model, seed={seed}), [ls.Recorder()], rate=200, name="show")
"""


def test_autoreload_piles_up_no_players(prompt, model, tmp_path):
    if prompt.kind == "python":
        pytest.skip("that is IPython's")
    (tmp_path / "show.py").write_text(SHOW.format(seed=1))
    prompt.type("%load_ext autoreload")
    prompt.type("%autoreload 2")
    prompt.type(
        f"import show, livesketch as ls; model = {model!r}; p = show.start(model); print('see' + 'd', p.stream.seed)"
    )
    prompt.until("seed 1")
    time.sleep(1.1)  # a file's time may have no more than seconds
    (tmp_path / "show.py").write_text(SHOW.format(seed=22))
    prompt.type("p = show.start(model); print('see' + 'd', p.stream.seed, len(ls.players()))")
    prompt.until("seed 22 1")
    prompt.type("exit()")
    assert prompt.ends() == 0


def test_a_script_without_names_that_is_run_again_at_the_prompt_swaps(prompt, model, tmp_path):
    if prompt.kind == "python":
        pytest.skip("there exec does it, as in the test below")
    (tmp_path / "again.py").write_text(
        f"import livesketch as ls\ncat = ls.sketch({model!r})\nplayer = ls.play(cat, [ls.Recorder()], rate=300)\n"
    )
    prompt.type("import livesketch as ls, threading")
    for k in range(3):
        prompt.type("%run again.py")
        prompt.type(f"print('ti' + 'me', {k}, list(ls.players()), player.playing)")
        prompt.until(f"time {k} ['cat'] True")
    prompt.type("others = [t for t in threading.enumerate() if t.name == 'livesketch-player-cat'][:-1]")
    prompt.type(
        "[t.join(20) for t in others]; print('li' + 'ving', [t.is_alive() for t in others].count(True), player)"
    )
    prompt.until("living 0 <Player 'cat' playing")
    prompt.type("exit()")
    assert prompt.ends() == 0


@pytest.mark.parametrize(("named", "name"), [(", name='show'", "show"), ("", "cat")], ids=["named", "unnamed"])
def test_a_script_that_is_run_again_and_a_module_that_is_loaded_again_swap(model, tmp_path, monkeypatch, named, name):
    script = tmp_path / "again_and_again.py"
    script.write_text(
        f"import livesketch as ls\nplayer = ls.play(ls.sketch({model!r}), [ls.Recorder()], rate=300{named})\n"
    )
    for _ in range(4):
        runpy.run_path(str(script))
        assert list(ls.players()) == [name]
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("again_and_again")
    for _ in range(3):
        module = importlib.reload(module)
        assert list(ls.players()) == [name]
    assert module.player.wait(0) is False
    importlib.reload(ls)
    assert ls.players() == {name: module.player}
    module.player.stop()
    sys.modules.pop("again_and_again")


def test_everything_is_told_in_one_line_but_what_is_a_table(model, tmp_path):
    stream = ls.sketch(model, seed=3)
    recorder = ls.Recorder()
    player = ls.play(stream, [recorder, ls.trace(tmp_path / "a.jsonl")], rate=500, name="two\nlines")
    deadline = time.monotonic() + 20
    while player.stats().steps < 30 and time.monotonic() < deadline:
        time.sleep(0.005)
    things = [
        player, player.stats(), player.pace, stream, stream.drawing(), stream.snapshot(), ls.clock, ls.OfflineClock(),
        recorder, ls.svg(tmp_path / "a.svg"), ls.trace(tmp_path / "b.jsonl"), ls.osc("127.0.0.1:9"),
        ls.midi_file(tmp_path / "a.mid"), ls.voices(model, 3), ls.voices(model, 3).step(), ls.text("wuyan"),
        ls.pace.steps(60), ls.pace.speed(), ls.pace.beats(1), ls.pace.human(), ls.lfo(0, 1), ls.ramp(0, 1),
        ls.noise(0, 1), ls.seq([1, 2]), ls.grid(2, 2), recorder.events[0], recorder.events[1], stream.guess(n=1)[0],
        ls.handwrite("a b"),
    ]  # fmt: skip
    for thing in things:
        assert "\n" not in repr(thing), type(thing)
        assert len(repr(thing)) < 2000, type(thing)
        assert " object at 0x" not in repr(thing), type(thing)
    player.stop()
    assert "stopped" in repr(player)
    assert "\n" not in repr(player)


def test_players_are_a_table_and_a_dict(model):
    assert repr(ls.players()) == "<nothing plays>"
    one = ls.play(ls.sketch(model, seed=1), [ls.Recorder()], rate=200, name="one")
    two = ls.play(ls.sketch(model, seed=2), [ls.Recorder(), ls.Recorder()], beat=1 / 4, name="number two").pause()
    found = ls.players()
    assert found == {"one": one, "number two": two}
    assert isinstance(found, dict)
    lines = repr(found).splitlines()
    assert len(lines) == 3
    assert lines[0].split()[:4] == ["name", "state", "engine", "steps"]
    assert lines[1].startswith("one ")
    assert "playing" in lines[1]
    assert lines[2].startswith("number two ")
    assert "paused" in lines[2]
    column = lines[0].index("state")
    assert lines[1][column:].startswith("playing")
    assert lines[2][column:].startswith("paused")
    column = lines[0].index("engine")
    assert [line[column:].split()[0] for line in lines[1:]] == ["thread", "thread"]
    ls.hush()
    assert "stopped" in repr(found)  # a list of yesterday says so
