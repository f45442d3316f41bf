"""What the kernels of all three cells share: how they are compiled, sums, tanh, the head, and the layout of weights.

Layout: a gate matrix is cut into panels of 32 units, (panel, k, 4 gates * 32), another into panels of 128 columns.
"""

import functools
import hashlib
import itertools
import logging
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, typeof, types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from .tiles import LANES, MANY, interleaved, tile

_LOG: Final = logging.getLogger("livesketch")

UNITS = 32
WIDTH = 4 * UNITS
ROWS = 4
"""Rows of a panel taken per turn; k is padded to a multiple with zero rows."""

LINE = 64
"""Bytes of a cache line."""

INPUT = 8
"""Rows of the stroke-5 input where it has a sum of its own: whole turns."""

FMA = {"contract"}
"""``fastmath``: a * b + c may become one fused operation; nothing may be reordered."""

_f = np.float32

# tanh(x) = x P(x^2) / Q(x^2) on |x| <= 7.998, degrees 5 and 3, fitted by iteratively reweighted least squares to the
# relative error; largest error in float32 3.1e-7, never above 1.
_LIMIT = _f(7.998)
_P = tuple(
    map(_f, (0.9999999812433896, 0.12979348936702514, 0.002985999009757274, 9.879976902165408e-06,
             -1.4708549207927652e-08, 2.352117264406356e-11))
)  # fmt: skip
_Q = tuple(map(_f, (0.463126650546895, 0.024028479472930818, 0.0002372225734467569)))
_P0, _P1, _P2, _P3, _P4, _P5 = _P
_Q1, _Q2, _Q3 = _Q
_ONE = _f(1)
SHARE = _f(2.0**-16)
"""What of the second input of a pair is taken from the first: see ``tiles``."""

place = np.uint64
"""An index that is never negative: any other might count from the end, so numba looks, and no loop is vectorised."""
NIL = np.int64(0)
"""The place 0. As ``0`` it would be a type of its own, and whatever it is given to compiled once more."""


def _sources() -> str:
    """A digest of all kernel sources."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


_SOURCES: Final = _sources()


class _Cache(FunctionCache):
    """numba's cache on disk. Its own key sees changes in the file of a function, not in those of what it calls."""

    variant = ""
    """What one function compiled in several ways is told apart by."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        own = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call, unused-ignore]
        return *own, _SOURCES, self.variant


_PLAIN: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
"""No check of each division, which would keep loops from being vectorised; no counting of who holds an array."""


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit`` with its cache on disk; where no folder for it can be written, each process compiles anew."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            kernel = njit(cache=True, **_PLAIN, **options)(function)
            cache = _Cache(function)  # type: ignore[no-untyped-call, unused-ignore]
            cache.variant = "nogil" if options.get("nogil") else ""
            kernel._cache = cache  # noqa: SLF001 - what cache=True sets; numba gives no other way to its key
        except RuntimeError as err:
            _LOG.warning("%s; set NUMBA_CACHE_DIR to a folder that can be written to start faster", err)
            return njit(**_PLAIN, **options)(function)
        return kernel

    return decorate


def inner(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A function that only kernels call: nothing is compiled that Python could call it by, or kept on disk."""
    decorate: Callable[[Callable[..., Any]], Any] = njit(**_PLAIN, **{"no_cpython_wrapper": True, **options})
    return decorate


def _apart_of(_: Any) -> Any:
    """LLVM's word for it."""

    def generate(context: Any, builder: Any, *_: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


apart: Any = intrinsic(_apart_of)
"""``apart()`` anywhere in a function: it is called, not copied into whatever calls it, and so compiled less often."""


def bound(kernel: Any, arguments: tuple[Any, ...]) -> Callable[[], object]:
    """A call of a kernel that is compiled for these very arguments; nothing looks at their types again."""
    kinds = tuple(map(typeof, arguments))
    compiled_for = kernel.overloads[kinds]
    return functools.partial(compiled_for.entry_point, *arguments)


def together(*calls: Callable[[], object]) -> Callable[[], object]:
    """Calls of kernels as one, one after the other: from C, so that no signal is heeded between them.

    What was broken off by an exception (too deep a recursion, no memory) is not to be called again: make another.
    """
    each = map(operator.call, itertools.cycle(calls))
    return zip(*[each] * len(calls), strict=False).__next__


@functools.cache
def unlocked(kernel: Any) -> Any:
    """The kernel again, without the interpreter's lock while it runs, so that several threads run at a time.

    One voice keeps the lock: beside a busy prompt it would wait for milliseconds to have it back.
    """
    return compiled(nogil=True)(kernel.py_func)


@inner(fastmath=FMA)
def tanh(x: Any) -> Any:
    """Off by 3.1e-7 of it at most."""
    x = -_LIMIT if x < -_LIMIT else x
    x = _LIMIT if x > _LIMIT else x
    s = x * x
    p = ((((_P5 * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    q = ((_Q3 * s + _Q2) * s + _Q1) * s + _ONE
    return x * p / q


BLOCK = 48
"""Voices that go through the whole model together: what they put in stays in the cache from panel to panel."""
TILE = 6
"""Voices whose sums fit the registers together."""
_SIX = 4 if MANY else 2
_TWO, _ONE_VOICE = 2 * _SIX, 2 * _SIX
_tile6, _tile2, _tile1 = tile(6, _SIX), tile(2, _TWO), tile(1, _ONE_VOICE)
_SIX_COLUMNS, _TWO_COLUMNS, _ONE_COLUMNS = _SIX * LANES, _TWO * LANES, _ONE_VOICE * LANES


@inner()
def product(weights: Any, inputs: Any, n: Any, at: Any, out: Any, row: Any, column: Any) -> None:
    """``products`` for one voice n."""
    for j in range(0, WIDTH, _ONE_COLUMNS):
        _tile1(weights, j, inputs, n, at, out, row, column + j)


@inner()
def products(weights: Any, inputs: Any, first: Any, at: Any, out: Any, row: Any, column: Any, count: Any) -> None:
    """out[row + i, column + j] += weights[k, j] * inputs[first + i, at + k], k ascending, for ``count`` voices i.

    weights (K, 128), K a multiple of 4; inputs (N, at + K or more), ``paired``, at even; out (row + count or more,
    column + 128 or more).
    """
    done = 0
    while count - done >= TILE:
        for j in range(0, WIDTH, _SIX_COLUMNS):
            _tile6(weights, j, inputs, first + done, at, out, row + done, column + j)
        done += TILE
    while count - done >= 2:
        for j in range(0, WIDTH, _TWO_COLUMNS):
            _tile2(weights, j, inputs, first + done, at, out, row + done, column + j)
        done += 2
    if count - done:
        product(weights, inputs, first + done, at, out, row + done, column)


@inner()
def copy(values: Any, out: Any) -> None:
    """``out[:] = values``; that form would compile NumPy's error message about shapes, for seconds."""
    for k in range(out.shape[0]):
        out[k] = values[k]


def bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The nearest bfloat16 of finite numbers, as uint16; halves go to the even one."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.asarray((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16), np.uint16)


def _as_input_of(_: Any, value: Any, out: Any) -> Any:  # noqa: ARG001 - what an intrinsic takes
    """The lines of ``bf16`` in LLVM's words, where ``out`` is of uint16."""
    narrow = out.dtype == types.uint16

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        if not narrow:
            return values[0]
        word, half = ir.IntType(32), ir.IntType(16)
        bits, shift = builder.bitcast(values[0], word), ir.Constant(word, 16)
        odd = builder.and_(builder.lshr(bits, shift), ir.Constant(word, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(word, 0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, shift), half)

    return (types.uint16 if narrow else types.float32)(types.float32, out), generate


as_input: Any = intrinsic(_as_input_of)
"""``as_input(value, out)``: a float32 the way an array of inputs keeps it, ``bf16`` where that is of uint16."""


def _share_of(_: Any, weights: Any) -> Any:
    part = SHARE if weights.dtype == types.int16 else _f(0)

    def generate(context: Any, *_: Any) -> Any:
        return context.get_constant(types.float32, float(part))

    return types.float32(weights), generate


share: Any = intrinsic(_share_of)
"""``share(weights)``: what of the second input of a pair is taken from the first."""


def _fetch_of(_: Any, values: Any, row: Any, column: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, given: Any) -> Any:
        array = context.make_array(kinds.args[0])(context, builder, given[0])
        stride = builder.extract_value(array.strides, 0)
        at, first, lines = (context.cast(builder, given[k], kinds.args[k], types.int64) for k in (1, 2, 3))
        word, wide = ir.IntType(32), ir.IntType(64)
        size, line = ir.Constant(wide, kinds.args[0].dtype.bitwidth // 8), ir.Constant(wide, LINE)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call, unused-ignore]
        start = builder.gep(builder.bitcast(array.data, byte), [builder.mul(at, stride)])
        with cgutils.for_range(builder, lines) as loop:
            ahead = builder.add(builder.mul(first, size), builder.mul(loop.index, line))
            builder.call(call, [builder.gep(start, [ahead]), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(values, row, column, count), generate


fetch: Any = intrinsic(_fetch_of)
"""``fetch(values, row, column, lines)``: so many cache lines from values[row, column] on will be needed soon."""


def paired(inputs: Any, n: Any, weights: Any) -> None:
    """Makes voice n's inputs (N, K or more), K even, what ``products`` takes with int16 weights; else does nothing."""
    raise NotImplementedError


@overload(paired, inline="always")
def _paired_of(inputs: Any, n: Any, weights: Any) -> Any:  # noqa: ARG001 - the same arguments
    def alone(inputs: Any, n: Any, weights: Any) -> None:
        pass

    def together(inputs: Any, n: Any, weights: Any) -> None:  # noqa: ARG001 - likewise
        for k in range(inputs.shape[1] - 1):  # every one of them: only so it is vectorised
            inputs[n, k] -= _f(1 - (k & 1)) * SHARE * inputs[n, place(k + 1)]

    return together if weights.dtype == types.int16 else alone


@inner(fastmath=FMA)
def times(values: Any, scales: Any, out: Any) -> None:
    """``out[: len(values)] = values * scales``, rounded to bfloat16 where ``out`` is of uint16."""
    for k in range(values.shape[0]):
        out[k] = as_input(values[k] * scales[k], out)


@inner()
def begin(voice: Any) -> None:
    """A finished drawing gives way to step 0 of the next: ``NumpyBatch.restart`` but for the state."""
    voice["drawing"] += 1
    voice["step"], voice["x"], voice["y"], voice["pen"], voice["done"] = 0, 0.0, 0.0, 0, False


@inner(fastmath=FMA)
def head_of(weights: Any, scales: Any, bias: Any, hidden: Any, first: Any, last: Any, inputs: Any, head: Any) -> None:
    """The head for the voices from first to last.

    weights (Q, K, 128), scales (K,), bias (Q, 128), hidden (N, K or more), inputs (N, K or more), head (N, 128 Q).
    """
    for n in range(first, last):
        for k in range(scales.shape[0]):
            inputs[n, k] = as_input(hidden[n, k] * scales[k], inputs)
        paired(inputs, n, weights)
    for q in range(weights.shape[0]):
        for n in range(first, last):
            for k in range(WIDTH):
                head[n, place(q * WIDTH + k)] = bias[q, k]
        products(weights[q], inputs, first, NIL, head, first, q * WIDTH, last - first)


def aligned(values: NDArray[Any]) -> NDArray[Any]:
    """A copy that begins where a cache line does; elsewhere half of what ``products`` loads would lie in two lines."""
    memory = np.empty(values.nbytes + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    out = memory[first : first + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    return out


def pack(matrix: NDArray[Any], rows: int) -> NDArray[Any]:
    """As ``parted``, the way ``products`` reads it."""
    return interleaved(parted(matrix, rows))


def parted(matrix: NDArray[Any], rows: int) -> NDArray[Any]:
    """Panels (columns / 128, rows, 128) of a matrix (k, columns), with zero rows up to ``rows``, C-contiguous."""
    k, columns = matrix.shape
    out = np.zeros((rows, math.ceil(columns / WIDTH) * WIDTH), matrix.dtype)
    out[:k, :columns] = matrix
    return np.ascontiguousarray(out.reshape(rows, -1, WIDTH).transpose(1, 0, 2))


def by_panel(gates: NDArray[Any], hidden: int) -> NDArray[Any]:
    """Gate columns (..., 4H) in blocks i, j, f, o as (..., P * 128): for each 32 units i, j, f, o; H padded."""
    panels = math.ceil(hidden / UNITS)
    split = gates.reshape(*gates.shape[:-1], 4, hidden)
    padded = np.zeros((*gates.shape[:-1], 4, panels * UNITS), gates.dtype)
    padded[..., :hidden] = split
    parted = padded.reshape(*gates.shape[:-1], 4, panels, UNITS)
    return np.ascontiguousarray(np.moveaxis(parted, -3, -2)).reshape(*gates.shape[:-1], panels * WIDTH)
