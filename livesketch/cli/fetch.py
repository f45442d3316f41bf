"""``livesketch fetch``."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .common import Commands, note


def _fetch(args: argparse.Namespace) -> None:
    from ..errors import ControlError  # noqa: PLC0415 - likewise
    from ..models.fetch import fetch  # noqa: PLC0415 - likewise
    from ..models.fetched import read_record  # noqa: PLC0415 - likewise
    from ..models.official import wanted  # noqa: PLC0415 - likewise

    sources = sorted({wanted(name).source for name in args.names})  # all names are checked before anything is fetched
    if args.base and len(sources) > 1:
        raise ControlError(f"--base is the address of one source; the names are of {' and '.join(sources)}")
    for name in args.names:
        with _shown(name) as progress:
            path = fetch(name, base=args.base, to=args.to, again=args.again, progress=progress)
        print(path, flush=True)
        record = read_record(path)
        if record is not None:
            whose = f"{record.attribution}; licence: {record.licence}"
            note(f"{path.name}: {record.bytes} bytes, sha256 {record.sha256}; {whose}")
            if args.again and record.replaced:
                note(f"{path.name} has changed: the file that was here had the sha256 {record.replaced}")


@contextlib.contextmanager
def _shown(name: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on a terminal, and nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - likewise
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415 - likewise

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda there, total: bar.update(task, completed=there, total=total)


def add(commands: Commands) -> None:
    """The command's options."""
    fetch = commands.add(
        "fetch",
        _fetch,
        "download official models and data sets into a cache, and print their paths",
        "livesketch fetch magenta:owl quickdraw:cat",
    )
    fetch.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help='magenta:owl, magenta:owl.vae, quickdraw:cat, quickdraw:cat.ndjson, "quickdraw:hot air balloon"',
    )
    fetch.add_argument("--base", metavar="URL", help="a copy of the official folders, instead of Google's")
    fetch.add_argument("--to", type=Path, metavar="FOLDER", help="put the files there instead of into the cache")
    fetch.add_argument("--again", action="store_true", help="fetch also what is there; says when it has changed")
