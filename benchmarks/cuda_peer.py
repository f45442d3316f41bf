"""What most people would write for many voices on a GPU: eager PyTorch, one call after another."""

from typing import Any

import numpy as np

from .peers import DIVISOR, SPREAD, Weights


class Eager:
    """LSTMCell, a linear layer and torch.distributions for N voices, without gradients; float32."""

    def __init__(self, w: Weights, voices: int, device: Any) -> None:
        import torch

        self._torch, self._device, self._mixtures, self._max_steps = torch, device, w.mixtures, w.max_steps
        self._lstm = torch.nn.LSTMCell(5, w.units, device=device)
        self._linear = torch.nn.Linear(w.units, len(w.head_b), device=device)
        i, j, f, o = np.split(np.arange(4 * w.units), 4)
        order = np.concatenate([i, f, j, o])  # PyTorch's order of gates
        with torch.no_grad():
            self._lstm.weight_ih.copy_(torch.from_numpy(w.w[:5, order].T.copy()))
            self._lstm.weight_hh.copy_(torch.from_numpy(w.w[5:, order].T.copy()))
            self._lstm.bias_ih.copy_(torch.from_numpy(w.b[order]))
            self._lstm.bias_hh.zero_()
            self._linear.weight.copy_(torch.from_numpy(w.head_w.T.copy()))
            self._linear.bias.copy_(torch.from_numpy(w.head_b))
        first = [torch.from_numpy(values).to(device) for values in (w.hidden, w.cell, w.start)]
        self._first = [values.expand(voices, -1) for values in first]
        self._hidden, self._cell, self._given = (values.clone() for values in self._first)
        self._steps = torch.zeros(voices, device=device)

    def head(self, given: Any) -> Any:
        """One step from these inputs (N, 5); the head's outputs (N, 3 + 6M)."""
        self._hidden, self._cell = self._lstm(given, (self._hidden, self._cell))
        return self._linear(self._hidden)

    def run(self, steps: int) -> None:
        torch = self._torch
        with torch.no_grad():
            for _ in range(steps):
                self._step()
        self._given.cpu()

    def _step(self) -> None:
        torch, distributions = self._torch, self._torch.distributions
        pen, pi, mu_x, mu_y, log_x, log_y, raw = self.head(self._given).split([3] + 6 * [self._mixtures], 1)
        k = distributions.Categorical(logits=pi / DIVISOR).sample()[:, None]
        state = distributions.Categorical(logits=pen / DIVISOR).sample()
        mu_x, mu_y, log_x, log_y, raw = (values.gather(1, k)[:, 0] for values in (mu_x, mu_y, log_x, log_y, raw))
        sigma_x, sigma_y, rho = log_x.exp() * SPREAD, log_y.exp() * SPREAD, raw.tanh()
        rows = [torch.stack([sigma_x, torch.zeros_like(rho)], 1)]
        rows.append(torch.stack([rho * sigma_y, (1 - rho**2).sqrt() * sigma_y], 1))
        mean = torch.stack([mu_x, mu_y], 1)
        place = distributions.MultivariateNormal(mean, scale_tril=torch.stack(rows, 1), validate_args=False)
        given = torch.cat([place.sample(), torch.nn.functional.one_hot(state, 3).float()], 1)
        self._steps += 1
        over = ((state == 2) | (self._steps >= self._max_steps))[:, None]
        self._steps *= ~over[:, 0]
        hidden, cell, start = self._first
        self._hidden, self._cell = torch.where(over, hidden, self._hidden), torch.where(over, cell, self._cell)
        self._given = torch.where(over, start, given)
