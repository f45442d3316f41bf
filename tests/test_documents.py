"""Documents and examples run: what a reader copies works."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import livesketch as ls
from livesketch.player.engine import engine

REPO = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((REPO / "examples").glob("*.py"))
DOCUMENTS = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md")), *sorted((REPO / "examples").glob("*.md"))]
PORTS = (9000, 9001)
"""What the documents name: they may be in use on the machine that runs the tests."""
MOST_NOT_RUN = 12
"""Blocks that may be marked as not run, in all documents together."""

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n\n?)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    line: int
    kind: str
    text: str
    reason: str | None
    """Why it is not run; None where it is."""


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    assert text.count("```") % 2 == 0, f"{path.name}: a fence is not closed"
    found = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(line, match["kind"], match["text"], match["reason"]))
    return found


def all_blocks(kind: str) -> list[tuple[Path, Block]]:
    return [(path, block) for path in DOCUMENTS for block in blocks(path) if block.kind == kind]


def name_of(path: object) -> str:
    return path.name if isinstance(path, Path) else str(path)


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str], str]]:
    """Puts free ports for those that the documents name, which are all taken meanwhile."""
    with contextlib.ExitStack() as taken:
        found = {}
        with contextlib.ExitStack() as free:
            for port in PORTS:
                spare, busy = (stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for stack in (free, taken))
                spare.bind(("127.0.0.1", 0))
                found[str(port)] = str(spare.getsockname()[1])
                with contextlib.suppress(OSError):  # then another has it
                    busy.bind(("127.0.0.1", port))
        yield lambda text: re.sub(r"\b\d{4}\b", lambda match: found.get(match[0], match[0]), text)


def test_documents_have_blocks_and_few_are_not_run() -> None:
    python_blocks, console_blocks = all_blocks("python"), all_blocks("console")
    assert len(python_blocks) >= 5
    assert len(console_blocks) >= 2
    everything = python_blocks + console_blocks
    skipped = [f"{path.name}:{block.line}: {block.reason}" for path, block in everything if block.reason]
    assert len(skipped) <= MOST_NOT_RUN, skipped
    marks = sum(path.read_text(encoding="utf-8").count("<!-- not run:") for path in DOCUMENTS)
    assert marks == sum(1 for path in DOCUMENTS for block in blocks(path) if block.reason), "a mark without its block"


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if any(b.kind == "python" for b in blocks(path))], ids=name_of
)
def test_python_blocks_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: Callable[[str], str]
) -> None:
    """In order, in one namespace for each document, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "document"}
    try:
        for block in blocks(path):
            if block.kind == "python" and not block.reason:
                lines = "\n" * (block.line - 1)  # tracebacks then show the document's own
                padded = lines + elsewhere(block.text)
                exec(compile(padded, str(path), "exec"), namespace)
    finally:
        ls.hush()
        engine.close()


LONG = {"README.md", "bulk.md"}
"""Documents whose commands take several seconds each."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.slow if path.name in LONG else ())
        for path in DOCUMENTS
        if any(b.kind == "console" for b in blocks(path))
    ],
    ids=name_of,
)
def test_console_blocks_run(
    path: Path,
    tmp_path: Path,
    run_cli: Callable[..., subprocess.CompletedProcess[str]],
    elsewhere: Callable[[str], str],
) -> None:
    """Lines that begin with `$ livesketch` run in an empty folder, one after another."""
    for block in blocks(path):
        if block.kind != "console" or block.reason:
            continue
        for command in commands(block):
            words = shlex.split(elsewhere(command), comments=True)
            if words[0] == "livesketch":
                run_cli(*words[1:], cwd=tmp_path)


def commands(block: Block) -> list[str]:
    return [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]


def test_console_blocks_name_only_commands_that_exist() -> None:
    made = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "test-slow", "check", "bench", "help"} <= made
    checked = 0
    for path in [*DOCUMENTS, REPO / "CONTRIBUTING.md"]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"(?:`|^\$ |^)make ([a-z-]+)", text, re.MULTILINE):
            assert target in made, f"{path.name}: make {target}"
            checked += 1
        for block in blocks(path):
            for command in commands(block) if block.kind == "console" and not block.reason else []:
                word = shlex.split(command, comments=True)[0]
                assert word in {"livesketch", "make", "python", "pd", "pip", "git", "cd"}, f"{path.name}: {command}"
    assert checked >= 3


def test_documents_link_to_files_that_exist() -> None:
    for path in [*DOCUMENTS, REPO / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_example_is_tested() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "choir",
        "finish_my_drawing",
        "first_drawing",
        "guess_the_drawing",
        "live_temperature",
        "simplest_cats",
    ]
    described = (REPO / "examples" / "README.md").read_text(encoding="utf-8")
    for path in (REPO / "examples").iterdir():
        if path.suffix in {".py", ".pd"}:
            assert path.name in described


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.strip()
    if path.stem != "live_temperature":
        assert [made.suffix for made in tmp_path.iterdir()] == [".svg"]
