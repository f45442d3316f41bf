"""Many drawings on a Dask cluster: a scheduler and workers on this machine, each a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from small_models import small_checkpoint

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint

REPO = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=256), path)
    return str(path)


def begin(program: list[str], folder: Path, log: str = "log") -> "subprocess.Popen[str]":
    with (folder / log).open("a", encoding="utf-8") as text:
        return subprocess.Popen(
            [sys.executable, "-m", *program], cwd=folder, env=ENVIRONMENT, text=True, stdout=text, stderr=text
        )


@contextmanager
def cluster(folder: Path, workers: int) -> "Iterator[tuple[str, list[subprocess.Popen[str]]]]":
    """Its scheduler file, and its processes, the scheduler's first; nothing starts one of them again."""
    file = str(folder / "scheduler.json")
    common = ["--scheduler-file", file, "--no-dashboard"]
    one = ["distributed.cli.dask_worker", *common, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
    own = [["distributed.cli.dask_scheduler", *common, "--host", "127.0.0.1", "--port", "0"], *[one] * workers]
    started: list[subprocess.Popen[str]] = []
    try:
        for program in own:
            started.append(begin(program, folder, f"{program[0]}.log"))
            wait_for(lambda: Path(file).exists(), folder, started)
        yield file, started
    finally:
        for process in started:
            process.kill()
            process.wait(20)


def wait_for(found: Callable[[], object], folder: Path, running: "list[subprocess.Popen[str]]") -> None:
    limit = time.monotonic() + 60
    while not found():
        logs = [path.read_text(errors="replace") for path in folder.glob("*log")]
        assert all(process.poll() is None for process in running), logs
        assert time.monotonic() < limit, logs
        time.sleep(0.01)


def draw(model: str, folder: Path, output: str, *how: str) -> "subprocess.Popen[str]":
    return begin(["livesketch", "draw", model, "-n", "12000", "--seed", "5", "-o", output, *how], folder)


def ended(process: "subprocess.Popen[str]", folder: Path) -> None:
    assert process.wait(100) == 0, (folder / "log").read_text()


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle_and_the_union_is_the_single_run(
    model: str, tmp_path: Path, peer_module: Callable[[str], None]
) -> None:
    peer_module("distributed")
    with cluster(tmp_path, 2) as (address, (_, *workers)):
        run = draw(model, tmp_path, "cluster.npz", "--cluster", address)
        done = lambda: [*tmp_path.glob("cluster.npz.parts/0*.npz")]  # noqa: E731
        wait_for(lambda: len(done()) >= 2, tmp_path, [run])
        workers[0].kill()
        assert len(done()) < 11, "killed in the middle"
        ended(run, tmp_path)
        assert workers[1].poll() is None
    ended(draw(model, tmp_path, "single.npz"), tmp_path)
    assert (tmp_path / "cluster.npz").read_bytes() == (tmp_path / "single.npz").read_bytes()
    assert len(np.load(tmp_path / "single.npz")["numbers"]) > 11000


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_elsewhere(model: str, tmp_path: Path, peer_module: Callable[[str], None]) -> None:
    """Begun on a cluster, killed, all of whose workers die then; gone on with on this machine alone."""
    peer_module("distributed")
    with cluster(tmp_path, 2) as (address, _):
        run = draw(model, tmp_path, "some.jsonl", "--cluster", address)
        wait_for(lambda: len([*tmp_path.glob("some.jsonl.parts/0*.npz")]) >= 2, tmp_path, [run])
        run.kill()
        run.wait(20)
    assert not (tmp_path / "some.jsonl").exists()
    ended(draw(model, tmp_path, "some.jsonl"), tmp_path)
    ended(draw(model, tmp_path, "single.jsonl"), tmp_path)
    assert (tmp_path / "some.jsonl").read_bytes() == (tmp_path / "single.jsonl").read_bytes()


@pytest.mark.slow
def test_a_lost_scheduler_ends_the_run_and_what_is_done_is_kept(
    model: str, tmp_path: Path, peer_module: Callable[[str], None]
) -> None:
    peer_module("distributed")
    with cluster(tmp_path, 1) as (address, (scheduler, _)):
        run = draw(model, tmp_path, "a.npz", "--cluster", address)
        wait_for(lambda: [*tmp_path.glob("a.npz.parts/0*.npz")], tmp_path, [run])
        scheduler.kill()
        assert run.wait(90) == 5
    said = (tmp_path / "log").read_text()
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert [*tmp_path.glob("a.npz.parts/0*.npz")]


@pytest.mark.slow
def test_what_a_cluster_cannot_do_is_said_in_one_line(
    model: str, tmp_path: Path, peer_module: Callable[[str], None]
) -> None:
    """No scheduler; and workers of another version."""
    peer_module("distributed")
    alone = draw(model, tmp_path, "a.npz", "--cluster", "tcp://127.0.0.1:9")
    assert alone.wait(60) == 4
    said = (tmp_path / "log").read_text()
    assert "no scheduler answers" in said
    assert "Traceback" not in said
    other = (
        "import livesketch, runpy, sys\nlivesketch.__version__ = '0.0.9'\n"
        "sys.argv[0] = 'dask'\nrunpy.run_module('distributed.cli.dask_worker', run_name='__main__')"
    )
    with cluster(tmp_path, 0) as (address, _):
        command = [sys.executable, "-c", other, "--scheduler-file", address, "--nthreads", "1", "--no-nanny"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen([*command, "--no-dashboard"], env=ENVIRONMENT, stdout=quiet, stderr=quiet) as worker:
            try:
                run = draw(model, tmp_path, "b.npz", "--cluster", address)
                assert run.wait(60) == 5
            finally:
                worker.kill()
    said = (tmp_path / "log").read_text()
    assert f"a worker has livesketch 0.0.9; expected {ls.__version__}" in said
    assert "Traceback" not in said
