"""Another model for what plays, by name."""

from collections.abc import Callable, Sized
from typing import Any, Final

from ..errors import ControlError, ModelNotFoundError
from ..models.catalogue import catalogue, nearest, open_any, plain_name
from ..models.text_model import TextCheckpoint
from ..player.performance import play
from ..player.playable import AnyPlayer, Playable
from ..streams.sketch import sketch
from ..streams.text import text
from ..streams.voices import voices

_DRAWS: Final = ("temperature", "convention")
_WRITES: Final = ("temperature", "top_k", "top_p", "min_p")


def swap(player: AnyPlayer, model: str, seed: int | None, *, files: bool, stopped: Callable[[], bool]) -> bool:
    """A new stream of this model takes over at the end of the stroke, at the same pace and with what was set and told.

    As many voices as before, temperature and the like as they were where both draw or both write. False: everything
    was stopped while the model was opened.

    Raises:
        ModelNotFoundError, CheckpointError and the others of ``livesketch.sketch``.
        ControlError: the player has stopped, or the seed is none.
    """
    stream = _opened(_named(model, files=files), player.stream, seed)
    if stopped():
        return False
    if not player.playing:
        raise ControlError(f"swap of {player.name!r:.40}: it has stopped; expected a player that plays")
    play(
        stream, None, name=player.name, then=player.then, pace=player.pace, lookahead=player.lookahead,
        place=player.place, engine=player.engine,
    )  # fmt: skip
    return True


def _named(model: str, *, files: bool) -> str:
    """What to open.

    Raises:
        ModelNotFoundError: no bundled model of that name, and files are not allowed.
    """
    if files:
        return model
    entries = catalogue()
    asked, mark, label = model.partition("#")
    named = {plain_name(name): entry for name, entry in entries.items()}
    paths = {plain_name(entry.path.stem): entry for entry in entries.values()}
    entry = named.get(plain_name(asked)) or paths.get(plain_name(asked))
    if entry is None:
        raise ModelNotFoundError(
            f"no bundled model {asked!r:.80}{nearest(asked[:80], entries)}; expected one of `livesketch models`; files "
            "are opened only where ls.listen(..., files=True) allows it"
        )
    if plain_name(asked) in named and not mark:
        return entry.name
    return f"{entry.path}{mark}{label}"


def _opened(model: str, before: Playable, seed: int | None) -> Playable:
    writes = isinstance(open_any(model), TextCheckpoint)
    kept = _kept(before, writes=writes)
    if isinstance(before, Sized):
        return voices(model, len(before), seed=seed, **kept)
    return text(model, seed=seed, **kept) if writes else sketch(model, seed=seed, **kept)


def _kept(before: Any, *, writes: bool) -> dict[str, Any]:
    """What was set and can be set again."""
    if writes:
        return {name: getattr(before, name) for name in _WRITES} if hasattr(before, "top_k") else {}
    draws = getattr(before, "convention", None) is not None
    return {name: getattr(before, name) for name in _DRAWS} if draws else {}
