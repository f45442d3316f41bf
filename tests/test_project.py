"""The project as a whole: public names, what an import costs, what the repository and the wheel hold."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import livesketch as ls

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "livesketch"
HEAVY = [
    "torch",
    "numba",
    "pyglet",
    "mido",
    "svgwrite",
    "pythonosc",
    "pooch",
    "requests",
    "urllib3",
    "svgelements",
    "rich",
]


def test_all_is_sorted_and_names_what_is_public() -> None:
    assert list(ls.__all__) == sorted(ls.__all__)
    assert len(set(ls.__all__)) == len(ls.__all__) >= 15
    for name in ls.__all__:
        assert getattr(ls, name) is not None
    assert {name for name in dir(ls) if not name.startswith("_")} == set(ls.__all__)


def test_every_public_name_has_help() -> None:
    without = [
        name for name in ls.__all__ if callable(getattr(ls, name)) and not (getattr(ls, name).__doc__ or "").strip()
    ]
    assert without == []


@pytest.mark.slow
def test_submodules_do_not_replace_public_names() -> None:
    """A submodule that is imported becomes an attribute of its package: `ls.models()` must survive it."""
    program = f"""
import importlib, livesketch as ls
before = {{name: getattr(ls, name) for name in ls.__all__}}
for module in {modules()!r}:
    importlib.import_module(module)
print([name for name in before if getattr(ls, name) is not before[name]])
"""
    assert python(program).strip() == "[]"
    first = f"import importlib\nfor module in {modules()!r}: importlib.import_module(module)\n"
    again = (
        first
        + "import livesketch as ls, types\nprint([n for n in ls.__all__ if type(getattr(ls, n)) is types.ModuleType])"
    )
    assert python(again).strip() == "['forms', 'pace']", "only these are public modules"


def modules() -> list[str]:
    """Every module of the package that imports without starting a program, or an optional package (Triton)."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(REPO).with_suffix("").parts
        if parts[-1] not in {"__main__", "cuda_kernels"}:
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def test_version_is_said_once() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ls.__version__ == project["version"]


def test_import_loads_nothing_heavy_and_opens_nothing() -> None:
    """No socket, no thread, no child process, no file written, none of the heavy packages."""
    program = f"""
import sys
opened = []
watched = ("socket.__new__", "socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "_thread.start_new_thread")
def watch(event, arguments):
    if event in watched or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
        opened.append((event, str(arguments)))
sys.dont_write_bytecode = True
sys.addaudithook(watch)
import livesketch
print([name for name in {HEAVY!r} if name in sys.modules], opened)
"""
    assert python(program).strip() == "[] []"


def test_first_look_at_a_stream_loads_no_torch() -> None:
    program = "import sys, livesketch as ls\nnext(ls.sketch('cat', seed=1))\nprint('torch' in sys.modules)"
    assert python(program).strip() == "False"


def tracked() -> list[Path]:
    """What is or would be committed."""
    if not (REPO / ".git").exists():
        pytest.skip("not a git clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout.split("\0")
    return [REPO / name for name in names if name and (REPO / name).is_file()]


def configured_hosts() -> set[str]:
    """Hosts of the package indexes that pip uses on this machine, where they are not the public one."""
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    text = asked.stdout + " ".join(value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")))
    return set(re.findall(r"https?://(?:[^@/\s']*@)?([\w.-]+)", text)) - {"pypi.org"}


def test_nothing_names_the_machine_it_was_made_on() -> None:
    """No absolute path of a working folder, no address of a package mirror, no neighbour folder in the product."""
    files = tracked()
    assert len(files) > 30
    folder = "/" + "work" + "/"
    neighbour = "../" + "shared"
    hosts = configured_hosts()
    for path in files:
        if path.suffix in {".safetensors", ".png", ".npz"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert folder not in text, path
        assert not [host for host in hosts if host in text], path
        if path.parts[len(REPO.parts)] not in {"tests", ".ci"}:
            assert neighbour not in text, path


def test_no_file_is_huge() -> None:
    for path in tracked():
        limit = 1e7 if path.suffix == ".safetensors" else 5e5
        assert path.stat().st_size < limit, path


@pytest.mark.slow
def test_the_wheel_holds_what_it_needs(tmp_path: Path) -> None:
    """Built, unpacked and used from elsewhere: typing marker, licence, notice and the bundled models are in it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=REPO, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    assert "livesketch/py.typed" in names
    assert any(name.startswith("livesketch/bundled/") and name.endswith(".safetensors") for name in names)
    assert {Path(name).name for name in names} >= {"LICENSE", "NOTICE", "entry_points.txt"}
    assert [name for name in names if name.startswith(("tests/", "benchmarks/", "examples/"))] == []
    program = f"""
import sys; sys.path.insert(0, {str(site)!r})
import livesketch as ls
assert ls.__file__.startswith({str(site)!r}), ls.__file__
print(next(ls.sketch("cat", seed=1)).step)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


def environment() -> dict[str, str]:
    """This clone first, whatever is installed."""
    return {**os.environ, "PYTHONPATH": str(REPO)}


def python(program: str) -> str:
    """The stdout of a fresh Python; its failure fails the test with its stderr."""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=100, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
