"""Plots and tables of the documents, from the newest result of each suite: ``python -m benchmarks.plots``.

A document says where a part goes by a pair of comments; what stands between them is written anew. With ``--check``
nothing is written, and what is not up to date is named.
"""

import json
import re
import statistics
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import charts, step, text, training, voices
from .charts import Axis, Line, said

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
RESULTS = Path(__file__).parent / "results"
PAGES = (DOCS / "performance.md", ROOT / "README.md")
PART = re.compile(
    r"(?P<open><!-- made by benchmarks\.plots: (?P<name>[\w-]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL
)
UNITS = {"us": "µs", "s": "s", "sketches/s": "drawings a second"}


class Found:
    """A committed result."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        record = json.loads(path.read_text(encoding="utf-8"))
        self.facts: dict[str, Any] = record["facts"]
        self.machine: dict[str, Any] = record["machine"]
        self.unit: str = record["unit"]
        self.values: dict[str, list[float]] = record["series"]
        self.medians = {name: statistics.median(values) for name, values in self.values.items()}
        self.least = {name: min(values) for name, values in self.values.items()}
        """Of a limit this is what the machine can do at most: a round in which another program had a core is not."""
        self.errors: dict[str, float] = record.get("errors", {})
        self.absent: dict[str, str] = record.get("absent", {})

    def ratio(self, name: str, base: str) -> float | None:
        """How many times the median of ``base`` that of ``name`` is; None where one is not there."""
        if name not in self.medians or base not in self.medians:
            return None
        return self.medians[name] / self.medians[base]


def newest(suite: str) -> Found | None:
    """The last one; of ``step`` the last one of the size of the official models, where there is one."""
    found = [Found(path) for path in sorted(RESULTS.glob(f"{suite}-2*.json"))]
    sized = [one for one in found if one.facts.get("hidden") == 512 and step.LIMIT in one.values]
    return next(reversed(sized or found), None)


def table(found: Found, bases: dict[str, str]) -> str:
    """Rows with median, least and most, ratios of medians, and errors where they were measured."""
    unit = UNITS.get(found.unit, found.unit)
    columns = [title for title, name in bases.items() if name in found.medians]
    columns += ["error"] if found.errors else []
    head = ["", unit, "least to most", *columns]
    out = [f"| {' | '.join(head)} |", f"|---|{'---|' * (len(head) - 1)}"]
    for name, values in found.values.items():
        cells = [name, said(found.medians[name]), f"{said(min(values))} to {said(max(values))}"]
        cells += [
            f"{found.medians[name] / found.medians[base]:.2f}" for base in bases.values() if base in found.medians
        ]
        if found.errors:
            cells.append(f"{found.errors[name]:.1e}" if name in found.errors else "")
        out.append(f"| {' | '.join(cells)} |")
    out += [f"| {name} | not measured: {why} |{' |' * (len(head) - 2)}" for name, why in found.absent.items()]
    return "\n".join(out)


def origin(found: Found) -> str:
    """What was measured, where and when."""
    facts = ", ".join(f"{key} {value}" for key, value in found.facts.items())
    machine = found.machine
    where = f"{machine['cores']} cores of {machine['cpu']}, load {machine['load']} before, Python {machine['python']}"
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if name != "livesketch")
    return wrapped(f"`benchmarks/results/{found.name}`, commit {machine['commit']}: {facts}. {where}, {packages}.")


def by_voices(found: Found) -> dict[str, dict[int, float]]:
    """Microseconds for a pen action: kind with its threads, number of voices."""
    rows: dict[str, dict[int, float]] = {}
    for name, micros in found.medians.items():
        if match := re.fullmatch(r"(.+), (\d+) voices?", name):
            rows.setdefault(match[1], {})[int(match[2])] = micros
    return rows


def voices_table(found: Found) -> str:
    rows, flop = by_voices(found), found.facts["flop per step"]
    counts = sorted({count for row in rows.values() for count in row})
    out = [
        "| pen actions a second | " + " | ".join(f"{count:,}" for count in counts) + " |",
        "|---|" + "---|" * len(counts),
    ]
    for kind, row in rows.items():
        out.append(f"| {kind} | " + " | ".join(f"{1e6 / row[c]:,.0f}" if c in row else "" for c in counts) + " |")
    for kind, row in rows.items():
        if kind.startswith(voices.OWN):
            threads = int(re.findall(r"(\d+) thread", kind)[-1])
            number = "bf16" if voices.FAST in kind else "fp32"
            peak = found.least[voices.peak_name(number, threads)]
            shares = " | ".join(f"{peak / row[c]:.0%}" if c in row else "" for c in counts)
            out.append(f"| {kind}: share of the {number} peak of so many threads | {shares} |")
    most = {kind: voices.realtime(min(row.values())) for kind, row in rows.items() if kind.startswith(voices.OWN)}
    limits = [
        f"| {name.removeprefix('limit: ')} | {flop / micros / 1e3:,.0f} |"
        for name, micros in found.least.items()
        if name.startswith("limit: ")
    ]
    absent = [f"Not measured: {name}: {why}." for name, why in found.absent.items()]
    live = ", ".join(f"{count:,.0f} voices ({kind})" for kind, count in most.items())
    played = wrapped(f"At {voices.RATE} steps a second, as many as could be played in real time: {live}.")
    return "\n".join([*out, "", played, *absent, "", "| limit, the best round | GFLOP/s |", "|---|---|", *limits])


def numbered(found: Found, pattern: str) -> list[tuple[float, float]]:
    """Rows whose name has a number in this place, with their medians."""
    rows = [(re.fullmatch(pattern, name), micros) for name, micros in found.medians.items()]
    return sorted((float(match[1]), micros) for match, micros in rows if match)


def growth_tables(found: Found) -> str:
    """One for each thing that grows; ratios to its first row, or to the limit beside it."""
    read = dict(numbered(found, r"(\d+) units, reading .*"))
    out = ["| units | next(stream), µs | reading the weights, µs | ratio |", "|---|---|---|---|"]
    for units, micros in numbered(found, r"(\d+) units"):
        out.append(f"| {units:g} | {said(micros)} | {said(read[units])} | {micros / read[units]:.2f} |")
    for title, pattern in (
        ("voices", r"(\d+) voices?"), ("actions made before", r"after (\d+) steps"), ("drawings", r"drawings (\d+)")
    ):  # fmt: skip
        rows = numbered(found, pattern)
        out += ["", f"| {title} | µs for a pen action | ratio |", "|---|---|---|"]
        out += [f"| {many:,.0f} | {said(micros)} | {micros / rows[0][1]:.3f} |" for many, micros in rows]
    return "\n".join(out)


def step_table(found: Found) -> str:
    rows = table(found, {"× next(stream)": step.STREAM, "× reading": step.LIMIT})
    two = found.ratio(step.TWO, step.LIMIT_TWO)
    return rows if two is None else f"{rows}\n\n`cpu-two` takes {said(two)} times as long as reading in two threads."


def step_plot(found: Found) -> str:
    left_out = "livesketch reference, backend"
    rows = [(name, micros, name.startswith("livesketch")) for name, micros in found.medians.items() if name != left_out]
    return charts.bars("One pen action, one thread (median)", sorted(rows, key=lambda row: row[1]), "µs")


def voices_plot(found: Found) -> str:
    rows, flop = by_voices(found), found.facts["flop per step"]
    drawn = [Line(kind, [(count, 1e6 / micros) for count, micros in sorted(row.items())]) for kind, row in rows.items()]
    counts = [count for line in drawn for count, _ in line.points]
    for threads in sorted({1, found.facts["threads"]}):
        rate = 1e6 / found.least[voices.peak_name("fp32", threads)]
        name = f"fp32 peak, {threads} thread{'s' * (threads > 1)} ({rate * flop / 1e9:.0f} GFLOP/s)"
        drawn.append(Line(name, [(min(counts), rate), (max(counts), rate)], limit=True))
    up = Axis("pen actions a second", *charts.around([rate for line in drawn for _, rate in line.points]))
    return charts.lines("Many voices", Axis("voices", min(counts), max(counts)), up, drawn)


def units_plot(found: Found) -> str:
    own, read = numbered(found, r"(\d+) units"), numbered(found, r"(\d+) units, reading .*")
    drawn = [Line("next(stream)", own), Line("reading the weights", read, limit=True)]
    up = Axis("µs for a pen action", *charts.around([micros for _, micros in own + read]))
    return charts.lines("Hidden size", Axis("units", own[0][0], own[-1][0]), up, drawn)


def steps_plot(found: Found) -> str:
    points = numbered(found, r"after (\d+) steps")
    up = Axis("µs for a pen action", 0, 1.4 * max(micros for _, micros in points), log=False)
    across = Axis("actions that the stream has made", points[0][0], points[-1][0])
    return charts.lines("Length of the performance", across, up, [Line("next(stream)", points)])


def readme(found: Found) -> str:
    """What the README says of speed."""
    others = {
        "a straightforward PyTorch port": step.NAIVE,
        "torch.compile": step.COMPILED,
        "onnxruntime in float32": step.ONNX,
        "a preallocated NumPy step": step.NUMPY,
        "`@magenta/sketch` on WebAssembly": step.JS,
    }
    ratios = {who: found.ratio(name, step.STREAM) for who, name in others.items()}
    others_took = [f"{who} {ratio:.1f}" for who, ratio in ratios.items() if ratio]
    limit = found.ratio(step.BACKEND, step.LIMIT)
    bound = f" Without the event it takes {limit:.2f} times as long as reading its weights once." if limit else ""
    return wrapped(
        f"One pen action of an LSTM of {found.facts['hidden']} units, event object included, takes "
        f"{said(found.medians[step.STREAM])} µs on one core of our machine. "
        f"In the same run, with that as 1: {', '.join(others_took)}.{bound}"
    )


def wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


Part = tuple[str, Callable[[Found], str]]
PARTS: dict[str, Part] = {
    "readme": ("step", readme),
    "step": ("step", step_table),
    "pauses": ("pauses", lambda found: table(found, {})),
    "voices": ("voices", voices_table),
    "growth": ("growth", growth_tables),
    "text": ("text", lambda found: table(found, {"× next(stream)": text.STREAM, "× reading": text.LIMIT})),
    "training": ("training", lambda found: table(found, {"× the port": training.PORT})),
    "first-action": ("first-action", lambda found: table(found, {})),
    "import": ("import", lambda found: table(found, {})),
}
PLOTS: dict[str, Part] = {
    "performance-step.svg": ("step", step_plot),
    "performance-voices.svg": ("voices", voices_plot),
    "performance-units.svg": ("growth", units_plot),
    "performance-steps.svg": ("growth", steps_plot),
}


def part(name: str) -> str:
    """A part of a document, with the files that it comes from; or that there is no result yet."""
    suite, make = PARTS[name]
    found = newest(suite)
    if found is None:
        return f"No result of `python -m benchmarks {suite}` is committed yet.\n"
    plots = [plot for plot, (of, _) in PLOTS.items() if of == suite and name != "readme"]
    shown = "".join(f"![{plot.removesuffix('.svg')}]({plot})\n" for plot in plots)
    source = "" if name == "readme" else f"\n{origin(found)}\n"
    return f"{make(found)}\n{source}" + (f"\n{shown}" if shown else "")


def made() -> dict[Path, str]:
    """Every file with what it must hold."""
    found = {page: page.read_text(encoding="utf-8") for page in PAGES}
    for page, content in found.items():
        found[page] = PART.sub(lambda match: f"{match['open']}{part(match['name'])}{match['close']}", content)
    for plot, (suite, draw) in PLOTS.items():
        if result := newest(suite):
            found[DOCS / plot] = draw(result)
    return found


def stale() -> list[str]:
    """Files that do not hold what the committed results say."""
    return [
        path.relative_to(ROOT).as_posix()
        for path, content in made().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python -m benchmarks.plots [--check]", file=sys.stderr)
        return 2
    old = stale()
    if arguments:
        print("\n".join([*old, "run python -m benchmarks.plots"] if old else ["up to date"]))
        return 1 if old else 0
    for path, content in made().items():
        path.write_text(content, encoding="utf-8")
    print(f"written: {', '.join(old) or 'nothing has changed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
