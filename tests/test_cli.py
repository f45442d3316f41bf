"""The command line as scripts and people use it: real processes, exit codes, what goes to which stream."""

import os
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from small_models import small_checkpoint

from livesketch import cli
from livesketch.models.checkpoint import save_checkpoint

COMMAND = [sys.executable, "-m", "livesketch"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(), path)
    return str(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args, cwd=None):
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=100, cwd=cwd, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_draw_writes_the_file_and_says_the_seed(here, model, capsys):
    assert cli.main(["draw", model, "-n", "3", "--seed", "5", "-o", "out.svg"]) == 0
    out, _ = capsys.readouterr()
    assert out == "out.svg: 3 x small, seed 5\n"
    root = ET.parse(here / "out.svg").getroot()
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("210mm", "297mm", "0 0 210 297")


def test_the_same_command_gives_the_same_bytes_also_under_another_name(here, model):
    for name, seed in (("a.svg", 1), ("b.svg", 1), ("c.svg", 2)):
        assert cli.main(["draw", model, "-n", "4", "--seed", str(seed), "-o", name]) == 0
    a, b, c = ((here / name).read_bytes() for name in ("a.svg", "b.svg", "c.svg"))
    assert a == b != c


def test_draw_takes_page_pen_and_temperature(here, model):
    args = ["--page", "100x50mm", "--landscape", "--pen-width", "0.5mm", "--margin", "5mm", "--color", "red"]
    assert cli.main(["draw", model, *args, "--temperature", "0.3", "--convention", "paper", "-o", "p.svg"]) == 0
    text = (here / "p.svg").read_text()
    assert "red" in text
    assert ET.fromstring(text).get("viewBox") == "0 0 100 50"


def test_drawings_that_were_cut_are_told(here, tmp_path, capsys):
    save_checkpoint(small_checkpoint(max_steps=3), tmp_path / "short.safetensors")
    assert cli.main(["draw", "short.safetensors", "-n", "5", "--seed", "1", "-o", "s.svg"]) == 0
    assert "did not end by themselves and were cut at 3 steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["draw", "cta"], 3, "cat"),
        (["draw", "missing.safetensors"], 3, "missing.safetensors"),
        (["draw", "{model}", "--temperature", "-1"], 2, "at least 0"),
        (["draw", "{model}", "--temperature", "nan"], 2, "at least 0"),
        (["draw", "{model}", "--page", "a99"], 2, "a99"),
        (["draw", "{model}", "--pen-width", "thick"], 2, "thick"),
        (["draw", "{model}", "--seed", "-3"], 2, "seed"),
        (["draw", "{model}", "--backend", "cuda"], 5, "cuda"),
        (["draw", "{model}", "-o", "no/such/folder/x.svg"], 4, "no/such/folder"),
        (["play", "{model}", "--osc", "no-such-host.invalid:9000", "--seconds", "1"], 4, "no-such-host.invalid"),
        (["play", "{model}", "--osc", "nonsense", "--seconds", "1"], 4, "nonsense"),
        (["play", "{model}", "--rate", "0", "--seconds", "1"], 2, "rate"),
        (["import", "broken.gen.json", "-o", "x.safetensors"], 3, "broken.gen.json"),
        (["import", "latin1.gen.json", "-o", "x.safetensors"], 3, "latin1.gen.json"),
        (["import", "absent.gen.json", "-o", "x.safetensors"], 3, "absent.gen.json"),
    ],
)
def test_mistakes_are_said_in_one_line_with_a_code(here, model, capsys, args, code, says):
    Path("broken.gen.json").write_text('[{"name": "x"')
    Path("latin1.gen.json").write_bytes(b'[{"name": "caf\xe9"}]')
    got = cli.main([arg.format(model=model) for arg in args])
    out, err = capsys.readouterr()
    assert (got, out) == (code, "")
    assert err.startswith("livesketch: ")
    assert says in err
    assert "\n" not in err.strip()


def test_bad_arguments_end_with_2_and_the_usage(capsys):
    for args in (
        [],
        ["dance"],
        ["draw"],
        ["draw", "cat", "-n", "0"],
        ["monitor", "99999999"],
        ["play", "cat", "--seconds", "-1"],
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(args)
        assert ended.value.code == 2
        assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["draw", "play", "import", "models", "monitor"])
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"livesketch {command}" in capsys.readouterr().out.partition("example:")[2]


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs a folder that cannot be written")
def test_a_folder_that_cannot_be_written_is_told_before_drawing(model, capsys):
    assert cli.main(["draw", model, "-o", "/proc/x.svg"]) == 4
    assert "/proc" in capsys.readouterr().err


def test_play_sends_osc_draws_in_the_terminal_and_writes_the_file(here, model):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        port = receiver.getsockname()[1]
        args = [
            "--osc",
            f"127.0.0.1:{port}",
            "--rate",
            "200",
            "--seconds",
            "1.5",
            "--seed",
            "4",
            "--name",
            "demo",
            "-o",
            "d.svg",
        ]
        done = run("play", model, *args, cwd=here)
        first = receiver.recv(4096)
    assert done.returncode == 0
    assert done.stdout.startswith("demo: ")
    assert "seed 4" in done.stdout
    assert b"/livesketch/" in first
    assert any(0x2800 <= ord(char) < 0x2900 for char in done.stderr)
    assert ET.parse(here / "d.svg").getroot().get("width") == "210mm"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_in_the_middle_the_file_is_complete(here, model, number, code):
    args = [*COMMAND, "play", model, "--rate", "100", "--quiet", "-o", "cut.svg", "--seed", "3"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here) as process:
        deadline = time.monotonic() + 60
        while not (here / "cut.svg").exists():  # the output re-writes it at drawing ends
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert ET.parse(here / "cut.svg").getroot().tag.endswith("svg")
    assert [p.name for p in here.iterdir()] == ["cut.svg"]


def test_import_then_draw_by_file(here, shared, capsys):
    source = shared / "magenta-models" / "bird.gen.json"
    assert cli.main(["import", str(source), "-o", "bird.safetensors"]) == 0
    assert "bird" in capsys.readouterr().out
    for model, out in ((str(source), "a.svg"), ("bird.safetensors", "b.svg")):
        assert cli.main(["draw", model, "-n", "2", "--seed", "1", "-o", out]) == 0
    assert (here / "a.svg").read_bytes() == (here / "b.svg").read_bytes()


def test_models_lists_what_can_be_drawn(capsys):
    assert cli.main(["models"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {"cat", "pig"} <= {row[0] for row in rows}
    assert all(len(row) == 4 and row[2] and row[3] in {"sketch", "text"} for row in rows)


def test_models_lists_what_one_model_draws(here, model, capsys):
    save_checkpoint(small_checkpoint(name="two", labels=("cat", "pig"), label_size=3), here / "two.safetensors")
    assert cli.main(["models", "two.safetensors"]) == 0
    assert cli.main(["models", model]) == 0
    assert capsys.readouterr().out == "".join(
        f"{row}\tCC0-1.0\tsketch\n" for row in ("cat\ttwo", "pig\ttwo", "small\tsmall")
    )
    assert cli.main(["models", "gone.safetensors"]) == 3


def test_monitor_shows_what_arrives(here, model):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    args = [*COMMAND, "monitor", str(port), "--seconds", "8"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "listening" in process.stderr.readline()
        run("play", model, "--osc", f"127.0.0.1:{port}", "--rate", "100", "--seconds", "0.5", "--quiet")
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "/livesketch/small/pen" in out
    assert "/livesketch/small/stroke/begin" in out


def test_results_can_be_piped_into_a_closed_reader(model, here):
    text = f"{sys.executable} -m livesketch models | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr


def test_module_and_version():
    done = run("--version")
    assert done.stdout.startswith("livesketch 0.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [["models"], ["draw", "{model}", "-o", "p.svg"]])
def test_results_that_cannot_be_written_are_told(here, model, args):
    command = [*COMMAND, *(arg.format(model=model) for arg in args)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "standard output" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_streams_do_no_harm(here, model):
    for redirect in (">&-", "2>&-", "2>/dev/full"):
        line = f"{sys.executable} -m livesketch play {model} --seconds 0.3 --rate 300 -o closed.svg {redirect}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (redirect, done.stderr)
        assert "Traceback" not in done.stderr
        assert ET.parse(here / "closed.svg").getroot().tag.endswith("svg")
        (here / "closed.svg").unlink()


@pytest.mark.parametrize("seconds", ["inf", "1e300"])
def test_endless_seconds_last_until_it_is_interrupted(here, model, seconds):
    command = [*COMMAND, "play", model, "--seconds", seconds, "--rate", "500", "--quiet", "-o", "long.svg"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (here / "long.svg").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate(timeout=20)[1]
    assert process.returncode == 130


def test_an_interruption_while_it_still_loads_is_an_interruption(model):
    codes = []
    for delay in (0.15, 0.25, 0.35, 0.5, 2.5):
        command = [*COMMAND, "play", model, "--quiet", "--seconds", "5"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            err = process.communicate(timeout=20)[1]
        assert "IMPORTANT" not in err
        assert process.returncode != 0  # before the program begins, Python itself is ended in its own way
        codes.append(process.returncode)
    assert 130 in codes


def test_a_page_can_go_to_standard_output(model):
    done = run("draw", model, "--seed", "1", "-o", "/dev/stdout")
    assert ET.fromstring(done.stdout).get("width") == "210mm"
    assert "seed 1" in done.stderr


def test_a_model_file_does_not_choose_where_the_page_goes(here, capsys):
    save_checkpoint(small_checkpoint(name="../../outside/x"), here / "m.safetensors")
    assert cli.main(["draw", "m.safetensors", "--seed", "1"]) == 0
    assert [path.name for path in here.iterdir() if path.suffix == ".svg"] == ["------outside-x.svg"]


def test_a_terminal_that_cannot_show_a_name_is_no_failure(here, model):
    done = subprocess.run(
        [*COMMAND, "draw", model, "-o", "猫.svg"], capture_output=True, timeout=60, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (here / "猫.svg").exists()
