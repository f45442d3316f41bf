"""Numbers that two threads change: whole ones in an int64 array, each operation seen by the other thread as a whole.

What a thread wrote before it ``put`` or ``added``, the other finds written once it has ``seen`` or ``added`` there.
"""

import os
import platform
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_PAUSES: Final = platform.machine().lower() in {"x86_64", "amd64", "i686", "x86"}


NAPS: Final = os.name == "posix"
"""Whether ``nap`` sleeps; elsewhere it returns at once."""


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


def _nap_of(_: Any, microseconds: Any) -> Any:
    def generate(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
        if NAPS:
            word = ir.IntType(32)
            kind = ir.FunctionType(word, [word])
            some = context.cast(builder, values[0], kinds.args[0], types.int32)
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "usleep"), [some])  # type: ignore[no-untyped-call, unused-ignore]
        return context.get_dummy_value()

    return types.void(microseconds), generate


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
nap: Callable[..., Any] = intrinsic(_nap_of)
"""``nap(microseconds)``: the thread sleeps so long, or a little longer; POSIX ``usleep``."""
