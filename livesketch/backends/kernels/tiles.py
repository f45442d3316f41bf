"""Products of several voices' inputs with a panel of weights, the sums in the processor's registers.

numba keeps an array of sums in memory, so that each weight costs a load and a store of a sum. Here the loop over k is
written in LLVM's own language: a tile of voices times columns stays in registers, and a weight that is read serves all
of its voices.

Two rows of int16 weights, a and b, are kept as one of 32-bit words, 65,536 b + a (``interleaved``). Shifted by half, a
word is a alone; whole, it is b and a little of a, for which no instruction is spent: the first input of a pair is made
smaller by just that share of the second, x - y / 65,536 (``common.paired``), so that x a + y b comes out. A whole word
is rounded once to float32's 24 bits, as a product is. What is converted is the weight times 65,536; whoever makes the
inputs multiplies them by ``factor`` for that, a power of two, which changes no digit.

Weights that were rounded to bfloat16 (kept as uint16, two rows to a word as well) are multiplied with inputs rounded
likewise, two rows at a time, by the processor's instruction for that: twice as fast, with another result.

Each sum runs over k in ascending order from where it starts, whatever the tile, so a voice's numbers are
the same alone and among others, bit for bit.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

_FEATURES: Final = dict(binding.get_host_cpu_features())  # type: ignore[no-untyped-call, unused-ignore]
LANES: Final = 16 if _FEATURES.get("avx512f") else 8 if _FEATURES.get("avx") else 4
"""Numbers of 32 bits in a register of this processor."""
MANY: Final = bool(_FEATURES.get("avx512f") or _FEATURES.get("neon"))
"""Whether it has 32 registers for them; else 16."""
TURN: Final = 2
"""Rows of a panel in one turn of the loop; K is a multiple of it."""

_I64, _F32 = ir.IntType(64), ir.FloatType()
_VECTOR: Final = ir.VectorType(_F32, LANES)
_WORDS: Final = ir.VectorType(ir.IntType(32), LANES)
_FUSED: Final = ("contract",)
"""a * b + c may become one operation, as in the other kernels; nothing may be reordered."""


_HOST: Final = not any(getattr(config, name, None) for name in ("CPU_NAME", "CPU_FEATURES"))
"""Whether numba compiles for this very processor; for another, LLVM ends the process at an instruction it lacks."""
_MULTIPLIES: Final = _HOST and LANES == 16 and bool(_FEATURES.get("avx512bw"))
"""Whether it multiplies pairs of int16 in registers of ours."""
BF16: Final = _HOST and bool(_FEATURES.get("avx512bf16"))
"""Whether this processor multiplies bfloat16."""


def factor(weights: NDArray[Any]) -> float:
    """What the inputs of a product with these are multiplied by: int16 comes as the upper half of a word."""
    return 2.0**-16 if weights.dtype == np.int16 else 1.0


def interleaved(weights: NDArray[Any]) -> NDArray[Any]:
    """Rows (..., K, columns) as ``tile`` reads them, in the same shape: of two bytes two by two, others as they are.

    int16 from -32,767 on.
    """
    if weights.dtype.itemsize != 2:
        return weights
    *outer, rows, columns = weights.shape
    pairs = weights.reshape(*outer, rows // TURN, TURN, columns)
    if weights.dtype == np.int16:  # a word is 65,536 b + a: where a is negative, it takes one from its upper half
        pairs = np.stack([pairs[..., 0, :], pairs[..., 1, :] - (pairs[..., 0, :] < 0)], axis=-2)
    return np.ascontiguousarray(np.moveaxis(pairs, -2, -1)).reshape(weights.shape)


def tile(voices: int, vectors: int) -> Callable[..., None]:
    """An intrinsic ``run(weights, first, inputs, voice, at, out, row, column)``.

    out[row + i, column + j] += weights[k, first + j] * inputs[voice + i, at + k], k ascending, for ``voices`` i and
    ``vectors`` * LANES columns j. weights (K, 128) float32, or int16 and ``interleaved``; inputs and out float32; all
    with a contiguous last axis. Bounds are not checked.
    """

    @intrinsic  # type: ignore[misc, unused-ignore]
    def run(_: Any, weights: Any, first: Any, inputs: Any, voice: Any, at: Any, out: Any, row: Any, column: Any) -> Any:
        signature = types.void(weights, first, inputs, voice, at, out, row, column)

        def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
            arrays = [context.make_array(kinds.args[k])(context, builder, values[k]) for k in (0, 2, 5)]
            offsets = [context.cast(builder, values[k], kinds.args[k], types.int64) for k in (1, 3, 4, 6, 7)]
            _TILES[kinds.args[0].dtype](builder, arrays, offsets).emit(voices, vectors)
            return context.get_dummy_value()

        return signature, generate

    made: Callable[..., None] = run
    return made


class _Tile:
    """Writes the loop over k of one tile; weights float32."""

    def __init__(self, builder: Any, arrays: list[Any], offsets: list[Any]) -> None:
        self._builder = builder
        self._weights, self._inputs, self._out = arrays
        self._first, self._voice, self._at, self._row, self._column = offsets

    def emit(self, voices: int, vectors: int) -> None:
        """Sums from memory to registers, the loop, and back."""
        builder = self._builder
        rows = cgutils.unpack_tuple(builder, self._weights.shape)[0]  # type: ignore[no-untyped-call, unused-ignore]
        places = [self._sum(i, j) for i in range(voices) for j in range(vectors)]
        start = [builder.load(place, align=4) for place in places]
        before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("sums")
        builder.cbranch(builder.icmp_signed(">", rows, _number(0)), loop, after)
        builder.position_at_end(loop)
        k, held = builder.phi(_I64), [builder.phi(_VECTOR) for _ in start]
        now = self._turn(k, held, voices, vectors)
        following = builder.add(k, _number(TURN))
        for phi, begun, value in zip([k, *held], [_number(0), *start], [following, *now], strict=True):
            phi.add_incoming(begun, before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, rows), loop, after)
        builder.position_at_end(after)
        ends = [builder.phi(_VECTOR) for _ in start]
        for end, begun, value in zip(ends, start, now, strict=True):
            end.add_incoming(begun, before)
            end.add_incoming(value, loop)
        for place, end in zip(places, ends, strict=True):
            builder.store(end, place, align=4)

    def _turn(self, k: Any, sums: list[Any], voices: int, vectors: int) -> list[Any]:
        """Two rows, from an even one on."""
        for turn, weights in enumerate(self._rows(k, vectors)):
            sums = self._added(self._builder.add(k, _number(turn)), weights, sums, voices)
        return sums

    def _rows(self, k: Any, vectors: int) -> list[list[Any]]:
        """Two rows of weights, ``vectors`` each."""
        rows = [self._builder.add(k, _number(turn)) for turn in range(TURN)]
        return [[self._read(row, j, _VECTOR) for j in range(vectors)] for row in rows]

    def _read(self, k: Any, j: int, what: Any) -> Any:
        column = self._builder.add(self._first, _number(j * LANES))
        return self._builder.load(self._place(self._weights, k, column, 4, what), align=4)

    def _added(self, k: Any, weights: list[Any], sums: list[Any], voices: int) -> list[Any]:
        """One row of weights times each voice's input, added to the sums."""
        builder, vectors, out = self._builder, len(weights), []
        for i in range(voices):
            same = _splat(builder, self._input(i, k, 4, _F32), _VECTOR)
            for weight, value in zip(weights, sums[i * vectors : (i + 1) * vectors], strict=True):
                out.append(builder.fadd(builder.fmul(weight, same, flags=_FUSED), value, flags=_FUSED))
        return out

    def _input(self, i: int, k: Any, size: int, what: Any) -> Any:
        voice = self._builder.add(self._voice, _number(i))
        return self._builder.load(
            self._place(self._inputs, voice, self._builder.add(self._at, k), size, what), align=size
        )

    def _sum(self, i: int, j: int) -> Any:
        builder = self._builder
        row, column = builder.add(self._row, _number(i)), builder.add(self._column, _number(j * LANES))
        return self._place(self._out, row, column, 4, _VECTOR)

    def _place(self, array: Any, row: Any, column: Any, size: int, what: Any) -> Any:
        """A pointer to ``what`` at a row and column of an array."""
        builder = self._builder
        stride = cgutils.unpack_tuple(builder, array.strides)[0]  # type: ignore[no-untyped-call, unused-ignore]
        offset = builder.add(builder.mul(row, stride), builder.mul(column, _number(size)))
        return builder.inttoptr(builder.add(builder.ptrtoint(array.data, _I64), offset), what.as_pointer())


class _Integers(_Tile):
    """Weights int16: of each word first the lower half, a, then the whole, b and a little of a."""

    def _turn(self, k: Any, sums: list[Any], voices: int, vectors: int) -> list[Any]:
        builder = self._builder
        both = [self._read(k, j, _WORDS) for j in range(vectors)]  # the word of column j is as far in as its float were
        if voices == 1 and _MULTIPLIES:
            sums = self._halves(k, both, sums)
        else:
            lower = [builder.sitofp(builder.shl(words, _words(16)), _VECTOR) for words in both]
            sums = self._added(k, lower, sums, voices)
        return self._added(builder.add(k, _number(1)), [builder.sitofp(one, _VECTOR) for one in both], sums, voices)

    def _halves(self, k: Any, both: list[Any], sums: list[Any]) -> list[Any]:
        """The lower halves times the only voice's input.

        What shifts and what converts are the same parts of the processor, which one voice keeps busy. So every other
        half is a times 1 plus b times 0, which another part computes; that is 65,536 times smaller, and its input is
        made as much larger, which changes no digit.
        """
        builder, halves = self._builder, ir.VectorType(ir.IntType(16), 2 * LANES)
        small = _splat(builder, self._input(0, k, 4, _F32), _VECTOR)
        large = builder.fmul(small, ir.Constant(_VECTOR, [65536.0] * LANES))
        kind = ir.FunctionType(_WORDS, [halves, halves])
        name = "llvm.x86.avx512.pmaddw.d.512"
        times = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call, unused-ignore]
        one = builder.bitcast(_words(1), halves)
        out = []
        for j, (words, value) in enumerate(zip(both, sums, strict=True)):
            odd = j % 2
            pair = [builder.bitcast(words, halves), one]
            lower = builder.call(times, pair) if odd else builder.shl(words, _words(16))
            product = builder.fmul(builder.sitofp(lower, _VECTOR), large if odd else small, flags=_FUSED)
            out.append(builder.fadd(product, value, flags=_FUSED))
        return out


class _BFloat(ir.types._BaseFloatType):  # type: ignore[misc, unused-ignore] # noqa: SLF001 - llvmlite has no bfloat
    """LLVM's ``bfloat``."""

    null = "0.0"
    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"

    def format_constant(self, value: Any) -> str:
        return str(value)


_BFloat._create_instance()  # noqa: SLF001 - what llvmlite does with its own


class _Pairs(_Tile):
    """Weights and inputs bfloat16: ``VDPBF16PS`` adds two products to each sum."""

    def _turn(self, k: Any, sums: list[Any], voices: int, vectors: int) -> list[Any]:
        builder, pairs = self._builder, ir.VectorType(_BFloat(), 2 * LANES)
        kind = ir.FunctionType(_VECTOR, [_VECTOR, pairs, pairs])
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        dot = cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call, unused-ignore]
        weights = [builder.bitcast(self._read(k, j, _WORDS), pairs) for j in range(vectors)]
        out = []
        for i in range(voices):
            same = builder.bitcast(_splat(builder, self._pair(i, k), _WORDS), pairs)
            own = sums[i * vectors : (i + 1) * vectors]
            out += [builder.call(dot, [value, same, weight]) for weight, value in zip(weights, own, strict=True)]
        return out

    def _pair(self, i: int, k: Any) -> Any:
        return self._input(i, k, 2, ir.IntType(32))


_TILES: Final = {types.float32: _Tile, types.int16: _Integers, types.uint16: _Pairs}


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _words(value: int) -> Any:
    return ir.Constant(_WORDS, [ir.Constant(ir.IntType(32), value)] * LANES)


def _splat(builder: Any, one: Any, vector: Any) -> Any:
    """A vector of one number."""
    empty = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(empty, one, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))
