"""Who may import whom: read from the source, so that imports inside functions count too."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PACKAGE = REPO / "livesketch"

# events <- sampling <- models <- streams <- player <- cli. Backends know no events, outputs know no models, and neither
# knows the other. What every part may import besides itself:
GROUND = {"errors", "values", "files"}
EVENTS = GROUND | {"events"}
STROKES = {"rows", "stroke_files", "cues", "strokes"}
SAMPLING = {"sampling", "token_sampling"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "values": {"errors"},
    "files": {"errors"},
    "events": {"errors"},
    "rows": GROUND,
    "cues": EVENTS,
    "strokes": EVENTS | {"rows", "cues"},
    "stroke_files": EVENTS | {"rows", "strokes"},
    "paper": GROUND,
    "midi_ports": GROUND,
    "sampling": EVENTS,
    "token_sampling": {"errors", "values", "sampling"},
    "controls": EVENTS | {"sampling", "token_sampling"},
    "latents": EVENTS | {"sampling"},
    "forms": GROUND | {"token_sampling"},
    "data": GROUND | STROKES,
    "models": EVENTS | STROKES | {"sampling", "token_sampling", "data"},
    "backends": GROUND | {"sampling", "token_sampling", "models"},
    "patterns": GROUND | {"sampling"},
    "outputs": EVENTS | STROKES | {"paper", "midi_ports"},
    "inputs": EVENTS | {"controls", "midi_ports"},
    "streams": EVENTS
    | STROKES
    | SAMPLING
    | {"paper", "controls", "patterns", "latents", "forms", "models", "backends"},
    "handwriting": EVENTS | STROKES | {"sampling", "streams"},
    "training": EVENTS | STROKES | {"paper", "sampling", "token_sampling", "controls", "data", "models", "streams"},
    "player": EVENTS | STROKES | {"sampling", "patterns", "controls", "data", "models", "streams", "outputs", "inputs"},
    "jobs": EVENTS | STROKES | {"paper", "models", "streams", "outputs"},
    "remote": EVENTS | STROKES | {"data", "models", "streams", "outputs", "inputs", "player"},
    "__init__": {"*"},
    "cli": {"*"},
    "__main__": {"*"},
}
ORDER = ["errors", "values", "files", "events", "rows", "cues", "strokes", "stroke_files", "paper", "midi_ports"]
ORDER += ["sampling", "token_sampling", "patterns", "controls", "latents", "forms", "data", "models", "backends"]
ORDER += ["outputs", "inputs", "streams", "handwriting", "training", "player", "jobs", "remote"]


@dataclass(frozen=True)
class Import:
    where: str
    importer: str
    """The part of livesketch that imports; a part is a module or folder directly below the package."""
    imported: str
    """The part of livesketch that is imported, or the name of another top-level package after a dot, as ``.numpy``."""


def imports() -> Iterator[Import]:
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(REPO)}:{getattr(node, 'lineno', 0)}"
            for target in targets(node, inside):
                yield Import(where, inside[0], target)


def targets(node: ast.AST, inside: tuple[str, ...]) -> list[str]:
    """The parts that an import statement of the module ``inside`` names."""
    if isinstance(node, ast.Import):
        return [part(name.name.split("."), []) for name in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    said = node.module.split(".") if node.module else []
    names = [name.name for name in node.names]
    if node.level == 0:
        return [part(said, [name]) for name in names]
    folder = ["livesketch", *inside[:-1]]
    base = folder[: len(folder) - (node.level - 1)]
    return [part([*base, *said], [name]) for name in names]


def part(dotted: list[str], then: list[str]) -> str:
    if dotted[0] != "livesketch":
        return f".{dotted[0]}"
    rest = [*dotted[1:], *then]
    exists = (PACKAGE / f"{rest[0]}.py").exists() or (PACKAGE / rest[0]).is_dir() if rest else False
    return rest[0] if exists else "__init__"  # `from livesketch import __version__` asks the package itself


def test_imports_point_one_way() -> None:
    found = list(imports())
    assert len(found) > 100, "too few imports: is this test looking at the package?"
    inner = [item for item in found if not item.imported.startswith(".")]
    unknown = sorted({item.importer for item in found if item.importer not in MAY_IMPORT})
    assert unknown == [], "a new part: say in MAY_IMPORT what it may import"
    wrong = [
        f"{item.where}: {item.importer} imports {item.imported}"
        for item in inner
        if item.imported != item.importer and not {item.imported, "*"} & MAY_IMPORT[item.importer]
    ]
    assert wrong == []


def test_the_package_imports_no_tests_and_no_benchmarks() -> None:
    outside = {".tests", ".conftest", ".benchmarks", ".examples", ".pytest", ".hypothesis"}
    assert [item.where for item in imports() if item.imported in outside] == []


def test_torch_stays_in_training_and_network_definitions() -> None:
    """The CPU path is free of torch, also inside functions; the cuda backend's modules wait for its first model."""
    where = {item.where.partition(":")[0] for item in imports() if item.imported == ".torch"}
    networks = "network|recurrence|recurrence_fast|text_network|weights"
    allowed = re.compile(rf"livesketch/(training/.*|models/({networks})|backends/cuda_.*)\.py")
    assert [path for path in sorted(where) if not allowed.fullmatch(path)] == []


def test_the_table_has_no_circle() -> None:
    assert {*ORDER, "__init__", "cli", "__main__"} == set(MAY_IMPORT)
    for number, name in enumerate(ORDER):
        assert MAY_IMPORT[name] <= set(ORDER[:number]), name
    assert not MAY_IMPORT["backends"] & {"events", "outputs", "streams", "player"}
    assert not MAY_IMPORT["outputs"] & {"models", "backends", "streams", "player"}
