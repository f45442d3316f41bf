"""Chinese verse forms: 五绝, 七绝, 五律, 七律, with rhyme, tones and no needless repetition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ControlError
from ..values import real
from .constraint import Constraint
from .pingshui import LEVEL, is_ideograph, pingshui
from .tones import SIGNS, Pattern, chosen

COMMA, STOP = "，", "。"
REPEAT = 4.0
"""Nats that a character which the poem already has is made less likely by. Of real 五绝 79 % repeat none apart from
doublings, of 五律 73 %."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a form is."""

    lines: int
    characters: int
    """In each line, its mark not counted."""


SHAPES = {"五绝": Shape(4, 5), "七绝": Shape(4, 7), "五律": Shape(8, 5), "七律": Shape(8, 7)}
ALIASES = {
    "五绝": ("五絕", "五言绝句", "五言絕句", "wujue"),
    "七绝": ("七絕", "七言绝句", "七言絕句", "qijue"),
    "五律": ("五言律诗", "五言律詩", "wulü", "wulv", "wulu"),
    "七律": ("七言律诗", "七言律詩", "qilü", "qilv", "qilu"),
}
_NAMES = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}


def form(name: str, rhyme: bool | str = False, tones: bool | str = False, repeat: float = REPEAT) -> "Form":
    """A verse form as a rule: lengths of lines, ， after odd lines, 。 after even ones, END after the last mark.

    Args:
        name: "五绝" (4 lines of 5 characters), "七绝" (4 of 7), "五律" (8 of 5), "七律" (8 of 7); also "wujue",
            "qijue", "wulü" or "wulv", "qilü" or "qilv".
        rhyme: the even lines end in characters of one level-tone Pingshui group, none of them twice: True lets the
            first of them choose, a name ("东", "七阳") sets it. A character with several readings rhymes with any of
            them.
        tones: the places of level and oblique tones: True for the four patterns of regulated verse, of which what is
            written chooses; or a name or the signs themselves, see :func:`livesketch.forms.tones.chosen`. Soft. With
            ``rhyme`` too, a first line that ends in level tone has to rhyme.
        repeat: nats (0 or more) that characters which the poem already has lose; 0 for free, ``math.inf`` for never
            while enough probability is left. A character doubled within its line (青青) is free once.

    Raises:
        ControlError: an unknown name, group or pattern; a pattern of another length; rhyme and tones that contradict
            each other; repeat out of range.
        MissingExtraError: rhyme or tones without the extra ``forms``.
    """
    known = _NAMES.get(name.strip().casefold()) if isinstance(name, str) else None
    if known is None:
        raise ControlError(f"form {name!r:.40}: expected one of {', '.join(SHAPES)} (wujue, qijue, wulü, qilü)")
    shape = SHAPES[known]
    if not isinstance(rhyme, bool | str):
        raise ControlError(
            f"rhyme {rhyme!r:.40}: expected True, False or the name of a level-tone group, such as '七阳'"
        )
    group = pingshui().groups[pingshui().group(rhyme)].name if isinstance(rhyme, str) else None
    wanted = () if tones is False else chosen(tones, shape.lines, shape.characters)
    lost = real("repeat", repeat, "nats, 0 or more")
    if lost < 0:
        raise ControlError(f"repeat {repeat!r}: expected nats, 0 or more")
    made = Form(known, shape.lines, shape.characters, rhyme is not False, group, wanted, lost)
    if wanted or made.rhyme:
        pingshui()
        made.check_options()
    return made


@dataclass(frozen=True, slots=True)
class Form:
    """The rule that :func:`form` gives. Places count from 0, marks included."""

    name: str
    lines: int
    characters: int
    rhyme: bool
    group: str | None
    """The group that was asked for, such as 七阳."""
    tones: tuple[Pattern, ...]
    """The patterns allowed; none: tones are free."""
    repeat: float

    def says(self) -> str:
        """What it asks for, for messages."""
        words = [self.name]
        if self.rhyme:
            words.append(f"rhyme {self.group}" if self.group else "rhyme")
        if self.tones:
            words.append("tones" if len(self.tones) > 1 else f"tones {self.tones[0].name}")
        return ", ".join(words)

    @property
    def width(self) -> int:
        """Characters of a line and its mark."""
        return self.characters + 1

    @property
    def length(self) -> int:
        """Symbols of the whole, marks counted, END not."""
        return self.lines * self.width

    @property
    def heads(self) -> tuple[int, ...]:
        """The places of the first character of each line: where an acrostic goes."""
        return tuple(range(0, self.length, self.width))

    def mark(self, line: int) -> str:
        """The mark after a line, counted from 0."""
        return STOP if line % 2 else COMMA

    def rhymes_at(self, place: int) -> bool:
        """Whether a rhyme word stands there: the last character of an even line (the second, fourth, ...)."""
        line, within = divmod(place, self.width)
        return self.rhyme and line % 2 == 1 and within == self.characters - 1

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """The form for a vocabulary of characters.

        Raises:
            ControlError: it lacks ， or 。 or has no Chinese characters, or too few of the rhyme group.
        """
        from .verse import Verse  # noqa: PLC0415 - verse.py is built on this module

        return Verse(self, vocabulary)

    def check_options(self) -> None:
        """Whether tones and rhyme can be had together: rhymes are of level tone.

        Raises:
            ControlError: every pattern has an oblique tone at the end of some even line.
        """
        if not self.rhyme or not self.tones:
            return
        for pattern in self.tones:
            for number, alternatives in enumerate(pattern.lines[1::2]):
                if not any(SIGNS[line[-1]] & LEVEL for line in alternatives):
                    raise ControlError(
                        f"tones {pattern.name!r:.80} end line {2 * number + 2} with 仄, where rhyme wants 平 (level): "
                        "change the pattern, or leave rhyme out"
                    )

    def check_given(self, symbols: str | Sequence[str]) -> None:
        """Whether a poem of this form can begin with ``symbols``, one character each (UNK: "").

        Tones are not checked: they are soft, and given text goes before them.

        Raises:
            ControlError: too long, another mark or character than the form has there, rhyme words that do not rhyme.
        """
        text = "".join(symbol or "?" for symbol in symbols)
        if len(symbols) > self.length:
            raise ControlError(
                f"given text {text!r:.80} has {len(symbols)} symbols with its marks: {self.name} has {self.length}"
            )
        for place, symbol in enumerate(symbols):
            line, within = divmod(place, self.width)
            if within == self.characters and symbol != self.mark(line):
                raise ControlError(
                    f"given text {text!r:.80}: {symbol!r} where line {line + 1} of {self.name} has ended after "
                    f"{self.characters} characters; expected {self.mark(line)!r}"
                )
            if within < self.characters and symbol and not is_ideograph(symbol):
                raise ControlError(
                    f"given text {text!r:.80}: {symbol!r} at character {within + 1} of line {line + 1}; expected "
                    f"{self.characters} Chinese characters in each line of {self.name}"
                )
        self._check_rhymes(symbols, text)

    def check_first_line(self, line: str) -> None:
        """Whether ``line``, with or without its mark, can be the first line.

        Raises:
            ControlError: it has another number of characters, or something else than Chinese characters.
        """
        characters = line.removesuffix(COMMA)
        if len(characters) != self.characters:
            raise ControlError(
                f"first line {line!r:.80} has {len(characters)} characters: expected {self.characters} in each line of "
                f"{self.name}"
            )
        self.check_given(characters)

    def check_acrostic(self, heads: str) -> None:
        """Whether ``heads`` can begin the lines, one character each.

        Raises:
            ControlError: another number than there are lines, or something else than Chinese characters.
        """
        if len(heads) != self.lines:
            raise ControlError(
                f"acrostic {heads!r:.80} has {len(heads)} characters: expected {self.lines}, one for each line of "
                f"{self.name}"
            )
        wrong = [symbol for symbol in heads if not is_ideograph(symbol)]
        if wrong:
            raise ControlError(f"acrostic {heads!r:.80}: {wrong[0]!r} is no Chinese character, as {self.name} needs")

    def _check_rhymes(self, symbols: Sequence[str], text: str) -> None:
        """Refuses rhyme words that contradict the group or each other, or come twice."""
        words = [(place, symbol) for place, symbol in enumerate(symbols) if self.rhymes_at(place)]
        if not words:
            return
        table = pingshui()
        left = 1 << table.group(self.group) if self.group else (1 << len(table.groups)) - 1
        ends = [symbols[self.characters - 1]]
        for place, word in words:
            before, mine = left, table.rhymes_of(word)
            left &= mine
            where = f"given text {text!r:.80}: line {place // self.width + 1} ends in {word!r}, "
            if not mine:
                raise ControlError(f"{where}which has no level-tone rhyme in the Pingshui tables")
            if not left:
                wanted = f"the rhyme is {table.names(before)}" if before.bit_count() < 30 else "nothing rhymes"
                raise ControlError(f"{where}which rhymes as {table.names(mine)}, but {wanted}")
            if word in ends:
                raise ControlError(f"{where}which ends another line already; rhyme words come once")
            ends.append(word)


def check_given(rule: Any, *, text: str = "", first_line: str = "", acrostic: str = "") -> None:
    """Whether what is given fits a rule, where the rule can tell: a :class:`Form`, alone or in ``all_of``.

    Args:
        rule: any rule, or None.
        text: symbols that the piece begins with.
        first_line: the whole first line.
        acrostic: the first characters of all lines.

    Raises:
        ControlError: it does not; the message says what and where.
    """
    for part in getattr(rule, "rules", ()):
        check_given(part, text=text, first_line=first_line, acrostic=acrostic)
    if isinstance(rule, Form):
        if text:
            rule.check_given(text)
        if first_line:
            rule.check_first_line(first_line)
        if acrostic:
            rule.check_acrostic(acrostic)
