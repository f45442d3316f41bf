"""A straightforward PyTorch port of Sketch-RNN, as most public ones are: an LSTMCell loop, z beside each input.

nn.LSTM encoder packed by length, LSTMCell decoder, torch's own mixture and cross-entropy, Adam, clipping by value.
"""

import math

import torch
from torch import Tensor, nn


class PlainSketchRNN(nn.Module):
    """magenta's default sizes unless told otherwise."""

    def __init__(self, hidden: int = 512, encoder: int = 256, z_size: int = 128, mixtures: int = 20) -> None:
        super().__init__()
        self.mixtures, self.dropout = mixtures, 0.1
        self.encoder = nn.LSTM(5, encoder, bidirectional=True)
        self.mu, self.sigma = nn.Linear(2 * encoder, z_size), nn.Linear(2 * encoder, z_size)
        self.start = nn.Linear(z_size, 2 * hidden)
        self.cell = nn.LSTMCell(5 + z_size, hidden)
        self.head = nn.Linear(hidden, 3 + 6 * mixtures)

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """rows (T + 1, B, 5), start token first: head outputs (T, B, 3 + 6M), mu, sigma_hat."""
        packed = nn.utils.rnn.pack_padded_sequence(rows[1:], lengths, enforce_sorted=False)
        last = self.encoder(packed)[1][0]
        both = torch.cat([last[0], last[1]], 1)
        mu, sigma_hat = self.mu(both), self.sigma(both)
        z = mu + torch.exp(sigma_hat / 2) * torch.randn_like(mu)
        c, h = torch.tanh(self.start(z)).chunk(2, 1)
        out = []
        for given in rows[:-1].unbind(0):
            h, c = self.cell(torch.cat([given, z], 1), (h, c))
            out.append(h)
        return self.head(torch.stack(out)), mu, sigma_hat

    def loss(self, rows: Tensor, lengths: Tensor, kl_weight: float) -> Tensor:
        """L_R unmasked + kl_weight * max(KL, 0.2)."""
        head, mu, sigma_hat = self(rows, lengths)
        target, m = rows[1:], self.mixtures
        pen, pi, mx, my, sx, sy, rho = head.split([3] + 6 * [m], -1)
        sx, sy, rho = sx.exp(), sy.exp(), torch.tanh(rho)
        zx, zy = (target[..., :1] - mx) / sx, (target[..., 1:2] - my) / sy
        free = 1 - rho**2
        quadratic = zx**2 + zy**2 - 2 * rho * zx * zy
        density = torch.exp(-quadratic / (2 * free)) / (2 * math.pi * sx * sy * torch.sqrt(free))
        offset = -torch.log((torch.softmax(pi, -1) * density).sum(-1) + 1e-6) * (1 - target[..., 4])
        states = -(target[..., 2:] * torch.log_softmax(pen, -1)).sum(-1)
        divergence = -0.5 * (1 + sigma_hat - mu**2 - sigma_hat.exp()).mean()
        return (offset + states).mean() + kl_weight * divergence.clamp(min=0.2)
