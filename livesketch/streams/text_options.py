"""How text streams are asked for: temperature or mode, what is cut off, and a form of verse."""

from typing import TypedDict

from .. import forms
from ..errors import ControlError
from ..token_sampling import MODES, Mode, TextSettings


class TextOptions(TypedDict, total=False):
    """The options of ``text`` that no sketch has, as many voices take them too."""

    mode: Mode | None
    form: str | None
    rhyme: bool | str
    tones: bool | str
    top_k: int
    top_p: float
    min_p: float


def temperature_of(mode: str) -> float:
    """The temperature of a mode.

    Raises:
        ControlError: none of that name.
    """
    value = MODES.get(mode) if isinstance(mode, str) else None  # type: ignore[call-overload]
    if value is None:
        raise ControlError(f"mode {mode!r:.60}: expected one of {', '.join(MODES)}, or a temperature")
    return float(value)


def settings_of(
    temperature: float | None, mode: Mode | None = None, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> TextSettings:
    """How tokens are drawn; temperature 1 where nothing is said.

    Raises:
        ControlError: a value out of range; temperature and mode at once.
    """
    if temperature is not None and mode is not None:
        raise ControlError(f"temperature {temperature!r} and mode {mode!r}: expected one of them")
    divisor = temperature_of("normal" if mode is None else mode) if temperature is None else temperature
    return TextSettings(divisor, top_k, top_p, min_p)


def rules_of(form: str | None = None, rhyme: bool | str = False, tones: bool | str = False) -> tuple[forms.Rule, ...]:
    """What a stream is held to from its start.

    Raises:
        ControlError: rhyme or tones without a form; else as ``forms.form``.
        MissingExtraError: rhyme or tones without the extra ``forms``.
    """
    if form is None and (rhyme or tones):
        raise ControlError("rhyme and tones belong to a form; expected form='五绝', '七绝', '五律' or '七律' with them")
    return () if form is None else (forms.form(form, rhyme, tones),)
