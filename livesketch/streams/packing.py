"""Streams on their way to another process: what makes the same stream there, at the same place.

What is packed goes from one process of a performer's to another of the same performer's, through their own pipe, as
pickle; nothing of it is ever read from a file or a network.
"""

import io
import pickle
from dataclasses import dataclass
from typing import Any

from ..errors import ControlError
from .sketch import SketchStream
from .text import TextStream
from .text_voices import TextVoices
from .voices import SketchVoices


@dataclass(frozen=True, slots=True)
class Packed:
    """A stream, taken apart."""

    kind: type[Any]
    arguments: tuple[Any, ...]
    name: str
    place: Any
    """Its snapshot."""
    rule: Any
    """Of a text stream what it is held to."""
    following: dict[str, Any]
    """Controls that follow a function of the beat."""


def pack(stream: Any) -> bytes:
    """A stream, or anything else that can be played and pickled, as bytes.

    Raises:
        ControlError: something of it cannot go, as a function that was written at the prompt.
    """
    packed = io.BytesIO()
    try:
        _Pickler(packed).dump(stream)
    except (pickle.PicklingError, TypeError, AttributeError) as err:
        raise ControlError(
            f"{stream!r:.80} cannot go to another process ({err}); expected no functions of your own in it: use "
            "ls.lfo, ls.ramp, ls.noise and ls.seq, rules of livesketch.forms, or engine='thread'"
        ) from err
    return packed.getvalue()


def unpack(data: bytes) -> Any:
    """What was packed."""
    return pickle.loads(data)  # noqa: S301 - from our own process, through our own pipe


class _Pickler(pickle.Pickler):
    """One that takes streams too, also within something else, as in ``then=[...]``: pickle itself does not."""

    def reducer_override(self, thing: Any) -> Any:
        """How a stream is taken; everything else as always."""
        if not isinstance(thing, SketchStream | TextStream | SketchVoices | TextVoices):
            return NotImplemented
        with thing.lock:
            return _unpacked, (_packed(thing),)


def _packed(stream: Any) -> Packed:
    model, seed, backend = stream.checkpoint, stream.seed, stream.backend
    controls = stream._settings if isinstance(stream, TextStream | TextVoices) else stream._controls  # noqa: SLF001
    rule = getattr(stream, "_rule", None)
    one = isinstance(stream, SketchStream | TextStream)
    arguments = (
        (model, None, controls, seed, backend, stream.voice)
        if one
        else (model, None, len(stream), controls, seed, backend)
    )
    following = {name: pattern for name, (_, pattern) in stream._following.items()}  # noqa: SLF001
    return Packed(
        type(stream), arguments, stream.name, stream.standing(), None if rule is None else rule.asked, following
    )


def _unpacked(packed: Packed) -> Any:
    stream = packed.kind(*packed.arguments)
    stream.name = packed.name
    if packed.rule is not None:
        stream.constrain(packed.rule)
    stream.stand_at(packed.place)
    for name, pattern in packed.following.items():
        setattr(stream, name, pattern)
    return stream
