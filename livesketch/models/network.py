"""The Sketch-RNN decoder in PyTorch, for training only; drawing runs on ``livesketch.backends``.

Architecture: Ha & Eck 2017, "A Neural Representation of Sketch Drawings", section 3; magenta/magenta
``sketch_rnn/model.py``. Here the decoder is conditioned on a learned label vector: it starts from
tanh(W label + b) and sees the vector beside every input, exactly where Sketch-RNN puts its latent.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ClassConditionalDecoder(nn.Module):
    """LSTM decoder with a mixture-density head.

    Args:
        labels: how many classes.
        hidden: LSTM units.
        mixtures: Gaussian components.
        label_size: length of the learned label vector; 0 with a single class.
        dropout: share of hidden values dropped before the head while training.
        weight_dropout: share of recurrent weights dropped while training, anew for each batch (DropConnect; Merity et
            al. 2017, "Regularizing and Optimizing LSTM Language Models"): it keeps the fast LSTM.
    """

    def __init__(
        self, labels: int, hidden: int, mixtures: int, label_size: int, dropout: float, weight_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden, self.mixtures, self.weight_dropout = hidden, mixtures, weight_dropout
        self.labels = nn.Parameter(torch.randn(labels, label_size))
        self.start = nn.Linear(label_size, 2 * hidden)
        self.lstm = nn.LSTM(5 + label_size, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 3 + 6 * mixtures)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.start.weight, std=0.05)
        with torch.no_grad():
            for block in torch.split(self.lstm.get_parameter("weight_hh_l0"), hidden):
                nn.init.orthogonal_(block)
            for name in ("bias_ih_l0", "bias_hh_l0"):
                self.lstm.get_parameter(name).zero_()
            self.lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = 1.0  # forget gate; PyTorch order i, f, g, o

    def forward(self, rows: Tensor, label: Tensor) -> Tensor:
        """Head outputs (batch, steps, 3 + 6 mixtures) for stroke-5 inputs (batch, steps, 5) in model units."""
        vector = self.labels[label]
        c, h = torch.tanh(self.start(vector)).chunk(2, dim=1)
        inputs = torch.cat([rows, vector[:, None].expand(-1, rows.shape[1], -1)], dim=2)
        w_x, w_h, b_x, b_h = self.lstm.parameters()
        dropped = functional.dropout(w_h, self.weight_dropout, self.training)
        state = [h[None].contiguous(), c[None].contiguous()]
        out = torch.lstm(inputs, state, [w_x, dropped, b_x, b_h], True, 1, 0.0, self.training, False, True)[0]
        head: Tensor = self.head(self.dropout(out))
        return head


def nats(head: Tensor, target: Tensor, mixtures: int) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of stroke-5 targets: (offset part, pen part), each (batch, steps), in nats.

    The offset part is the bivariate Gaussian mixture of Graves 2013, eq. 24-25, in log-sum-exp form.
    """
    pen, pi, mx, my, sx, sy, rho = torch.split(head.float(), [3] + 6 * [mixtures], dim=-1)
    pen_nats = -(target[..., 2:] * torch.log_softmax(pen, -1)).sum(-1)
    rho = torch.tanh(rho).clamp(-0.9999, 0.9999)
    one_minus = 1 - rho * rho
    zx = (target[..., 0:1] - mx) * torch.exp(-sx)
    zy = (target[..., 1:2] - my) * torch.exp(-sy)
    quad = (zx * zx + zy * zy - 2 * rho * zx * zy) / (2 * one_minus)
    log_normal = -quad - sx - sy - 0.5 * torch.log(one_minus) - math.log(2 * math.pi)
    return -torch.logsumexp(torch.log_softmax(pi, -1) + log_normal, -1), pen_nats
