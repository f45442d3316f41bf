"""Where the figures of the quality commands go."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..report import commit, machine

RESULTS: Final = Path(__file__).resolve().parent.parent / "results"


def write(suite: str, facts: Mapping[str, Any], folder: Path) -> Path:
    """One JSON file with the date, the machine and what was measured."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite}-{now:%Y-%m-%d-%H%M%S}.json"
    result = {
        "suite": suite,
        "date": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        **facts,
    }
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path
