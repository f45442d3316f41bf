"""What an lstm cell does at one step between its matrix products, compiled for the CPU: one pass over the numbers.

Ordinary operations go over them about twenty times. Arrays are float32, but for those that matrix products make or
take: these may be bfloat16 as well, given as its bits, uint16. The kernels widen a drawing's line to float32 in the
fastest cache. B drawings, H units, R numbers of a row. NaN comes through to the results, so that a training can see it.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import overload

_LOG: Final = logging.getLogger("livesketch")
_FMA: Final = {"contract"}
"""``fastmath``: a * b + c may become one fused operation; nothing may be reordered, and NaN stays NaN."""

_f = np.float32
_ZERO, _HALF, _ONE = _f(0), _f(0.5), _f(1)
_NAN: Final = np.uint32(0x7FC0)
"""The bits of bfloat16's NaN."""

# tanh(x) = x P(x^2) / Q(x^2) on |x| <= 7.998, off by 3.1e-7 of it at most; as in backends/kernels/common.py, which
# models may not import.
_LIMIT = _f(7.998)
_P0, _P1, _P2, _P3, _P4, _P5 = map(
    _f, (0.9999999812433896, 0.12979348936702514, 0.002985999009757274, 9.879976902165408e-06, -1.4708549207927652e-08,
         2.352117264406356e-11)
)  # fmt: skip
_Q1, _Q2, _Q3 = map(_f, (0.463126650546895, 0.024028479472930818, 0.0002372225734467569))


def _compiled(function: Callable[..., Any]) -> Any:
    try:
        return njit(cache=True, fastmath=_FMA, error_model="numpy")(function)
    except RuntimeError as err:
        _LOG.warning("%s; set NUMBA_CACHE_DIR to a folder that can be written to start faster", err)
        return njit(fastmath=_FMA, error_model="numpy")(function)


@_compiled
def _tanh(x: Any) -> Any:
    x = _LIMIT if x > _LIMIT else x  # noqa: FURB136 - written so that NaN stays
    x = -_LIMIT if x < -_LIMIT else x  # noqa: FURB136 - likewise
    s = x * x
    p = ((((_P5 * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    q = ((_Q3 * s + _Q2) * s + _Q1) * s + _ONE
    return x * p / q


@_compiled
def _sigmoid(x: Any) -> Any:
    return _HALF * _tanh(_HALF * x) + _HALF


@_compiled
def _gather(line: Any, once: Any, row: Any, w_x: Any) -> None:
    """Adds to a drawing's gates (4H,) what its input row gives: three numbers that are not 0 in one pass.

    Pen states are one-hot, so that there are seldom more.
    """
    first = second = third = count = 0
    for k in range(row.shape[0]):
        if row[k] != 0:
            first, second, third = (k, 0, 0) if count == 0 else (first, k, 0) if count == 1 else (first, second, k)
            count += 1
            if count == 3:
                break
    x = row[first] if count > 0 else _ZERO
    y = row[second] if count > 1 else _ZERO
    z = row[third] if count > 2 else _ZERO
    one, two, three = w_x[first], w_x[second], w_x[third]
    for n in range(line.shape[0]):
        line[n] += once[n] + x * one[n] + y * two[n] + z * three[n]
    for k in range(third + 1, row.shape[0] if count > 2 else 0):
        value = row[k]
        if value != 0:
            weights = w_x[k]
            for n in range(line.shape[0]):
                line[n] += value * weights[n]


@_compiled
def _open(line: Any) -> None:
    """Sigmoid and tanh of a drawing's gates (4H,).

    A loop for each slice: one loop over all four was not made into wide instructions and took four times as long.
    """
    units = line.shape[0] // 4
    i, j, f, o = line[:units], line[units : 2 * units], line[2 * units : 3 * units], line[3 * units :]
    for n in range(units):
        i[n] = _sigmoid(i[n])
    for n in range(units):
        j[n] = _tanh(j[n])
    for n in range(units):
        f[n] = _sigmoid(f[n])
    for n in range(units):
        o[n] = _sigmoid(o[n])


def _widen(given: Any, line: Any) -> None:
    """Line (n,) float32 gets what is given, float32 or the bits of bfloat16."""
    raise NotImplementedError  # compiled only, for each type of its own


@overload(_widen)
def _widen_of(given: Any, line: Any) -> Any:  # noqa: ARG001 - the types
    if given.dtype != types.uint16:
        return _widen_same

    def widen(given: Any, line: Any) -> None:
        bits = line.view(np.uint32)
        for n in range(line.shape[0]):
            bits[n] = np.uint32(given[n]) << np.uint32(16)

    return widen


def _widen_same(given: Any, line: Any) -> None:
    for n in range(line.shape[0]):
        line[n] = given[n]


def _narrow(line: Any, given: Any) -> None:
    """The way back: ``given`` gets line (n,), rounded to the nearest, of two to the even one."""
    raise NotImplementedError  # likewise


@overload(_narrow)
def _narrow_of(line: Any, given: Any) -> Any:  # noqa: ARG001 - the types
    if given.dtype != types.uint16:
        return _narrow_same

    def narrow(line: Any, given: Any) -> None:
        bits = line.view(np.uint32)
        for n in range(line.shape[0]):
            b = bits[n]
            even = (b + np.uint32(0x7FFF) + ((b >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            is_nan = (b & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
            given[n] = np.uint16(_NAN if is_nan else even)

    return narrow


def _narrow_same(line: Any, given: Any) -> None:
    for n in range(line.shape[0]):
        given[n] = line[n]


@_compiled
def forward(
    gates: Any, hidden: Any, rows: Any, w_x: Any, once: Any, mask: Any, before: Any, after: Any, line: Any, h: Any
) -> None:
    """One step of the cell.

    Args:
        gates: (B, 4H) h @ w_h; becomes sigmoid(i), tanh(j), sigmoid(f), sigmoid(o).
        hidden: (B, H) gets the new h.
        rows: (B, R) this step's input.
        w_x: (R, 4H).
        once: (B, 4H) what is added at every step: biases, and the part of the vector beside the rows.
        mask: (B, H) what tanh(j) is multiplied with; (0, 0) for nothing.
        before: (B, H) c.
        after: (B, H) gets the new c.
        line: (4H,) to compute in.
        h: (H,) likewise.
    """
    batch, units = before.shape
    i, j, f, o = line[:units], line[units : 2 * units], line[2 * units : 3 * units], line[3 * units :]
    for b in range(batch):
        c, c_new = before[b], after[b]
        _widen(gates[b], line)
        _gather(line, once[b], rows[b], w_x)
        _open(line)
        for n in range(units):
            c_new[n] = i[n] * j[n]
        if mask.shape[0] > 0:
            part = mask[b]
            for n in range(units):
                c_new[n] *= part[n]
        for n in range(units):
            c_new[n] += f[n] * c[n]
        for n in range(units):
            h[n] = o[n] * _tanh(c_new[n])
        _narrow(h, hidden[b])
        _narrow(line, gates[b])


@_compiled
def backward(
    gates: Any, mask: Any, before: Any, after: Any, d_out: Any, d_low: Any, d_c: Any, d_gates: Any, d_once: Any,
    line: Any, d_line: Any, given: Any, out: Any,
) -> None:  # fmt: skip
    """The gradients of one step.

    Args:
        gates: (B, 4H) as ``forward`` left them.
        mask: as there.
        before: (B, H) c before the step.
        after: (B, H) c after it.
        d_out: (B, H) gradient of h as an output.
        d_low: (B, H) gradient of h as an input of the next step.
        d_c: (B, H) gradient of c after the step; becomes that of c before it.
        d_gates: (B, 4H) gets the gradient of the gates before sigmoid and tanh.
        d_once: (B, 4H) the same is added to it.
        line: (4H,) to compute in.
        d_line: (4H,) likewise.
        given: (H,) likewise.
        out: (H,) likewise.
    """
    batch, units = before.shape
    i, j, f, o = line[:units], line[units : 2 * units], line[2 * units : 3 * units], line[3 * units :]
    d_i, d_j, d_f = d_line[:units], d_line[units : 2 * units], d_line[2 * units : 3 * units]
    d_o = d_line[3 * units :]
    for b in range(batch):
        total, c, c_new, d = d_once[b], before[b], after[b], d_c[b]
        _widen(gates[b], line)
        _widen(d_low[b], given)
        _widen(d_out[b], out)
        for n in range(units):
            both = given[n] + out[n]
            bent = _tanh(c_new[n])
            d_o[n] = both * bent * o[n] * (_ONE - o[n])
            d[n] += both * o[n] * (_ONE - bent * bent)
        for n in range(units):
            d_f[n] = d[n] * c[n] * f[n] * (_ONE - f[n])
        for n in range(units):
            given[n] = d[n]
        if mask.shape[0] > 0:
            part = mask[b]
            for n in range(units):
                given[n] *= part[n]
        for n in range(units):
            d_i[n] = given[n] * j[n] * i[n] * (_ONE - i[n])
            d_j[n] = given[n] * i[n] * (_ONE - j[n] * j[n])
        for n in range(units):
            d[n] *= f[n]
        for n in range(4 * units):
            total[n] += d_line[n]
        _narrow(d_line, d_gates[b])
