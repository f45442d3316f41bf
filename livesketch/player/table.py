"""Players as a prompt shows them: a line each."""

from typing import Final

from .playable import AnyPlayer

_HEAD: Final = ("name", "state", "engine", "steps", "pace", "late p99", "dropped", "errors", "to")


class Players(dict[str, AnyPlayer]):
    """Players by name, which a prompt shows as a table."""

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [_HEAD]
        rows += [_row(name, player) for name, player in self.items()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
        lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines) if len(self) else "<nothing plays>"


def _row(name: str, player: AnyPlayer) -> tuple[str, ...]:
    try:
        stats, to = player.stats(), ", ".join(f"{output!r:.40}" for output in player.to)
        state = state_of(player)
        pace = repr(player.pace)
    except Exception as err:  # noqa: BLE001 - a table shows the others
        return name, "gone", "", "", "", "", "", "", f"{err!r:.60}"
    late = f"{stats.late_p99 * 1000:.1f} ms"
    engine = f"{player.engine}, real-time" if stats.realtime else player.engine
    return name, state, engine, str(stats.steps), pace, late, str(stats.dropped), str(stats.output_errors), to


def state_of(player: AnyPlayer) -> str:
    """``playing``, ``paused``, ``muted`` or ``stopped``."""
    if not player.playing:
        return "stopped"
    return "paused" if player.paused else "muted" if player.muted else "playing"
