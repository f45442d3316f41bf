"""Names of official models and data sets, and where their files are.

``magenta:owl``, ``magenta:owl.vae``, ``quickdraw:cat``, ``quickdraw:cat.ndjson``. The addresses are those of
magenta/magenta-demos ``sketch-rnn-js/README.md`` and googlecreativelab/quickdraw-dataset ``README.md``.
"""

import difflib
import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from ..errors import ControlError, ModelNotFoundError

MAGENTA: Final = "https://storage.googleapis.com/quickdraw-models/sketchRNN"
QUICKDRAW: Final = "https://storage.googleapis.com/quickdraw_dataset"

_MODELS: Final = """
    alarm_clock ambulance angel ant antyoga backpack barn basket bear bee beeflower bicycle bird book brain bridge
    bulldozer bus butterfly cactus calendar castle cat catbus catpig chair couch crab crabchair crabrabbitfacepig
    cruise_ship diving_board dog dogbunny dolphin duck elephant elephantpig everything eye face fan fire_hydrant
    firetruck flamingo flower floweryoga frog frogsofa garden hand hedgeberry hedgehog helicopter kangaroo key lantern
    lighthouse lion lionsheep lobster map mermaid monapassport monkey mosquito octopus owl paintbrush palm_tree parrot
    passport peas penguin pig pigsheep pineapple pool postcard power_outlet rabbit rabbitturtle radio radioface rain
    rhinoceros rifle roller_coaster sandwich scorpion sea_turtle sheep skull snail snowflake speedboat spider squirrel
    steak stove strawberry swan swing_set the_mona_lisa tiger toothbrush toothpaste tractor trombone truck whale
    windmill yoga yogabicycle
"""
MAGENTA_NAMES: Final = tuple(_MODELS.split())
"""The official decoders, as magenta-demos lists them: for hints only, any other name may be asked for."""

_TITLES: Final = ("The Eiffel Tower", "The Great Wall of China", "The Mona Lisa")
_SPELLED: Final = {
    "t shirt": "t-shirt",
    **{title.casefold(): title for title in _TITLES},
    **{title.removeprefix("The ").casefold(): title for title in _TITLES},
}
"""Quick, Draw! categories that are not just words in small letters."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where files of one kind are."""

    base: str
    variable: str
    """The environment variable that gives another base address."""
    kinds: dict[str, tuple[str, str]]
    """By what may follow the name after a dot: the folder below the base, and the ending of the file there."""
    most: int
    """Bytes of the largest file that is fetched."""


SOURCES: Final = {
    "magenta": Source(
        MAGENTA,
        "LIVESKETCH_MAGENTA_BASE",
        {
            **dict.fromkeys(("", "gen", "gen.json"), ("large_models", "gen.json")),
            **dict.fromkeys(("vae", "vae.json"), ("large_models", "vae.json")),
        },
        256 << 20,
    ),
    "quickdraw": Source(
        QUICKDRAW,
        "LIVESKETCH_QUICKDRAW_BASE",
        {**dict.fromkeys(("", "npz"), ("sketchrnn", "npz")), "ndjson": ("full/simplified", "ndjson")},
        1 << 30,
    ),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file, by name."""

    name: str
    """As it was asked for."""
    source: str
    file: str
    """The file's name, there and here."""
    folder: str
    """Its folder below the base address."""

    def url(self, base: str | None) -> str:
        """Its address, below ``base`` or what the environment or Google give.

        Raises:
            ControlError: the base is no http address.
        """
        source = SOURCES[self.source]
        base = base or os.environ.get(source.variable) or source.base
        return f"{_checked_base(base)}/{self.folder}/{quote(self.file)}"


def is_fetchable(text: str) -> bool:
    """Whether a text names something to fetch, rightly or wrongly: ``magenta:...`` or ``quickdraw:...``."""
    return text.partition(":")[0].strip().casefold() in SOURCES and ":" in text


def wanted(name: str) -> Wanted:
    """What a name stands for. Capitals are ignored, and spaces, underscores and hyphens between words count alike.

    Raises:
        ModelNotFoundError: it is no name of something to fetch.
    """
    if not isinstance(name, str) or not is_fetchable(name):
        raise ModelNotFoundError(
            f"{name!r:.80}: nothing to fetch; expected a name such as magenta:owl, magenta:owl.vae, quickdraw:cat or "
            "quickdraw:cat.ndjson"
        )
    before, _, rest = name.partition(":")
    word, dot, kind = rest.strip().casefold().partition(".")
    source = before.strip().casefold()
    kinds = SOURCES[source].kinds
    # Letters and digits only: nothing that a path or an address could give a meaning to.
    if (
        not re.fullmatch(r"[a-z0-9]+([ _-]+[a-z0-9]+)*", word)
        or len(word) > 60
        or kind not in kinds
        or (dot and not kind)
    ):
        raise ModelNotFoundError(
            f"{name!r:.80}: no name that can be fetched; expected {source}: and words of letters and digits, then "
            f"nothing or one of {', '.join(f'.{kind}' for kind in kinds if kind)}"
        )
    plain = re.sub(r"[ _-]+", " ", word)
    spelled = plain.replace(" ", "_") if source == "magenta" else _SPELLED.get(plain, plain)
    folder, ending = kinds[kind]
    return Wanted(name, source, f"{spelled}.{ending}", folder)


def near_names(asked: Wanted) -> str:
    """The end of a message about a name that the server does not have; empty where there is nothing to say."""
    if asked.source == "quickdraw":
        return "; the categories are listed in github.com/googlecreativelab/quickdraw-dataset, categories.txt"
    word = asked.file.partition(".")[0]
    if word in MAGENTA_NAMES:
        return ""
    near = difflib.get_close_matches(word, MAGENTA_NAMES, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(f'magenta:{name}' for name in near)}?" if near else ""


def is_official(url: str) -> bool:
    """Whether an address is Google's."""
    return url.startswith((f"{MAGENTA}/", f"{QUICKDRAW}/"))


def shown(url: str) -> str:
    """An address without the password that it may hold."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _checked_base(base: str) -> str:
    expected = "expected an address such as https://example.org/sketchRNN"
    try:
        parts = urlsplit(base)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as err:
        raise ControlError(f"base {base!r:.200}: {err}; {expected}") from err
    if not sound or parts.query or parts.fragment or not base.isprintable() or " " in base:
        raise ControlError(f"base {shown(base)!r:.200}: {expected}")
    return base.rstrip("/")
