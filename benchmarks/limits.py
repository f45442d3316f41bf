"""What this machine can do at most, measured in the same rounds as what is compared with it.

Every probe says how long one pen action (or token) would take if nothing but its bytes or its operations counted.
Several threads each do their share without waiting for each other.
"""

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .rounds import Run

SUMS = 12
"""Registers that are added to: enough that no operation waits for the one before, and as many as every machine has."""
TURNS = 20_000
"""Turns of the loop over the registers in one call."""
LONGER = 8
"""A probe does so many times the work of a step, so that it does not count how long threads take to be spread."""
SIDE = 1024
"""Of the matrices of the GEMM probe."""


def reading(data: bytes, threads: int = 1) -> Run:
    """Reads these bytes once a step."""
    fold = folding()
    words = np.frombuffer(data + bytes(-len(data) % (64 * threads)), np.uint64).copy()
    parts = np.split(words, threads)

    def run(steps: int) -> float:
        reads = steps * LONGER
        return together(lambda k: fold(parts[k], reads), threads) * steps / reads

    run(1)
    return run


@functools.cache
def folding() -> Callable[[Any, int], int]:
    from numba import njit

    @njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def fold(words: Any, times: Any) -> Any:
        total = np.uint64(0)
        for _ in range(times):
            for k in range(words.size):  # compiled to wide loads into several accumulators
                total += words[k]
        return total

    made: Callable[[Any, int], int] = fold
    return made


def peak(flop: int, threads: int = 1, *, bf16: bool = False) -> Run:
    """``flop`` operations a step as multiply-adds on registers, of float32, or of pairs of bfloat16."""
    spin, lanes = spinning(bf16=bf16)
    each = SUMS * lanes * (4 if bf16 else 2) * TURNS
    start = np.float32(0.5)

    def run(steps: int) -> float:
        calls = max(1, round(LONGER * steps * flop / each / threads))
        seconds = together(lambda _: [spin(TURNS, start) for _ in range(calls)], threads)
        return seconds * steps * flop / (calls * each * threads)

    run(1)
    return run


def no_bf16() -> str | None:
    """Why there is no peak of bfloat16 here; None where there is one."""
    from llvmlite import binding

    features = dict(binding.get_host_cpu_features())
    return None if features.get("avx512bf16") else "this processor has no AVX512-BF16"


@functools.cache
def spinning(*, bf16: bool) -> tuple[Callable[[int, Any], Any], int]:
    """A compiled loop of multiply-adds on ``SUMS`` registers, and numbers in a register."""
    from llvmlite import ir
    from numba import njit, types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from livesketch.backends.kernels.tiles import LANES

    lanes = 16 if bf16 else LANES
    word, wide, vector = ir.IntType(32), ir.IntType(64), ir.VectorType(ir.FloatType(), lanes)

    class Bfloat(ir.Type):  # type: ignore[misc, unused-ignore] - llvmlite has no name for it
        def _to_string(self) -> str:
            return "bfloat"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Bfloat)

        def __hash__(self) -> int:
            return hash("bfloat")

    def added(builder: Any, total: Any, factor: Any) -> Any:
        if not bf16:
            product = builder.fmul(total, factor, flags=("contract",))
            return builder.fadd(product, factor, flags=("contract",))
        pairs = ir.VectorType(Bfloat(), 2 * lanes)
        kind = ir.FunctionType(vector, [vector, pairs, pairs])
        dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
        given = builder.bitcast(factor, pairs)
        return builder.call(dot, [total, given, given])

    @intrinsic  # type: ignore[misc, unused-ignore]
    def loop(_: Any, turns: Any, start: Any) -> Any:  # noqa: ARG001 - numba counts them
        def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:  # noqa: ARG001 - numba's order
            nothing = ir.Constant(vector, ir.Undefined)
            single = builder.insert_element(nothing, values[1], ir.Constant(word, 0))
            factor = builder.shuffle_vector(single, nothing, ir.Constant(ir.VectorType(word, lanes), [0] * lanes))
            before, body, after = builder.block, builder.append_basic_block("turn"), builder.append_basic_block("end")
            builder.branch(body)
            builder.position_at_end(body)
            turn, totals = builder.phi(wide), [builder.phi(vector) for _ in range(SUMS)]
            now = [added(builder, total, factor) for total in totals]
            following = builder.add(turn, ir.Constant(wide, 1))
            turn.add_incoming(ir.Constant(wide, 0), before)
            turn.add_incoming(following, body)
            for k, (total, value) in enumerate(zip(totals, now, strict=True)):
                total.add_incoming(ir.Constant(vector, [float(k)] * lanes), before)
                total.add_incoming(value, body)
            builder.cbranch(builder.icmp_signed("<", following, values[0]), body, after)
            builder.position_at_end(after)
            total = functools.reduce(builder.fadd, now)
            return builder.extract_element(total, ir.Constant(word, 0))

        return types.float32(types.int64, types.float32), generate

    @njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def spin(turns: Any, start: Any) -> Any:
        return loop(turns, start)

    return spin, lanes


def gemm(flop: int, threads: int, dtype: str) -> Run:
    """``flop`` operations a step at the rate of PyTorch's product of two square matrices."""
    import torch

    kind = getattr(torch, dtype)
    a, b = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    out = torch.empty(SIDE, SIDE, dtype=kind)

    def run(steps: int) -> float:
        torch.set_num_threads(threads)
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        seconds = time.perf_counter() - start
        torch.set_num_threads(1)
        return seconds * steps * flop / (2 * SIDE**3)

    run(1)
    return run


def together(work: Callable[[int], object], threads: int) -> float:
    """Seconds until all of ``work(0)``, ``work(1)``, ... are done, each in a thread, the first in this one."""
    if threads == 1:
        start = time.perf_counter()
        work(0)
        return time.perf_counter() - start
    pool = workers(threads - 1)
    start = time.perf_counter()
    others = [pool.submit(work, k) for k in range(1, threads)]
    work(0)
    for other in others:
        other.result()
    return time.perf_counter() - start


@functools.cache
def workers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
