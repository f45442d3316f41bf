"""SVG files from anywhere, checked before they are drawn: no bombs, nothing from outside, bounded work.

svgelements reads SVG with Python's XML parser and follows every ``use``; both can be made to explode. Here the file is
looked through first, and only what can be drawn is kept.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from ..errors import DataError
from ..files import check_size

MAX_BYTES: Final = 1 << 24
"""Most bytes of an SVG file; one of a drawing has some KB, an image inside it may have more."""

MAX_WORK: Final = 1_000_000
"""Most characters of paths and transforms that drawing a file takes, each ``use`` counted with all that it repeats.

svgelements takes 5 s and 200 MB for as many in the worst case; a drawing by hand has some ten thousand.
"""

MAX_DEPTH: Final = 100
MAX_ELEMENTS: Final = 100_000

_ELEMENT_WORK: Final = 50
"""What an element costs by itself, in characters."""

_STYLE: Final = 10_000
"""Most characters of a style sheet that is looked at."""

_NOT_DRAWN: Final = {"text", "image", "style", "foreignObject"}
"""Left out and reported."""

_SILENT: Final = {"title", "desc", "metadata", "script", "namedview", "filter", "linearGradient", "radialGradient"}
_KEPT_APART: Final = {"mask", "marker", "symbol"}
"""Drawn only where something refers to them, which svgelements knows of ``defs`` alone."""

_SVG: Final = "{http://www.w3.org/2000/svg}"
_LINKS: Final = ("{http://www.w3.org/1999/xlink}href", "href")


class TooLongError(Exception):
    """A drawing so long that reading it would take minutes."""


@dataclass(slots=True)
class CheckedSvg:
    """An SVG without what cannot be drawn."""

    root: ET.Element
    ignored: dict[str, int] = field(default_factory=dict)
    """Kind of element to how many were left out."""


def read_svg(path: Path) -> CheckedSvg:
    """Reads and checks a file.

    Raises:
        DataError: it cannot be read, is no SVG, or declares entities.
        TooLongError: it is sound, and longer than can be read in seconds.
    """
    try:
        check_size(path, MAX_BYTES)
        data = path.read_bytes()
        _look_through(data)
        root = ET.fromstring(data)  # noqa: S314 - entities and depth are checked
    except (expat.ExpatError, ET.ParseError) as err:
        raise DataError(f"{path}: no SVG ({err}); expected an XML file with an svg element") from err
    except (OSError, ValueError, LookupError) as err:
        reason = getattr(err, "strerror", None) or err
        raise DataError(f"{path}: not an SVG that can be read safely: {reason}") from err
    if _tag(root) != "svg":
        raise DataError(f"{path}: its outermost element is {_tag(root)[:60]!r}, expected svg")
    out = CheckedSvg(root)
    _prune(root, out)
    work = _Work(root)
    try:
        total = work.of(root)[0]
    except ValueError as err:
        raise DataError(f"{path}: not an SVG that can be read safely: {err}") from err
    if total > MAX_WORK:
        raise TooLongError(f"paths of more than {MAX_WORK} characters")
    return out


def _look_through(data: bytes) -> None:
    """Refuses entities, deep nesting and masses of elements; DOCTYPE alone, which many programs write, is harmless.

    expat sees the file as ElementTree's parser will, whatever its encoding; a search for b"<!ENTITY" would not.
    """
    depth = elements = 0

    def doctype(_name: str, _system: str | None, _public: str | None, has_internal_subset: bool) -> None:
        if has_internal_subset:
            raise ValueError("its DOCTYPE declares something (entities); save it as plain SVG")

    def entity(*_declared: object) -> None:
        raise ValueError("it declares entities; save it as plain SVG")

    def start(_name: str, _attributes: object) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_DEPTH} elements inside each other, or {MAX_ELEMENTS} in all")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = entity
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(data, True)


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _prune(element: ET.Element, out: CheckedSvg) -> None:
    """Takes out what is not drawn, counts it, and puts what is only referred to under ``defs``."""
    for index, child in reversed(list(enumerate(element))):
        tag = _tag(child)
        if tag == "style" and "display" in (child.text or "") and len(child.text or "") <= _STYLE:
            continue  # it may hide elements
        if tag in _NOT_DRAWN or tag in _SILENT:
            element.remove(child)
            if tag in _NOT_DRAWN:
                out.ignored[tag] = out.ignored.get(tag, 0) + 1
            continue
        _prune(child, out)
        if tag in _KEPT_APART:
            apart = ET.Element(f"{_SVG}defs")
            apart.append(child)
            element[index] = apart


class _Work:
    """How much drawing an element takes: ``own + count * inherited``, in characters.

    ``count`` is how many elements are drawn, ``inherited`` the length of the transforms around it, which svgelements
    parses again for each of them.
    """

    def __init__(self, root: ET.Element) -> None:
        self.by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
        self.known: dict[int, tuple[int, int] | None] = {}
        self.sheets = sum(len(element.text or "") for element in root.iter() if _tag(element) == "style")

    def of(self, element: ET.Element) -> tuple[int, int]:
        """(own, count). ValueError: it refers to itself, or refers through too many others."""
        key = id(element)
        if key in self.known:
            known = self.known[key]
            if known is None:
                raise ValueError("an element that contains itself by way of use")
            return known
        if len(self.known) > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_ELEMENTS} elements")
        self.known[key] = None
        inside = [self.of(child) for child in element]
        if _tag(element) == "use":
            target = self.by_id.get(self._link(element))
            inside += [self.of(target)] if target is not None else []
        passed = len(element.get("transform", ""))
        text = sum(len(value) for value in element.attrib.values()) + self.sheets + _ELEMENT_WORK
        own = text + sum(work + count * passed for work, count in inside)
        count = 1 + sum(count for _, count in inside)
        self.known[key] = own, count
        return own, count

    @staticmethod
    def _link(element: ET.Element) -> str:
        link = ""
        for key in _LINKS:
            link = element.get(key, link)
        return link[1:]
