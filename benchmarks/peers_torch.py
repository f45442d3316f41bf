"""The same step in PyTorch: as most people write it, compiled, and tuned by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .peers import DIVISOR, SPREAD, Array, NumpySampler, Weights


def in_order(w: Weights) -> tuple[Any, Any]:
    """An LSTMCell, whose gates are in the order i, f, j, o, and a linear layer with these weights."""
    import torch

    lstm, linear = torch.nn.LSTMCell(5, w.units), torch.nn.Linear(w.units, len(w.head_b))
    i, j, f, o = np.split(np.arange(4 * w.units), 4)
    order = np.concatenate([i, f, j, o])
    with torch.no_grad():
        lstm.weight_ih.copy_(torch.from_numpy(w.w[:5, order].T.copy()))
        lstm.weight_hh.copy_(torch.from_numpy(w.w[5:, order].T.copy()))
        lstm.bias_ih.copy_(torch.from_numpy(w.b[order]))
        lstm.bias_hh.zero_()
        linear.weight.copy_(torch.from_numpy(w.head_w.T.copy()))
        linear.bias.copy_(torch.from_numpy(w.head_b))
    return lstm, linear


class TorchEngine:
    """The port most people write: LSTMCell, a linear layer and torch.distributions, without gradients."""

    def __init__(self, w: Weights) -> None:
        import torch

        torch.set_num_threads(1)
        self._torch, self._weights = torch, w
        self._lstm, self._linear = in_order(w)
        self.begin()

    def begin(self) -> None:
        torch, w = self._torch, self._weights
        self._state = torch.from_numpy(w.hidden.copy())[None], torch.from_numpy(w.cell.copy())[None]
        self._given, self._steps = torch.from_numpy(w.start.copy())[None], 0

    def head(self, given: Array) -> Array:
        self._given = self._torch.from_numpy(given.copy())[None]
        with self._torch.no_grad():
            values: Array = self._update()[0].numpy()
        return values

    def _update(self) -> Any:
        self._state = self._lstm(self._given, self._state)
        return self._linear(self._state[0])

    def run(self, steps: int) -> None:
        with self._torch.no_grad():
            for _ in range(steps):
                self._step()

    def _step(self) -> None:
        torch = self._torch
        pen, pi, mu_x, mu_y, log_x, log_y, raw = self._update()[0].split([3] + 6 * [self._weights.mixtures])
        k = torch.distributions.Categorical(logits=pi / DIVISOR).sample()
        state = torch.distributions.Categorical(logits=pen / DIVISOR).sample()
        sigma_x, sigma_y, rho = log_x[k].exp() * SPREAD, log_y[k].exp() * SPREAD, raw[k].tanh()
        nought = torch.zeros(())
        rows = [torch.stack([sigma_x, nought]), torch.stack([rho * sigma_y, (1 - rho**2).sqrt() * sigma_y])]
        place = torch.distributions.MultivariateNormal(torch.stack([mu_x[k], mu_y[k]]), scale_tril=torch.stack(rows))
        self._given = torch.cat([place.sample(), torch.nn.functional.one_hot(state, 3).float()])[None]
        self._steps += 1
        if state.item() == 2 or self._steps >= self._weights.max_steps:
            self.begin()


class TunedEngine:
    """Inference mode, one addmm into a buffer, activations in place, the head's outputs read as NumPy's and sampled."""

    def __init__(self, w: Weights) -> None:
        import torch

        torch.set_num_threads(1)
        self._torch, self._weights, self._sampler = torch, w, NumpySampler(w)
        units = w.units
        i, j, f, o = np.split(np.arange(4 * units), 4)
        order = np.concatenate([i, f, o, j])  # the three sigmoids are neighbours
        with torch.inference_mode():
            self._w, self._b = torch.from_numpy(w.w[:, order].copy()), torch.from_numpy(w.b[order].copy())[None]
            self._head_w, self._head_b = torch.from_numpy(w.head_w.copy()), torch.from_numpy(w.head_b.copy())[None]
            self._both, self._cell = torch.zeros(1, 5 + units), torch.zeros(1, units)
            self._gates, self._out = torch.empty(1, 4 * units), torch.empty(1, len(w.head_b))
            self._hidden, self._new = self._both[:, 5:], torch.empty(1, units)
            self._sigmoids, self._tanh = self._gates[:, : 3 * units], self._gates[:, 3 * units :]
            self._i, self._f, self._o = self._sigmoids.chunk(3, 1)
        self._given, self._head = self._both.numpy()[0, :5], self._out.numpy()[0]
        self.begin()

    def begin(self) -> None:
        self._both.numpy()[0, 5:], self._cell.numpy()[0] = self._weights.hidden, self._weights.cell
        self._sampler.begin(self._given)

    def head(self, given: Array) -> Array:
        self._given[:] = given
        with self._torch.inference_mode():
            self._update()
        return self._head

    def _update(self) -> None:
        torch = self._torch
        torch.addmm(self._b, self._both, self._w, out=self._gates)
        self._sigmoids.sigmoid_()
        self._tanh.tanh_()
        self._cell.mul_(self._f).addcmul_(self._i, self._tanh)
        torch.tanh(self._cell, out=self._new)
        torch.mul(self._o, self._new, out=self._hidden)
        torch.addmm(self._head_b, self._hidden, self._head_w, out=self._out)

    def run(self, steps: int) -> None:
        with self._torch.inference_mode():
            for _ in range(steps):
                self._update()
                if self._sampler.next_input(self._head, self._given):
                    self.begin()


class BatchEngine:
    """N voices: LSTMCell, a linear layer and torch.distributions; or the same with sampling written out, compiled.

    ``steps`` are of all voices. A voice whose drawing is over begins the next one first.
    """

    def __init__(self, w: Weights, voices: int, threads: int, *, compiled: bool = False) -> None:
        import torch

        self._torch, self._threads = torch, threads
        torch.set_num_threads(threads)  # inductor writes the number into its code
        module = port(w, written_out if compiled else by_distributions)
        begun = [module.start, module.hidden, module.cell]
        self._begun = [*(value.expand(voices, -1).clone() for value in begun), torch.zeros(voices, 1)]
        self.begin()
        self._step: Any = module
        if compiled:
            import torch._dynamo.config as dynamo
            import torch._inductor.config as inductor

            dynamo.recompile_limit, dynamo.fail_on_recompile_limit_hit = 64, True  # else it goes on uncompiled
            inductor.freezing = True  # weights become constants, laid out for the product
            inductor.cpp_wrapper = True  # no Python between its kernels
            self._step = torch.compile(module, dynamic=False, fullgraph=True)
        self.run(1)
        torch.set_num_threads(1)

    def head(self, given: Array) -> Array:
        """Every voice from this input (5,); the outputs of the last."""
        self._state[0] = self._torch.from_numpy(given.copy()).expand_as(self._state[0]).contiguous()
        values: Array = self._stepped(1)[-1].numpy()
        return values

    def begin(self) -> None:
        """Every voice at the beginning of a drawing."""
        self._state = [value.clone() for value in self._begun]

    def run(self, steps: int) -> None:
        self._stepped(steps)

    def _stepped(self, steps: int) -> Any:
        """Outputs of the last of so many steps; with the number of threads that it was compiled for."""
        torch, step, state, y = self._torch, self._step, self._state, None
        torch.set_num_threads(self._threads)
        with torch.no_grad():
            for _ in range(steps):
                y, *state = step(*state)
        self._state = state
        torch.set_num_threads(1)
        return y


def port(w: Weights, sampled: Callable[[Any, int], Any]) -> Any:
    """A module: input (N, 5), h and c (N, H), steps of the drawing (N, 1) to outputs (N, 3 + 6M) and the same again."""
    import torch

    class Port(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.linear = in_order(w)
            for name in ("hidden", "cell", "start"):
                self.register_buffer(name, torch.from_numpy(getattr(w, name).copy())[None])

        def forward(self, given: Any, hidden: Any, cell: Any, count: Any) -> Any:
            over = (given[:, 4:] > 0) | (count >= w.max_steps)
            given = torch.where(over, self.start, given)
            hidden, cell = torch.where(over, self.hidden, hidden), torch.where(over, self.cell, cell)
            hidden, cell = self.lstm(given, (hidden, cell))
            y = self.linear(hidden)
            return y, sampled(y, w.mixtures), hidden, cell, torch.where(over, 1.0, count + 1)

    return Port().eval().requires_grad_(requires_grad=False)


def by_distributions(y: Any, mixtures: int) -> Any:
    """The next inputs (N, 5)."""
    import torch

    pen, pi, *rest = y.split([3] + 6 * [mixtures], 1)
    k = torch.distributions.Categorical(logits=pi / DIVISOR).sample()[:, None]
    state = torch.distributions.Categorical(logits=pen / DIVISOR).sample()
    mu_x, mu_y, log_x, log_y, raw = (value.gather(1, k)[:, 0] for value in rest)
    sigma_x, sigma_y, rho = log_x.exp() * SPREAD, log_y.exp() * SPREAD, raw.tanh()
    rows = [torch.stack([sigma_x, torch.zeros_like(rho)], 1)]
    rows.append(torch.stack([rho * sigma_y, (1 - rho**2).sqrt() * sigma_y], 1))
    mean, root = torch.stack([mu_x, mu_y], 1), torch.stack(rows, 1)
    place = torch.distributions.MultivariateNormal(mean, scale_tril=root, validate_args=False).sample()
    return torch.cat([place, torch.nn.functional.one_hot(state, 3).float()], 1)


def written_out(y: Any, mixtures: int) -> Any:
    """``by_distributions`` in operations that a compiler joins; what is chosen has the largest logit plus noise."""
    import torch

    pen, pi, *rest = y.split([3] + 6 * [mixtures], 1)
    k = chosen(pi)
    mu_x, mu_y, log_x, log_y, raw = (value.gather(1, k) for value in rest)
    rho, z = raw.tanh(), torch.randn_like(pen)
    x = mu_x + log_x.exp() * SPREAD * z[:, :1]
    y_place = mu_y + log_y.exp() * SPREAD * (rho * z[:, :1] + (1 - rho * rho).sqrt() * z[:, 1:2])
    state = chosen(pen)
    return torch.cat([x, y_place, *((state == k).float() for k in range(3))], 1)


def chosen(logits: Any) -> Any:
    """One of each row by its probability, (N, 1): Gumbel noise."""
    import torch

    noise = -torch.log(-torch.log(torch.rand_like(logits).clamp(1e-20, 1 - 1e-7)))
    return (logits / DIVISOR + noise).argmax(1, keepdim=True)
