"""Numbers that two threads change: whole ones in an int64 array, each operation seen by the other thread as a whole.

What a thread wrote before it ``put`` or ``added``, the other finds written once it has ``seen`` or ``added`` there.
"""

import platform
import sys
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_PAUSES: Final = platform.machine().lower() in {"x86_64", "amd64", "i686", "x86"}


CORES: Final = sys.platform == "linux"
"""Whether ``core`` and ``confined`` do anything."""


def _place(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """A pointer to the number at an index."""
    array = context.make_array(kinds.args[0])(context, builder, values[0])
    index = context.cast(builder, values[1], kinds.args[1], types.int64)
    return builder.gep(array.data, [index])


def _seen_of(_: Any, numbers: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        return builder.load_atomic(_place(context, builder, kinds, values), "acquire", 8)

    return types.int64(numbers, index), generate


def _put_of(_: Any, numbers: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        number = context.cast(builder, values[2], kinds.args[2], types.int64)
        builder.store_atomic(number, _place(context, builder, kinds, values), "release", 8)
        return context.get_dummy_value()

    return types.void(numbers, index, value), generate


def _added_of(_: Any, numbers: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        number = context.cast(builder, values[2], kinds.args[2], types.int64)
        return builder.atomic_rmw("add", _place(context, builder, kinds, values), number, "acq_rel")

    return types.int64(numbers, index, value), generate


def _swapped_of(_: Any, numbers: Any, index: Any, known: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        before, after = (context.cast(builder, values[k], kinds.args[k], types.int64) for k in (2, 3))
        both = builder.cmpxchg(_place(context, builder, kinds, values), before, after, "acq_rel", "acquire")
        return builder.extract_value(both, 1)

    return types.boolean(numbers, index, known, value), generate


def _pause_of(_: Any) -> Any:
    def generate(context: Any, builder: Any, *_: Any) -> Any:
        if _PAUSES:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])  # type: ignore[no-untyped-call, unused-ignore]
        return context.get_dummy_value()

    return types.void(), generate


def _bell_of(call: str) -> Callable[..., Any]:
    def typed(_: Any, descriptor: Any) -> Any:
        def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
            word, wide = ir.IntType(32), ir.IntType(64)
            kind = ir.FunctionType(wide, [word, wide.as_pointer(), wide])
            system = cgutils.get_or_insert_function(builder.module, kind, call)  # type: ignore[no-untyped-call, unused-ignore]
            place = cgutils.alloca_once_value(builder, wide(1))  # type: ignore[no-untyped-call, unused-ignore]
            builder.call(system, [context.cast(builder, values[0], kinds.args[0], types.int32), place, wide(8)])
            return context.get_dummy_value()

        return types.void(descriptor), generate

    return typed


def _core_of(_: Any) -> Any:
    def generate(context: Any, builder: Any, *_: Any) -> Any:
        if not CORES:
            return context.get_constant(types.int64, -1)
        kind = ir.FunctionType(ir.IntType(32), [])
        system = cgutils.get_or_insert_function(builder.module, kind, "sched_getcpu")  # type: ignore[no-untyped-call, unused-ignore]
        return builder.sext(builder.call(system, []), ir.IntType(64))

    return types.int64(), generate


def _confined_of(_: Any, thread: Any, cores: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        if CORES:
            word, wide = ir.IntType(32), ir.IntType(64)
            mask = context.make_array(kinds.args[1])(context, builder, values[1])
            kind = ir.FunctionType(word, [word, wide, mask.data.type])
            system = cgutils.get_or_insert_function(builder.module, kind, "sched_setaffinity")  # type: ignore[no-untyped-call, unused-ignore]
            size = builder.mul(mask.nitems, mask.itemsize)
            builder.call(system, [context.cast(builder, values[0], kinds.args[0], types.int32), size, mask.data])
        return context.get_dummy_value()

    return types.void(thread, cores), generate


seen: Callable[..., Any] = intrinsic(_seen_of)
"""``seen(numbers, index)``: the number."""
put: Callable[..., Any] = intrinsic(_put_of)
"""``put(numbers, index, value)``: sets it."""
added: Callable[..., Any] = intrinsic(_added_of)
"""``added(numbers, index, value)``: adds to it, and gives the number that it was before."""
swapped: Callable[..., Any] = intrinsic(_swapped_of)
"""``swapped(numbers, index, known, value)``: sets it where it still is what was known; whether it was."""
pause: Callable[..., Any] = intrinsic(_pause_of)
"""``pause()``: tells the processor that this thread only waits."""
awaited: Callable[..., Any] = intrinsic(_bell_of("read"))
"""``awaited(descriptor)``: sleeps until there are eight bytes in a pipe, and takes them; POSIX."""
rung: Callable[..., Any] = intrinsic(_bell_of("write"))
"""``rung(descriptor)``: puts eight bytes there, a 1."""
RING: Final = (1).to_bytes(8, sys.byteorder)
"""What ``rung`` writes."""
core: Callable[..., Any] = intrinsic(_core_of)
"""``core()``: the number of the core that the thread runs on; -1 where the system does not say."""
confined: Callable[..., Any] = intrinsic(_confined_of)
"""``confined(thread, cores)``: a thread runs on these cores only, a bit each in an int64 array; Linux."""
