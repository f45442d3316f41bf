"""What all tests share: data and programs that may be absent, golden files, and the check that nothing is left running.

``LIVESKETCH_REQUIRE`` lists, with commas, what must be there: ``peers`` (other programs), ``shared`` (the data folder),
``cuda``. What is listed and absent fails; what is not listed skips and says so.
"""

import difflib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest_plugins = ["listeners"]

REPO = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"
REQUIRABLE = {"peers", "shared", "cuda"}
KEPT_VARIABLES = {"LIVESKETCH_REQUIRE", "LIVESKETCH_SHARED"}
# They change what programs print.
PRINTING_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PYTHONWARNINGS", "COLUMNS", "LINES")
USUAL_BPM = 120.0
GRACE = 2.0  # seconds that threads and children of a test get to end by themselves


def required() -> set[str]:
    """What may not be missing, from ``LIVESKETCH_REQUIRE``."""
    return {word.strip() for word in os.environ.get("LIVESKETCH_REQUIRE", "").split(",") if word.strip()}


def skip_or_fail(kind: str, reason: str) -> None:
    """Skips the running test, or fails it where ``kind`` is listed in ``LIVESKETCH_REQUIRE``."""
    if kind in required():
        pytest.fail(f"{reason} (LIVESKETCH_REQUIRE lists {kind!r})", pytrace=False)
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="record tests/golden again and show what changed")


def pytest_configure(config: pytest.Config) -> None:
    unknown = required() - REQUIRABLE
    if unknown:
        raise pytest.UsageError(f"LIVESKETCH_REQUIRE names {sorted(unknown)}, known are {sorted(REQUIRABLE)}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks a test by what it needs, so that ``-m peer`` and ``-m shared`` find it."""
    for item in items:
        needs = getattr(item, "fixturenames", ())
        if "shared" in needs:
            item.add_marker(pytest.mark.shared)
        if "peer" in needs or "peer_module" in needs:
            item.add_marker(pytest.mark.peer)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the person who runs the tests do not reach them; numba's cache stays where it is."""
    for name in os.environ:
        if (name.startswith("LIVESKETCH_") and name not in KEPT_VARIABLES) or name in PRINTING_VARIABLES:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def the_usual_tempo() -> Iterator[None]:
    """A test that sets the tempo of all players leaves it as it was."""
    yield
    conductor = sys.modules.get("livesketch.player.conductor")
    if conductor is not None and conductor.clock.bpm != USUAL_BPM:
        conductor.clock.bpm = USUAL_BPM


def our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("livesketch-")}


def children() -> dict[int, str]:
    """Child processes of this one, zombies included: number to command. Empty where there is no /proc."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
            command = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # ended while we looked
        program, _, rest = text.partition("(")[2].rpartition(")")
        if int(rest.split()[1]) == os.getpid():
            found[int(stat.parent.name)] = command or f"{program}, ended but not waited for"
    # Python's own helper for shared memory lives as long as the process.
    return {pid: command for pid, command in found.items() if "resource_tracker" not in command}


@pytest.fixture(autouse=True)
def nothing_outlives_the_test(clean_environment: None) -> Iterator[None]:
    """Fails a test that leaves a thread named ``livesketch-*`` or a child process behind."""
    threads, processes = our_threads(), set(children())
    yield
    deadline = time.monotonic() + GRACE
    while True:
        left_threads = our_threads() - threads
        left_children = {pid: command for pid, command in children().items() if pid not in processes}
        if not left_threads and not left_children:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    names = sorted(thread.name for thread in left_threads)
    pytest.fail(f"left running: threads {names}, child processes {left_children}", pytrace=False)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The clone's root."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data (``magenta-models/``, ``quickdraw/``, ...), which is no part of the project.

    ``LIVESKETCH_SHARED`` names it or its parent; otherwise ``shared/data`` beside the clone.
    """
    named = os.environ.get("LIVESKETCH_SHARED")
    base = Path(named) if named else REPO.parent / "shared"
    for folder in (base / "data", base):
        if (folder / "magenta-models").is_dir():
            return folder
    skip_or_fail(
        "shared", "no development data here: no shared/data beside the clone, and LIVESKETCH_SHARED names none"
    )
    raise AssertionError


def find_program(name: str) -> str | None:
    """Its path: from the environment that runs the tests first, then from PATH."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    return beside or shutil.which(name)


@pytest.fixture(scope="session")
def peer() -> Callable[[str], str]:
    """``peer("oscdump")`` is the path of another program; the test skips where it is not installed."""

    def find(name: str) -> str:
        path = find_program(name)
        if path is None:
            skip_or_fail("peers", f"{name} is not installed; .ci/run installs it")
            raise AssertionError
        return path

    return find


@pytest.fixture(scope="session")
def peer_module() -> Callable[[str], None]:
    """``peer_module("onnxruntime")`` skips the test where that package is not installed (extra ``peers``)."""

    def check(name: str) -> None:
        if importlib.util.find_spec(name) is None:
            skip_or_fail("peers", f"the Python package {name} is not installed; `make peers` installs it")

    return check


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``run_cli("draw", "cat", cwd=..., check=True)`` runs the installed ``livesketch`` program and captures text."""

    def run(
        *arguments: str, timeout: float = 60, check: bool = True, **options: object
    ) -> subprocess.CompletedProcess[str]:
        program = find_program("livesketch")
        if program is None:
            pytest.fail("the program `livesketch` is not installed here; `make test` installs it", pytrace=False)
        done = subprocess.run(  # type: ignore[call-overload]
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )
        if check and done.returncode:
            pytest.fail(
                f"livesketch {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False
            )
        return done  # type: ignore[no-any-return]

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """``golden("cat.svg", got)`` compares bytes with tests/golden/cat.svg; ``--update-golden`` records them again."""
    update = request.config.getoption("--update-golden")

    def check(name: str, got: bytes) -> None:
        path = GOLDEN / name
        want = path.read_bytes() if path.exists() else None
        if want == got:
            return
        lines = [text.decode("utf-8", "backslashreplace").splitlines() for text in (want or b"", got)]
        difference = "\n".join(list(difflib.unified_diff(*lines, f"golden/{name}", "got", lineterm=""))[:60])
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(got)
            reporter = request.config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"\n{difference}")
            return
        why = "differs" if want is not None else "is not recorded"
        pytest.fail(f"golden file {name} {why}; --update-golden records it\n{difference}", pytrace=False)

    return check
