"""Sketch-RNN in PyTorch, for training only; drawing runs on ``livesketch.backends``.

Architecture: Ha & Eck 2017, "A Neural Representation of Sketch Drawings", section 3; magenta/magenta
``sketch_rnn/model.py`` and ``rnn.py``. A class-conditional model has a learned vector of its label beside the latent
vector z; what magenta does with z (start state, input of every step) is done with both.

How the weights begin, with magenta's own words:

* ``w_x``: ``w_init = None  # uniform``, TensorFlow's default for ``tf.get_variable``: uniform within
  ±sqrt(6 / (rows + columns)) (Glorot & Bengio 2010), over all four gates at once.
* ``w_h``: ``lstm_ortho_initializer(1.0)``: each gate's square an orthogonal matrix. ``b``: 0.
* norms: ``gamma_start=1.0``, beta 0.
* hyper: zw ``weight_start=0.00``, ``bias_start=1.0``; alpha ``init_gamma / embedding_size`` with ``init_gamma = 0.10``,
  so that every scale begins at 0.1; zb ``init_w='gaussian', weight_start=0.01``; beta ``weight_start=0.00``.
* mu, sigma and start: ``init_w='gaussian', weight_start=0.001``, bias 0.
* head: ``output_w`` and ``output_b`` name no initialiser, so both are Glorot-uniform; for the bias, of one dimension n,
  TensorFlow counts n rows and n columns: within ±sqrt(3 / n).
* ``label.w``, which magenta has not: standard normal, as ``torch.nn.Embedding``.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ControlError
from .cells import CELLS, CellSizes, Shape, model_shapes
from .recurrence import Inputs, run_plain, times
from .recurrence_fast import run_fast
from .weights import NamedWeights, orthogonal_gates


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What a network is made of; the defaults are magenta's (``model.py`` get_default_hparams).

    Raises:
        ControlError: a size or a share outside its range, or an unknown cell.
    """

    hidden: int = 512
    """Units of the decoder."""
    cell: str = "lstm"
    z_size: int = 128
    """Length of the latent vector; 0: a decoder alone, which begins with zeros where it has no label either."""
    encoder_hidden: int = 256
    """Units of each of the two encoders."""
    encoder_cell: str = "lstm"
    labels: int = 0
    """How many; 0 for a model without labels."""
    label_size: int = 0
    """Length of a label's vector."""
    mixtures: int = 20
    """Gaussian components."""
    hyper_units: int = 256
    embedding: int = 32
    """Between the hyper cell and the scales of one gate."""
    recurrent_dropout: float = 0.1
    """Share dropped of tanh(j), in decoder and encoder, at each step anew; never in a hyper cell's inner cell."""
    input_dropout: float = 0.0
    """Share dropped of the decoder's inputs, the latent and label vectors beside each row included."""
    output_dropout: float = 0.0
    """Share dropped of h on its way to the head."""
    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        for name in ("hidden", "encoder_hidden", "mixtures", "hyper_units", "embedding"):
            self._at_least(name, 1)
        for name in ("z_size", "labels", "label_size"):
            self._at_least(name, 0)
        for name in ("cell", "encoder_cell"):
            if getattr(self, name) not in CELLS:
                raise ControlError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(CELLS)}")
        for name in ("recurrent_dropout", "input_dropout", "output_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ControlError(f"{name} {getattr(self, name)!r}: expected a share from 0 to below 1")
        if (self.labels > 0) != (self.label_size > 0):
            raise ControlError(
                f"labels {self.labels} with label_size {self.label_size}: both are above 0 in a model with labels, and "
                "both 0 in one without"
            )

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ControlError(f"{name} {value!r}: expected a whole number, {least} or more")

    @property
    def decoder_sizes(self) -> CellSizes:
        """The decoder's cell."""
        return self._sizes(self.cell, self.hidden)

    @property
    def encoder_sizes(self) -> CellSizes:
        """The cell of each encoder."""
        return self._sizes(self.encoder_cell, self.encoder_hidden)

    def _sizes(self, cell: str, units: int) -> CellSizes:
        return CellSizes(cell, units, *((self.hyper_units, self.embedding) if cell == "hyper" else (0, 0)))

    def shapes(self) -> dict[str, Shape]:
        """The tensors by checkpoint name."""
        return model_shapes(
            self.decoder_sizes, self.encoder_sizes if self.z_size else None,
            mixtures=self.mixtures, z_size=self.z_size, labels=self.labels, label_size=self.label_size,
        )  # fmt: skip


class SketchRNN(NamedWeights):
    """Encoder and decoder; all sequences are time-major.

    Parameters have the layout of checkpoints: row vectors x @ W, gates i, j, f, o, no forget bias.

    Args:
        spec: sizes and dropout. Dropout acts in training mode only.
        fast: compute in the fastest way known for the cell and the device; False computes in ordinary operations.
    """

    def __init__(self, spec: NetworkSpec, *, fast: bool = True) -> None:
        super().__init__(spec.shapes(), str(spec))
        self.spec, self.fast = spec, fast

    def begin(self, name: str, value: Tensor) -> None:
        """See the module's docstring."""
        _begin(name, value)

    def encode(self, rows: Tensor, lengths: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """The posterior's mu and sigma_hat, each (B, z_size) float32; sigma is exp(sigma_hat / 2).

        Args:
            rows: (T, B, 5) stroke-5 in model units, without the start token; rows behind a drawing do not count.
            lengths: (B,) rows of each drawing, 0 … T.
            dtype: of matrix products; bfloat16 for mixed precision.
        """
        place = torch.arange(len(rows), device=rows.device)[:, None]
        turned = torch.where(place < lengths, lengths - 1 - place, place)
        back = rows.gather(0, turned[..., None].expand(-1, -1, rows.shape[2]))
        last = (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, self.spec.encoder_hidden)
        ends = []
        for way, given in (("forward", rows), ("backward", back)):
            out = self._run(f"encoder.{way}", self.spec.encoder_sizes, Inputs(given, None, dtype), None)
            ends.append(out.gather(0, last)[0].float() * (lengths > 0)[:, None])
        both, w = torch.cat(ends, 1), self.tensors()
        return both @ w["mu.w"] + w["mu.b"], both @ w["sigma.w"] + w["sigma.b"]

    def condition(self, z: Tensor | None, label: Tensor | None) -> Tensor | None:
        """[z, label vector], (B, C); None for a network that has neither.

        Args:
            z: (B, z_size); None where the network has none.
            label: (B,) numbers of labels; None likewise.
        """
        assert (z is not None) == bool(self.spec.z_size)
        assert (label is not None) == bool(self.spec.labels)
        parts = [] if z is None else [z]
        if label is not None:
            parts.append(self.tensors()["label.w"][label])
        return torch.cat(parts, 1) if parts else None

    def decode(self, inputs: Tensor, condition: Tensor | None, dtype: torch.dtype = torch.float32) -> Tensor:
        """The head's outputs, (T, B, 3 + 6 mixtures) float32, for each row given all before it.

        Args:
            inputs: (T, B, 5) stroke-5 in model units, the start token first.
            condition: (B, C) from ``condition``.
            dtype: of matrix products; bfloat16 for mixed precision.
        """
        spec, w = self.spec, self.tensors()
        state = None if condition is None else torch.tanh(condition @ w["start.w"] + w["start.b"])
        given = Inputs(inputs, condition, dtype)
        if spec.input_dropout and self.training:
            given = Inputs(functional.dropout(given.joined(), spec.input_dropout), None, dtype)
        out = self._run("decoder", spec.decoder_sizes, given, state)
        out = functional.dropout(out, spec.output_dropout, self.training)
        return times(out, w["head.w"], dtype).float() + w["head.b"]

    def _run(self, prefix: str, sizes: CellSizes, inputs: Inputs, state: Tensor | None) -> Tensor:
        """A cell over a sequence: (T, B, units)."""
        steps, batch = inputs.rows.shape[:2]
        if state is None:
            state = inputs.rows.new_zeros(batch, 2 * sizes.state)
        mask = None
        if self.training and self.spec.recurrent_dropout:
            mask = _mask((steps, batch, sizes.units), self.spec.recurrent_dropout, inputs.rows.device)
        w = {name[len(prefix) + 1 :]: value for name, value in self.tensors().items() if name.startswith(prefix + ".")}
        run = run_fast if self.fast else run_plain
        return run(sizes.cell, w, inputs, state, mask, self.spec.forget_bias)


def _mask(shape: tuple[int, int, int], dropped: float, device: torch.device) -> Tensor:
    """0 for a share of numbers, 1 / (1 - share) for the others; the share is rounded to a multiple of 2^-16.

    Four decisions of 16 bits out of each random word, which takes a fifth of the time of ``bernoulli_``.
    """
    count = math.prod(shape)
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device=device).random_(-(2**63), None)
    bits = words.view(torch.int16)[:count].view(shape)
    least = round(dropped * 65536)
    return (bits >= least - 32768) * (65536 / (65536 - least))


_GAMMA: Final = 0.1
"""Where the scales of a hyper cell begin."""


def _begin(name: str, value: Tensor) -> None:
    """Fills one tensor, by its checkpoint name."""
    part, _, own = name.rpartition(".")
    if own == "w_h":
        orthogonal_gates(value)
    elif own == "w_x" or name == "head.w":
        nn.init.xavier_uniform_(value)
    elif name == "head.b":
        nn.init.uniform_(value, -math.sqrt(3 / len(value)), math.sqrt(3 / len(value)))
    elif name == "label.w":
        nn.init.normal_(value)
    elif name in {"mu.w", "sigma.w", "start.w"}:
        nn.init.normal_(value, std=0.001)
    elif own in {"gamma", "c_gamma", "z_b"}:
        nn.init.ones_(value)
    elif part.endswith("shift") and own == "z":
        nn.init.normal_(value, std=0.01)
    elif part.endswith(("scale_x", "scale_h")) and own == "w":
        nn.init.constant_(value, _GAMMA / value.shape[1])
    else:
        nn.init.zeros_(value)
