"""What a performer changes while a stream runs, as one frozen value that a step reads once."""

from dataclasses import dataclass, field

from .sampling import Convention, Heat, heat


@dataclass(frozen=True, slots=True)
class Controls:
    """Settings of one step; a bad value raises ControlError here, before anything has changed."""

    temperature: float = 0.65
    """0 (greedy) and up; 0.2 is tame, 1 samples what was learned, 1.2 is wild."""
    convention: Convention = "js"
    """How temperature acts: see ``livesketch.sampling.heat``."""
    heat: Heat = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heat", heat(self.temperature, self.convention))
        object.__setattr__(self, "temperature", float(self.temperature))
