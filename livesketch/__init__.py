"""livesketch: neural networks that draw and write, live.

    import livesketch as ls

    cat = ls.sketch("cat", seed=7)            # a stream; nothing moves yet
    next(cat)                                 # one decoder step -> PenAction
    cat.temperature = 0.4                     # acts on the very next step
    cat.feed([[[0, 0], [40, 5], [60, 40]]])   # you draw; the model goes on from there

    p = ls.play(cat, to=[ls.osc("127.0.0.1:9000"), ls.terminal()], rate=60)
    p.rate = 120
    ls.hush()                                 # everything stops at a clean place

    ls.draw(ls.sketch("pig"), to=[ls.svg("pigs.svg")], n=12)
    for drawing in ls.bulk("pig", 10_000): ...  # many, by many voices at once
    ls.catalogue()                            # what can be asked for by name

Importing this opens nothing and loads nothing heavy: each name is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import forms as forms
    from .errors import BackendUnavailableError as BackendUnavailableError
    from .errors import CheckpointError as CheckpointError
    from .errors import ControlError as ControlError
    from .errors import DataError as DataError
    from .errors import DownloadError as DownloadError
    from .errors import LivesketchError as LivesketchError
    from .errors import MissingExtraError as MissingExtraError
    from .errors import ModelNotFoundError as ModelNotFoundError
    from .errors import OutputError as OutputError
    from .errors import StrokesError as StrokesError
    from .errors import UnsupportedModelError as UnsupportedModelError
    from .events import Cue as Cue
    from .events import Pen as Pen
    from .events import PenAction as PenAction
    from .events import Token as Token
    from .handwriting.hand import Handwriting as Handwriting
    from .handwriting.hand import handwrite as handwrite
    from .inputs.midi import midi_in as midi_in
    from .inputs.midi import midi_learn as midi_learn
    from .latents import analogy as analogy
    from .latents import lerp as lerp
    from .latents import near as near
    from .latents import slerp as slerp
    from .midi_ports.system import ports as ports
    from .models.catalogue import catalogue as catalogue
    from .models.fetch import fetch as fetch
    from .outputs.midi import midi as midi
    from .outputs.midi_file import midi_file as midi_file
    from .outputs.osc import osc as osc
    from .outputs.preview import preview as preview
    from .outputs.recorder import Recorder as Recorder
    from .outputs.svg import svg as svg
    from .outputs.terminal import terminal as terminal
    from .outputs.trace import trace as trace
    from .patterns import lfo as lfo
    from .patterns import noise as noise
    from .patterns import ramp as ramp
    from .patterns import seq as seq
    from .player import pace as pace
    from .player.clock import OfflineClock as OfflineClock
    from .player.conductor import clock as clock
    from .player.log import log as log
    from .player.offline import draw as draw
    from .player.performance import play as play
    from .player.place import grid as grid
    from .player.players import Player as Player
    from .player.replay import Replay as Replay
    from .player.replay import replay as replay
    from .player.replay import replays as replays
    from .player.roster import hush as hush
    from .player.roster import panic as panic
    from .player.roster import players as players
    from .remote.listening import Listener as Listener
    from .remote.listening import listen as listen
    from .streams.bulk import Bulk as Bulk
    from .streams.bulk import FinishedDrawing as FinishedDrawing
    from .streams.bulk import bulk as bulk
    from .streams.drawing import Drawing as Drawing
    from .streams.drawing import Piece as Piece
    from .streams.guess import Guess as Guess
    from .streams.sketch import SketchStream as SketchStream
    from .streams.sketch import sketch as sketch
    from .streams.text import Candidate as Candidate
    from .streams.text import TextStream as TextStream
    from .streams.text import text as text
    from .streams.text_voices import TextVoices as TextVoices
    from .streams.text_voices import TokenRow as TokenRow
    from .streams.voices import Actions as Actions
    from .streams.voices import SketchVoices as SketchVoices
    from .streams.voices import voices as voices
    from .stroke_files import load_strokes as load_strokes
    from .stroke_files import save_strokes as save_strokes
    from .strokes import to_polylines as to_polylines
    from .strokes import to_stroke3 as to_stroke3

__version__ = "0.1.0"

_MODULES = {"forms": ".forms", "pace": ".player.pace"}
"""Modules that are public names themselves."""

_HOMES = {
    "Actions": "streams.voices",
    "BackendUnavailableError": "errors",
    "Bulk": "streams.bulk",
    "Candidate": "streams.text",
    "CheckpointError": "errors",
    "ControlError": "errors",
    "Cue": "events",
    "DataError": "errors",
    "DownloadError": "errors",
    "Drawing": "streams.drawing",
    "FinishedDrawing": "streams.bulk",
    "Guess": "streams.guess",
    "Handwriting": "handwriting.hand",
    "Listener": "remote.listening",
    "LivesketchError": "errors",
    "MissingExtraError": "errors",
    "ModelNotFoundError": "errors",
    "OfflineClock": "player.clock",
    "OutputError": "errors",
    "Pen": "events",
    "PenAction": "events",
    "Piece": "streams.drawing",
    "Player": "player.players",
    "Recorder": "outputs.recorder",
    "Replay": "player.replay",
    "SketchStream": "streams.sketch",
    "SketchVoices": "streams.voices",
    "StrokesError": "errors",
    "TextStream": "streams.text",
    "TextVoices": "streams.text_voices",
    "Token": "events",
    "TokenRow": "streams.text_voices",
    "UnsupportedModelError": "errors",
    "analogy": "latents",
    "bulk": "streams.bulk",
    "catalogue": "models.catalogue",
    "clock": "player.conductor",
    "draw": "player.offline",
    "fetch": "models.fetch",
    "grid": "player.place",
    "handwrite": "handwriting.hand",
    "hush": "player.roster",
    "lerp": "latents",
    "lfo": "patterns",
    "listen": "remote.listening",
    "load_strokes": "stroke_files",
    "log": "player.log",
    "midi": "outputs.midi",
    "midi_file": "outputs.midi_file",
    "midi_in": "inputs.midi",
    "midi_learn": "inputs.midi",
    "near": "latents",
    "noise": "patterns",
    "osc": "outputs.osc",
    "panic": "player.roster",
    "play": "player.performance",
    "players": "player.roster",
    "ports": "midi_ports.system",
    "preview": "outputs.preview",
    "ramp": "patterns",
    "replay": "player.replay",
    "replays": "player.replay",
    "save_strokes": "stroke_files",
    "seq": "patterns",
    "sketch": "streams.sketch",
    "slerp": "latents",
    "svg": "outputs.svg",
    "terminal": "outputs.terminal",
    "text": "streams.text",
    "to_polylines": "strokes",
    "to_stroke3": "strokes",
    "trace": "outputs.trace",
    "voices": "streams.voices",
}
"""Where each public name lives; it is imported from there on first use. The imports above are for type checkers."""

__all__ = [
    "Actions",
    "BackendUnavailableError",
    "Bulk",
    "Candidate",
    "CheckpointError",
    "ControlError",
    "Cue",
    "DataError",
    "DownloadError",
    "Drawing",
    "FinishedDrawing",
    "Guess",
    "Handwriting",
    "Listener",
    "LivesketchError",
    "MissingExtraError",
    "ModelNotFoundError",
    "OfflineClock",
    "OutputError",
    "Pen",
    "PenAction",
    "Piece",
    "Player",
    "Recorder",
    "Replay",
    "SketchStream",
    "SketchVoices",
    "StrokesError",
    "TextStream",
    "TextVoices",
    "Token",
    "TokenRow",
    "UnsupportedModelError",
    "analogy",
    "bulk",
    "catalogue",
    "clock",
    "draw",
    "fetch",
    "forms",
    "grid",
    "handwrite",
    "hush",
    "lerp",
    "lfo",
    "listen",
    "load_strokes",
    "log",
    "midi",
    "midi_file",
    "midi_in",
    "midi_learn",
    "near",
    "noise",
    "osc",
    "pace",
    "panic",
    "play",
    "players",
    "ports",
    "preview",
    "ramp",
    "replay",
    "replays",
    "save_strokes",
    "seq",
    "sketch",
    "slerp",
    "svg",
    "terminal",
    "text",
    "to_polylines",
    "to_stroke3",
    "trace",
    "voices",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name], __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
