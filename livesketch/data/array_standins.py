"""What stands for NumPy's dtypes and arrays while a pickle is read: checked parts, never NumPy's own.

Real dtypes and arrays take the file's own tuples in ``__setstate__``, in C code that trusts them. The
stand-ins take nothing but a plain number's byte order, and a shape, an order and contents that agree.
"""

import enum
import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_NAME: Final = 64
"""Most characters of a name that a pickle gives."""

_DTYPE: Final = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|O[48]?)")


class Name(enum.Enum):
    """What a pickle may refer to by name; a mere mark, which nothing can call or change."""

    RECONSTRUCT = enum.auto()
    NDARRAY = enum.auto()
    DTYPE = enum.auto()
    ENCODE = enum.auto()


NAMES: Final = {
    ("numpy.core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy", "ndarray"): Name.NDARRAY,
    ("numpy", "dtype"): Name.DTYPE,
    ("_codecs", "encode"): Name.ENCODE,
}


def short_text(value: object) -> str:
    """A text, or what Python 2 wrote as a byte string for one."""
    if isinstance(value, bytes) and len(value) <= MAX_NAME:
        return value.decode("ascii")
    if isinstance(value, str):
        return value
    raise ValueError(f"its pickle has a {type(value).__name__} where a short text belongs")


class DtypeStandIn:
    """Stands for a dtype: one kind of number, or objects; no fields, no subarrays."""

    __slots__ = ("kind", "real")

    def __init__(self, args: object) -> None:
        if type(args) is not tuple or len(args) != 3 or not all(type(n) in (int, bool) for n in args[1:]):
            raise ValueError("its pickle makes a dtype from something other than its name and two flags")
        found = _DTYPE.fullmatch(short_text(args[0])[:MAX_NAME])
        if found is None:
            raise ValueError(f"an array of dtype {short_text(args[0])[:MAX_NAME]!r}, expected numbers")
        self.kind: str = found[1]
        self.real: np.dtype[Any] | None = None if self.kind[0] == "O" else np.dtype(found[0])

    def build(self, state: object) -> None:
        """Takes the byte order, the only part of a plain dtype's state that says something."""
        if type(state) is not tuple or len(state) != 8 or type(state[0]) is not int or state[0] != 3:
            raise ValueError("its pickle sets an unknown state of a dtype")
        if any(part is not None for part in state[2:5]) or state[5:7] != (-1, -1) or type(state[7]) is not int:
            raise ValueError("a dtype with fields or subarrays, expected plain numbers")
        order = short_text(state[1])
        if len(order) != 1 or order not in "<>|=":
            raise ValueError("its pickle sets an unknown byte order")
        if self.real is not None:
            self.real = np.dtype(order + self.kind)


class ArrayStandIn:
    """Stands for an array: the bytes of a drawing, or the list of the drawings."""

    __slots__ = ("dtype", "fortran", "held", "shape")

    def __init__(self, args: object) -> None:
        if type(args) is not tuple or len(args) != 3 or args[0] is not Name.NDARRAY or args[1] != (0,):
            raise ValueError("its pickle makes an array from something other than numpy.ndarray and (0,)")
        self.shape: tuple[int, ...] = ()
        self.dtype: np.dtype[Any] | None = None
        self.fortran = False
        self.held: bytes | list[ArrayStandIn] | None = None

    def build(self, state: object, drawings: int) -> None:
        """Takes shape, dtype, order and contents, once, where all of them agree."""
        if self.held is not None or type(state) is not tuple or len(state) != 5:
            raise ValueError("its pickle sets the state of an array twice, or an unknown state")
        version, shape, dtype, fortran, held = state
        if type(version) is not int or version != 1 or type(fortran) is not bool or type(dtype) is not DtypeStandIn:
            raise ValueError("its pickle sets an unknown state of an array")
        if type(shape) is not tuple or not 1 <= len(shape) <= 2:
            raise ValueError("an array that is neither a list of drawings nor a drawing of shape (n, 3)")
        for n in shape:
            if type(n) is not int or n < 0:
                raise ValueError("an array whose shape is not made of counts")
        if dtype.real is None:
            if shape != (drawings,) or type(held) is not list or len(held) != drawings:
                raise ValueError(f"an object array that is not the list of {drawings} drawings its header gives")
        elif len(shape) != 2:
            raise ValueError(f"a drawing of shape {shape}, expected (n, 3) numbers")
        elif type(held) is not bytes or shape[0] * shape[1] * dtype.real.itemsize != len(held):
            raise ValueError(f"a drawing of shape {shape} that does not hold the bytes of its numbers")
        self.shape, self.dtype, self.fortran, self.held = shape, dtype.real, fortran, held

    def numbers(self) -> NDArray[Any]:
        """The drawing's numbers: a read-only view of its bytes."""
        if self.dtype is None or not isinstance(self.held, bytes):
            raise ValueError("an array in place of a drawing that holds no numbers")
        flat = np.frombuffer(self.held, self.dtype) if self.held else np.empty(0, self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")
