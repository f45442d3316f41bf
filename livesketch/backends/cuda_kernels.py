"""Kernels of the cuda backend in Triton; ``cuda_fused`` starts them. They also run under Triton's interpreter.

For a few voices a step is two of them: ``lstm_few`` has a program for each group of units and each voice, so that
the weights are read by as many multiprocessors as there are; ``head_few`` has a program for each voice, from the head
to the action. For many voices ``lstm_many`` is a matrix product whose gates never leave the registers, and
``act_many`` samples. A sum's order does not depend on the number of voices in any of them.

Columns of a voice's counters OWN are as in ``cuda_sampling``. Numbers of float64 are read from memory, never passed as
arguments, which Triton takes as float32.
"""

import triton
import triton.language as tl

_OWN = tl.constexpr(8)
_DONE = tl.constexpr(256)
_FIELDS = tl.constexpr(7)
_LIMIT = tl.constexpr(1e30)
_SIGMA = tl.constexpr(60.0)


@triton.jit
def _tanh(x):
    """``kernels.common.tanh``: off by 3.1e-7 of it at most."""
    x = tl.minimum(tl.maximum(x, -7.998), 7.998)
    s = x * x
    p = 2.352117264406356e-11 * s - 1.4708549207927652e-08
    p = ((p * s + 9.879976902165408e-06) * s + 0.002985999009757274) * s + 0.12979348936702514
    p = p * s + 0.9999999812433896
    q = ((0.0002372225734467569 * s + 0.024028479472930818) * s + 0.463126650546895) * s + 1.0
    return x * p / q


@triton.jit
def _sigmoid(x):
    return 0.5 + 0.5 * _tanh(0.5 * x)


@triton.jit
def _all(flag, like):
    """A flag for every place of a block; Triton's interpreter takes a bare one for a number there."""
    return (tl.zeros_like(like) + flag.to(like.dtype)) != 0


@triton.jit
def _begins(own, n, ok):
    """Whether a voice's next step is the first of a drawing."""
    step = tl.load(own + n * _OWN + 4, mask=ok, other=1)
    flags = tl.load(own + n * _OWN + 7, mask=ok, other=0)
    return (step == 0) | (flags >= _DONE)


@triton.jit
def _begin(own, n, ok):
    """A finished drawing gives way to step 0 of the next."""
    at = own + n * _OWN
    done = ok & (tl.load(at + 7, mask=ok, other=0) >= _DONE)
    number = tl.load(at + 3, mask=done, other=0)
    tl.store(at + 3, number + 1, mask=done)
    for column in tl.static_range(4, 8):
        tl.store(at + column, tl.zeros_like(number), mask=done)


@triton.jit
def lstm_few(weights, scales, rows, which, own, live, x, start_x, hidden, cell, starts, fresh, x_step, start_step,
             units, state, voices, INPUTS: tl.constexpr, K: tl.constexpr, BK: tl.constexpr,
             BU: tl.constexpr):  # fmt: skip
    """An LSTM's new h into ``fresh`` and c in place: a program for BU units of one voice.

    weights (P, K, 4 BU), the rows of x first, then those of h, then zeros, the columns gate by gate; scales (K,) of the
    rows; rows (R, 4H) biases, chosen by which (N,); x (N, INPUTS), its voices ``x_step`` apart, and where a drawing
    begins start_x instead, ``start_step`` apart; hidden, fresh and cell (N, H), their voices ``state`` apart; starts
    (2, N + 1, state) h and c of a drawing's beginning.
    """
    p, n = tl.program_id(0), tl.program_id(1).to(tl.int64)
    row = tl.load(which + n)
    begins = _begins(own, n, n >= 0)
    lives = tl.load(live + n) != 0
    k = tl.arange(0, BK)
    column = tl.arange(0, 4 * BU)
    sums = tl.zeros([BK, 4 * BU], tl.float32)
    for first in tl.range(0, K, BK, loop_unroll_factor=8):
        at = first + k
        of_x, first_step = at < INPUTS, _all(begins, at)
        of_h = (at >= INPUTS) & (at < INPUTS + units)
        values = tl.load(x + n * x_step + at, mask=of_x & ~first_step, other=0.0).to(tl.float32)
        values += tl.load(start_x + n * start_step + at, mask=of_x & first_step, other=0.0).to(tl.float32)
        values += tl.load(hidden + n * state + at - INPUTS, mask=of_h & ~first_step, other=0.0).to(tl.float32)
        values += tl.load(starts + row * state + at - INPUTS, mask=of_h & first_step, other=0.0)
        values *= tl.load(scales + at)
        tile = tl.load(weights + (p * K + at)[:, None] * (4 * BU) + column[None, :])
        sums += tile.to(tl.float32) * values[:, None]
    unit = p * BU + tl.arange(0, BU)
    inside = unit < units
    gate = tl.arange(0, 4)[:, None]
    bias = tl.load(rows + row * 4 * units + gate * units + unit[None, :], mask=inside[None, :], other=0.0)
    gates = tl.reshape(tl.sum(sums, 0), (4, BU)) + bias
    i, j = tl.sum(tl.where(gate == 0, gates, 0.0), 0), tl.sum(tl.where(gate == 1, gates, 0.0), 0)
    f, o = tl.sum(tl.where(gate == 2, gates, 0.0), 0), tl.sum(tl.where(gate == 3, gates, 0.0), 0)
    c = tl.load(cell + n * state + unit, mask=inside & ~_all(begins, unit), other=0.0)
    c += tl.load(starts + (voices + 1 + row) * state + unit, mask=inside & _all(begins, unit), other=0.0)
    c = _sigmoid(f) * c + _sigmoid(i) * _tanh(j)
    h = _sigmoid(o) * _tanh(c)
    tl.store(cell + n * state + unit, c, mask=inside & _all(lives, unit))
    tl.store(fresh + n * state + unit, h.to(fresh.dtype.element_ty), mask=inside)


@triton.jit
def head_few(weights, scales, bias, own, live, fresh, hidden, given, heat, facts, chance, head, results, units, state,
             voices, outputs, mixtures, max_steps, K: tl.constexpr, BK: tl.constexpr, WIDTH: tl.constexpr,
             STATE: tl.constexpr, MIXTURES: tl.constexpr, ACT: tl.constexpr):  # fmt: skip
    """The head of one voice, and where ACT is 1 its action; its new h goes from ``fresh`` to ``hidden``.

    weights (K, WIDTH), scales (K,), bias (WIDTH,), zeros beyond the H rows and 3 + 6M columns; head (N, 3 + 6M).
    """
    n = tl.program_id(0).to(tl.int64)
    lives = tl.load(live + n) != 0
    k = tl.arange(0, BK)
    column = tl.arange(0, WIDTH)
    sums = tl.zeros([BK, WIDTH], tl.float32)
    for first in tl.range(0, K, BK, loop_unroll_factor=8):
        at = first + k
        values = tl.load(fresh + n * state + at, mask=at < units, other=0.0).to(tl.float32) * tl.load(scales + at)
        sums += tl.load(weights + at[:, None] * WIDTH + column[None, :]).to(tl.float32) * values[:, None]
    tl.store(head + n * outputs + column, tl.sum(sums, 0) + tl.load(bias + column), mask=column < outputs)
    unit = tl.arange(0, STATE)
    mine = (unit < state) & _all(lives, unit)
    tl.store(hidden + n * state + unit, tl.load(fresh + n * state + unit, mask=mine, other=0.0), mask=mine)
    one = n + tl.zeros([1], tl.int64)
    _begin(own, one, _all(lives, one))
    if ACT:
        tl.debug_barrier()  # what this program wrote is read by other threads of it
        _act(one, one >= 0, own, given, heat, facts, chance, head, results, voices, outputs, mixtures, max_steps,
             MIXTURES, 0)  # fmt: skip
        if n == 0:
            tl.store(results + voices * _FIELDS, tl.load(results + voices * _FIELDS) + 1)


@triton.jit
def begin_many(which, own, live, starts, token, hidden, cell, given, state, voices, BM: tl.constexpr,
               STATE: tl.constexpr):  # fmt: skip
    """Voices whose next step is a drawing's first get its state, input and counters: a program for BM of them."""
    n = (tl.program_id(0) * BM + tl.arange(0, BM)).to(tl.int64)
    ok = n < voices
    ok = ok & (tl.load(live + n, mask=ok, other=0) != 0)
    begins = _begins(own, n, ok) & ok
    if tl.max(begins.to(tl.int32), 0) > 0:
        row = tl.load(which + n, mask=begins, other=0)
        unit = tl.arange(0, STATE)
        mine = begins[:, None] & (unit < state)[None, :]
        at = n[:, None] * state + unit[None, :]
        start = starts + row[:, None] * state + unit[None, :]
        h = tl.load(start, mask=mine, other=0.0)
        tl.store(hidden + at, h.to(hidden.dtype.element_ty), mask=mine)
        tl.store(cell + at, tl.load(start + (voices + 1) * state, mask=mine, other=0.0), mask=mine)
        place = tl.arange(0, 8)
        first = tl.load(token + place, mask=place < 5, other=0.0)
        tl.store(given + n[:, None] * 5 + place[None, :], tl.zeros([BM, 8], tl.float32) + first[None, :],
                 mask=begins[:, None] & (place < 5)[None, :])  # fmt: skip
        tl.debug_barrier()
        _begin(own, n, ok)


@triton.jit
def lstm_many(weights, of_x, rows, which, live, given, hidden, cell, fresh, units, voices, K: tl.constexpr,
              BM: tl.constexpr, BK: tl.constexpr, BU: tl.constexpr, CONDITIONED: tl.constexpr):  # fmt: skip
    """An LSTM's new h into ``fresh`` and c in place: a program for BM voices and BU units.

    weights (P, K, 4 BU) of h, zeros beyond the H rows, and of_x (P, 16, 4 BU), zeros beyond 5, the four gates of a unit
    side by side; rows (R, 4H) biases in the order of the gates. Without CONDITIONED all voices have the first voice's.
    """
    n = (tl.program_id(0) * BM + tl.arange(0, BM)).to(tl.int64)
    p = tl.program_id(1)
    ok = n < voices
    k, column = tl.arange(0, BK), tl.arange(0, 4 * BU)
    five = tl.arange(0, 16)
    x = tl.load(given + n[:, None] * 5 + five[None, :], mask=ok[:, None] & (five < 5)[None, :], other=0.0)
    first_w = tl.load(of_x + (p * 16 + five)[:, None] * (4 * BU) + column[None, :])
    gates = tl.dot(x.to(first_w.dtype), first_w, input_precision="ieee")
    for first in range(0, K, BK):
        at = first + k
        h = tl.load(hidden + n[:, None] * units + at[None, :], mask=ok[:, None] & (at < units)[None, :], other=0.0)
        w = tl.load(weights + (p * K + at)[:, None] * (4 * BU) + column[None, :])
        gates = tl.dot(h, w, gates, input_precision="ieee")
    gate, unit = column % 4, p * BU + column // 4
    of_gate = rows + gate * units + unit
    first_row = tl.load(which + tl.program_id(0) * BM)
    if CONDITIONED:
        row = tl.where(ok, tl.load(which + n, mask=ok, other=0), first_row)
        if tl.min(row, 0) == tl.max(row, 0):
            gates += tl.load(of_gate + first_row * 4 * units, mask=unit < units, other=0.0)[None, :]
        else:
            mask = ok[:, None] & (unit < units)[None, :]
            gates += tl.load(of_gate[None, :] + row[:, None] * 4 * units, mask=mask, other=0.0)
    else:
        gates += tl.load(of_gate + first_row * 4 * units, mask=unit < units, other=0.0)[None, :]
    of_if, of_jo = tl.split(tl.reshape(gates, (BM, BU, 2, 2)))
    i, f = tl.split(of_if)
    j, o = tl.split(of_jo)
    own = p * BU + tl.arange(0, BU)
    at = n[:, None] * units + own[None, :]
    mine = ok[:, None] & (own < units)[None, :]
    c = _sigmoid(f) * tl.load(cell + at, mask=mine, other=0.0) + _sigmoid(i) * _tanh(j)
    stays = (tl.load(live + n, mask=ok, other=1) == 0)[:, None]
    h = tl.where(stays, tl.load(hidden + at, mask=mine & stays, other=0.0).to(tl.float32), _sigmoid(o) * _tanh(c))
    tl.store(cell + at, c, mask=mine & (tl.load(live + n, mask=ok, other=0) != 0)[:, None])
    tl.store(fresh + at, h.to(fresh.dtype.element_ty), mask=mine)


@triton.jit
def act_many(own, given, heat, facts, chance, head, results, voices, outputs, mixtures, max_steps, BM: tl.constexpr,
             MIXTURES: tl.constexpr, GIVEN: tl.constexpr):  # fmt: skip
    """The actions of BM voices from their head (N, 3 + 6M); with GIVEN, ``chance`` (N + 1, 4) may replace theirs."""
    n = (tl.program_id(0) * BM + tl.arange(0, BM)).to(tl.int64)
    _act(n, n < voices, own, given, heat, facts, chance, head, results, voices, outputs, mixtures, max_steps, MIXTURES,
         GIVEN)  # fmt: skip
    if tl.program_id(0) == 0:
        tl.store(results + voices * _FIELDS, tl.load(results + voices * _FIELDS) + 1)


@triton.jit
def words(own, out, voices, BM: tl.constexpr):
    """``sampling.uniforms`` of BM voices, (N, 4)."""
    n = (tl.program_id(0) * BM + tl.arange(0, BM)).to(tl.int64)
    ok = n < voices
    u0, u1, u2, u3 = _uniforms_of(own, n, ok)
    tl.store(out + n * 4, u0, mask=ok)
    tl.store(out + n * 4 + 1, u1, mask=ok)
    tl.store(out + n * 4 + 2, u2, mask=ok)
    tl.store(out + n * 4 + 3, u3, mask=ok)


@triton.jit
def _uniforms_of(own, n, ok):
    at, low = own + n * _OWN, 0xFFFFFFFF
    number, step = tl.load(at + 3, mask=ok, other=0), tl.load(at + 4, mask=ok, other=0)
    return _uniforms(step & low, tl.load(at + 2, mask=ok, other=0) & low, number & low,
                     tl.load(at, mask=ok, other=0), tl.load(at + 1, mask=ok, other=0))  # fmt: skip


@triton.jit
def _product(word, LOW: tl.constexpr, HIGH: tl.constexpr):
    """High and low 32 bits of 32-bit words, in int64, by a factor given in halves."""
    low, high = word * LOW, word * HIGH
    return ((low >> 16) + high) >> 16, (low + ((high & 0xFFFF) << 16)) & 0xFFFFFFFF


@triton.jit
def _uniform(word):
    return ((word >> 9).to(tl.float64) + 0.5) * 1.1920928955078125e-07


@triton.jit
def _uniforms(c0, c1, c2, k0, k1):
    """``sampling.uniforms``, of words in int64."""
    c3 = tl.zeros_like(c0)
    for _ in tl.static_range(10):
        high0, low0 = _product(c0, 0x1F53, 0xD251)
        high1, low1 = _product(c2, 0x8D57, 0xCD9E)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return _uniform(c0), _uniform(c1), _uniform(c2), _uniform(c3)


@triton.jit
def _other(u, chance, n, column, ok, use):
    return tl.where(use, tl.load(chance + n * 4 + column, mask=ok, other=0.5), u)


@triton.jit
def _choose(first, ok, count, divisor, u, WIDTH: tl.constexpr):
    """``sampling.choose`` over ``count`` numbers from ``first`` on, for each voice."""
    k = tl.arange(0, WIDTH)
    inside = (k < count)[None, :]
    values = tl.load(first[:, None] + k[None, :], mask=ok[:, None] & inside, other=0.0).to(tl.float64)
    values = tl.minimum(tl.maximum(values, -_LIMIT), _LIMIT)
    values = tl.where(inside, values, -float("inf"))
    greedy = divisor == 0.0
    scaled = (values - tl.max(values, 1)[:, None]) / tl.where(greedy, 1.0, divisor)[:, None]
    sums = tl.cumsum(tl.exp(scaled), 1)
    total = tl.max(sums, 1)
    index = tl.sum(((sums < (u * total)[:, None]) & inside).to(tl.int32), 1)
    return tl.where(greedy, tl.argmax(values, 1).to(tl.int32), tl.minimum(index, count - 1))


@triton.jit
def _spread(log_sigma, spread):
    return tl.exp(tl.minimum(tl.maximum(log_sigma, -_SIGMA), _SIGMA)) * spread


@triton.jit
def _act(n, ok, own, given, heat, facts, chance, head, results, voices, outputs, mixtures, max_steps,
         MIXTURES: tl.constexpr, GIVEN: tl.constexpr):  # fmt: skip
    """``sampling.sample`` and ``ReferenceBatch._move`` for a block of voices; facts: scale, log 2, 2 pi."""
    at = own + n * _OWN
    number, step = tl.load(at + 3, mask=ok, other=0), tl.load(at + 4, mask=ok, other=0)
    u0, u1, u2, u3 = _uniforms_of(own, n, ok)
    if GIVEN:
        use = tl.load(chance + voices * 4) != 0
        u0, u1 = _other(u0, chance, n, 0, ok, use), _other(u1, chance, n, 1, ok, use)
        u2, u3 = _other(u2, chance, n, 2, ok, use), _other(u3, chance, n, 3, ok, use)
    divisor, spread = tl.load(heat + n * 2, mask=ok, other=1.0), tl.load(heat + n * 2 + 1, mask=ok, other=1.0)
    first = head + n * outputs
    pen = _choose(first, ok, 3, divisor, u1, 4)
    component = _choose(first + 3, ok, mixtures, divisor, u0, MIXTURES)
    mean = first + 3 + mixtures + component
    mu_x = tl.load(mean, mask=ok, other=0.0).to(tl.float64)
    mu_y = tl.load(mean + mixtures, mask=ok, other=0.0).to(tl.float64)
    sigma_x = _spread(tl.load(mean + 2 * mixtures, mask=ok, other=0.0).to(tl.float64), spread)
    sigma_y = _spread(tl.load(mean + 3 * mixtures, mask=ok, other=0.0).to(tl.float64), spread)
    raw = tl.load(mean + 4 * mixtures, mask=ok, other=0.0).to(tl.float64)
    scale, log_2, turn = tl.load(facts), tl.load(facts + 1), tl.load(facts + 2)
    radius, angle = tl.sqrt(-2.0 * tl.log(u2)), turn * u3
    z1, z2 = radius * tl.cos(angle), radius * tl.sin(angle)
    size = tl.minimum(tl.abs(raw), 300.0)
    left = tl.exp(-2.0 * size)
    free = tl.exp(log_2 - size - tl.log(1.0 + left))  # sqrt(1 - tanh(raw)^2)
    rho = tl.where(raw < 0, -1.0, 1.0) * (1.0 - left) / (1.0 + left)
    ended = pen == 2
    dx = tl.where(ended, 0.0, mu_x + sigma_x * (free * z1 + rho * z2)) * scale
    dy = tl.where(ended, 0.0, mu_y + sigma_y * z2) * scale
    x = tl.load(at + 5, mask=ok, other=0).to(tl.float64, bitcast=True) + dx
    y = tl.load(at + 6, mask=ok, other=0).to(tl.float64, bitcast=True) + dy
    last = ended | (step + 1 >= max_steps)
    ink = (tl.load(at + 7, mask=ok, other=0) == 0) & (pen != 2)
    flags = pen.to(tl.int64) | (ink.to(tl.int64) << 8) | (last.to(tl.int64) << 16) | (ended.to(tl.int64) << 24)
    out = results + n * _FIELDS
    tl.store(out, number, mask=ok)
    tl.store(out + 1, step, mask=ok)
    tl.store(out + 2, x.to(tl.int64, bitcast=True), mask=ok)
    tl.store(out + 3, y.to(tl.int64, bitcast=True), mask=ok)
    tl.store(out + 4, dx.to(tl.int64, bitcast=True), mask=ok)
    tl.store(out + 5, dy.to(tl.int64, bitcast=True), mask=ok)
    tl.store(out + 6, component.to(tl.int64) | (flags << 32), mask=ok)
    next_x = given + n * 5
    tl.store(next_x, (dx / scale).to(tl.float32), mask=ok)
    tl.store(next_x + 1, (dy / scale).to(tl.float32), mask=ok)
    tl.store(next_x + 2, (pen == 0).to(tl.float32), mask=ok)
    tl.store(next_x + 3, (pen == 1).to(tl.float32), mask=ok)
    tl.store(next_x + 4, ended.to(tl.float32), mask=ok)
    tl.store(at + 4, step + 1, mask=ok)
    tl.store(at + 5, x.to(tl.int64, bitcast=True), mask=ok)
    tl.store(at + 6, y.to(tl.int64, bitcast=True), mask=ok)
    tl.store(at + 7, pen.to(tl.int64) + last.to(tl.int64) * _DONE, mask=ok)
