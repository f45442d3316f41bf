"""Numbers that two threads change: whole ones in an int64 array, each operation seen by the other thread as a whole.

What a thread wrote before it ``put`` or ``added``, the other finds written once it has ``seen`` or ``added`` there.
"""

import platform
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_PAUSES: Final = platform.machine().lower() in {"x86_64", "amd64", "i686", "x86"}


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


def _pause_of(_: Any) -> Any:
    def generate(context: Any, builder: Any, *_: Any) -> Any:
        if _PAUSES:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])  # type: ignore[no-untyped-call, unused-ignore]
        return context.get_dummy_value()

    return types.void(), generate


seen: Callable[..., Any] = intrinsic(_seen_of)
"""``seen(numbers, index)``: the number."""
put: Callable[..., Any] = intrinsic(_put_of)
"""``put(numbers, index, value)``: sets it."""
added: Callable[..., Any] = intrinsic(_added_of)
"""``added(numbers, index, value)``: adds to it, and gives the number that it was before."""
pause: Callable[..., Any] = intrinsic(_pause_of)
"""``pause()``: tells the processor that this thread only waits."""
