"""Text models on the reference backend: float64 NumPy, one voice after another. It is the definition of a step.

Models: ``text_math``. Sampling: ``livesketch.token_sampling``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import sampling, token_sampling
from ..models.checkpoint import TextCheckpoint
from ..models.text_model import END
from ..token_sampling import TextSettings
from .protocol import TOKEN, Steer
from .text_batch import TextNumpyBatch, check_architecture
from .text_math import text_math


class TextReferenceBatch(TextNumpyBatch):
    """``TextBatch`` in float64."""

    backend = "reference"

    def __init__(self, checkpoint: TextCheckpoint, size: int) -> None:
        check_architecture(checkpoint)
        self._model = text_math(checkpoint)
        self.state, self.rings = self._model.state(size), self._model.rings
        self._labels = np.zeros((size, checkpoint.label_size))
        super().__init__(checkpoint, size)
        self._logits = np.zeros((size, self.tokens))

    def label(self, k: int, vector: NDArray[np.float64]) -> None:
        """``TextNumpyBatch.label``."""
        self._labels[k] = vector

    def step(
        self,
        *,
        uniforms: NDArray[np.float64] | None = None,
        steer: Steer | None = None,
        density: NDArray[Any] | None = None,
        tokens: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """``TextBatch.step``."""
        given = [-1] * self.size if tokens is None else self.checked_step(tokens).tolist()
        with self.whole():
            for k in range(self.size):
                self.look(k)
            if steer is not None:
                steer(self._logits)
            if density is not None:
                density[:] = self._logits
            for k in range(self.size):
                if given[k] >= 0:
                    self.actions[k] = self._given(k, given[k])
                else:
                    self._act(k, self._uniform(k) if uniforms is None else float(uniforms[k]))
            self.count += 1
        return self.actions

    def force(
        self, k: int, tokens: NDArray[np.int64], density: NDArray[Any] | None = None, *, end: bool = False
    ) -> NDArray[Any]:
        """``TextBatch.force``."""
        given = self.checked(tokens)
        out = np.zeros(len(given), TOKEN)
        voice = slice(k, k + 1)
        for i, token in enumerate(given):
            with self.whole(voice):
                self.look(k)
                if density is not None:
                    density[i] = self._logits[k]
                out[i] = self._given(k, token)
        if end and density is not None:
            with self.whole(voice):
                before = self.kept(voice)
                self.look(k)
                density[len(given)] = self._logits[k]
                self.put_back(voice, before)
        return out

    def look(self, k: int) -> None:
        """The model takes the last token and gives the logits. A finished piece gives way first."""
        writer = self.writers[k]
        if writer["done"]:
            writer["piece"] += 1
            self.restart(k)
        state = tuple(values[k] for values in self.state)
        self._logits[k] = self._model.step(state, int(writer["token"]), int(writer["step"]), self._labels[k])

    def _uniform(self, k: int) -> float:
        writer = self.writers[k]
        seed = int(writer["key_low"]) | int(writer["key_high"]) << 32
        return float(sampling.uniforms(seed, writer["step"], writer["voice"], writer["piece"])[0])

    def _settings(self, k: int) -> TextSettings:
        divisor, top_k, top_p, min_p, unknown, *_ = self.settings[k].item()
        return TextSettings(divisor, top_k, top_p, min_p, unknown)

    def _act(self, k: int, u: float) -> None:
        bias = self.bias[k] if self.settings[k]["biased"] else None
        soft = self.soft[k] if self.settings[k]["soft"] else None
        drawn_from, softened = token_sampling.held(self._logits[k], bias, soft, self._settings(k))
        token = token_sampling.choose(drawn_from, u)
        said = float(drawn_from.log_probs[token]), drawn_from.entropy, drawn_from.mass
        self.actions[k] = (*self._take(k, token, *said), softened, False)

    def _given(self, k: int, token: int) -> tuple[Any, ...]:
        """Voice k takes a token that was not drawn, under its settings without its bias; the record's fields."""
        drawn_from = token_sampling.distribution(self._logits[k], None, self._settings(k))
        place = self._take(k, token, float(drawn_from.log_probs[token]), drawn_from.entropy, 1.0)
        return (*place, False, True)

    def _take(self, k: int, token: int, log_prob: float, entropy: float, mass: float) -> tuple[Any, ...]:
        """Voice k takes this token, which becomes its next input; returns the TOKEN record's fields."""
        writer, ended = self.writers[k], token == END
        last = ended or writer["step"] + 1 >= self.max_steps
        place = int(writer["piece"]), int(writer["step"])
        writer["token"], writer["done"] = token, last
        writer["step"] += 1
        return (*place, token, log_prob, entropy, mass, last, ended)
