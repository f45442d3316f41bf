"""Reads the pickle of an object array of drawings by interpreting it here: the pickle module is never run.

A pickle is a small program for a stack machine. This machine knows only the opcodes that NumPy's arrays
of arrays are written with (protocols 2 to 4: Python 2, Python 3 before and after NumPy 2). Its values are
numbers, texts, bytes, tuples, one list, four names, and stand-ins for a dtype and an array; no class and
no function is ever looked up or called, and NumPy sees nothing but checked bytes at the end. Unpickling
real dtypes and arrays would hand the file's own tuples to NumPy's C code, which trusts them.

Work and memory are bounded by the number of drawings that the array's header gives.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

from .array_standins import MAX_NAME, NAMES, ArrayStandIn, DtypeStandIn, Name, short_text

MAX_DRAWINGS: Final = 400_000
"""Most drawings in one array; the official splits of a category hold 70,000 for training."""

MAX_NUMBERS: Final = 1 << 26
"""Most numbers in the drawings of one array, 256 MiB as float32: an official file has about 10 million."""

# Per drawing the official files take up to 29 opcodes and 8 memo entries; a drawing with a dtype of its
# own (big-endian numbers) takes up to 55 and 13. pickle appends 1000 drawings at a time.
_STEPS_PER_DRAWING: Final = 64
_MEMOS_PER_DRAWING: Final = 16
_STEPS_BESIDE: Final = 256
_MAX_STACK: Final = 2048


class _Machine:
    """The stack machine: reads one pickle of an object array of ``drawings`` elements."""

    __slots__ = ("data", "drawings", "encoded", "list_made", "marks", "memo", "most_memos", "stack")

    def __init__(self, data: bytes, drawings: int) -> None:
        self.data = data
        self.drawings = drawings
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []
        self.most_memos = _MEMOS_PER_DRAWING * drawings + _STEPS_BESIDE
        self.list_made = False
        self.encoded = 0

    def run(self) -> object:
        data, stack, opcodes, at = self.data, self.stack, _OPCODES, 0
        for _ in range(_STEPS_PER_DRAWING * self.drawings + _STEPS_BESIDE):
            code = data[at]
            if code not in opcodes:
                raise ValueError(f"its pickle has the opcode {bytes([code])!r}, which arrays of drawings do not need")
            width, counted, step = opcodes[code]
            at += 1
            argument: Any = None
            if width > 0:
                argument = data[at] if width == 1 else int.from_bytes(data[at : at + width], "little")
                at += width
                if counted:  # where this reaches past the end, so does the next opcode: an IndexError
                    argument, at = data[at : at + argument], at + argument
            elif code == _GLOBAL:
                argument, at = self.two_lines(at)
            elif code == _STOP:
                return stack.pop()
            step(self, argument)
            if len(stack) > _MAX_STACK:
                raise ValueError(f"its pickle piles up more than {_MAX_STACK} values")
        raise ValueError(f"its pickle takes more steps than {self.drawings} drawings need")

    def two_lines(self, at: int) -> tuple[tuple[str, str], int]:
        lines = self.data[at : at + 2 * MAX_NAME].split(b"\n", 2)
        if len(lines) != 3:
            raise ValueError("its pickle asks for a name that is too long or cut short")
        return (lines[0].decode("ascii"), lines[1].decode("ascii")), at + len(lines[0]) + len(lines[1]) + 2

    def above_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


_Step: TypeAlias = Callable[[_Machine, Any], None]


def _nothing(machine: _Machine, argument: int) -> None:
    """PROTO and FRAME: the version and the length of the next part, neither needed here."""


def _push(machine: _Machine, argument: int | bytes) -> None:
    machine.stack.append(argument)


def _push_signed(machine: _Machine, argument: int) -> None:
    machine.stack.append(argument - (1 << 32) if argument >> 31 else argument)


def _push_text(machine: _Machine, argument: bytes) -> None:
    machine.stack.append(argument.decode("utf-8"))


def _push_constant(value: bool | None) -> _Step:
    return lambda machine, _: machine.stack.append(value)


def _push_list(machine: _Machine, _: None) -> None:
    if machine.list_made:
        raise ValueError("its pickle makes more than one list")
    machine.list_made = True
    machine.stack.append([])


def _mark(machine: _Machine, _: None) -> None:
    if len(machine.marks) >= _MAX_STACK:
        raise ValueError(f"its pickle sets more than {_MAX_STACK} marks")
    machine.marks.append(len(machine.stack))


def _tuple_of(count: int) -> _Step:
    def step(machine: _Machine, _: None) -> None:
        stack = machine.stack
        if len(stack) < count:
            raise ValueError("its pickle takes more values than it has made")
        stack[-count:] = [tuple(stack[-count:])]

    return step


def _tuple_of_marked(machine: _Machine, _: None) -> None:
    items = machine.above_mark()
    machine.stack.append(tuple(items))


def _memoize(machine: _Machine, _: None) -> None:
    _put(machine, len(machine.memo))


def _put(machine: _Machine, index: int) -> None:
    """Remembers the top value; but no tuples, which no array recalls and hostile files could heap up."""
    memo, value = machine.memo, machine.stack[-1]
    if index >= machine.most_memos:
        raise ValueError(f"its pickle remembers more values than {machine.drawings} drawings need")
    if index >= len(memo):
        memo.extend([None] * (index + 1 - len(memo)))
    memo[index] = None if type(value) is tuple else value


def _recall(machine: _Machine, index: int) -> None:
    machine.stack.append(machine.memo[index])


def _extend(machine: _Machine, items: list[Any]) -> None:
    drawings = machine.stack[-1]
    if type(drawings) is not list or len(drawings) + len(items) > machine.drawings:
        raise ValueError(f"its pickle adds to a {type(drawings).__name__}, or more than {machine.drawings} drawings")
    if any(type(item) is not ArrayStandIn for item in items):
        raise ValueError("its list holds something other than arrays")
    drawings.extend(items)


def _append_marked(machine: _Machine, _: None) -> None:
    _extend(machine, machine.above_mark())


def _append(machine: _Machine, _: None) -> None:
    _extend(machine, [machine.stack.pop()])


def _global(machine: _Machine, name: tuple[str, str]) -> None:
    if name not in NAMES:
        raise ValueError(f"it asks for {name[0][:MAX_NAME]}.{name[1][:MAX_NAME]}")
    machine.stack.append(NAMES[name])


def _stack_global(machine: _Machine, _: None) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    _global(machine, (short_text(module), short_text(name)))


def _encode(machine: _Machine, args: object) -> bytes:
    """``_codecs.encode(text, "latin1")``, as Python 3 writes bytes for Python 2; each text once."""
    if type(args) is not tuple or len(args) != 2 or type(args[0]) is not str or short_text(args[1]) != "latin1":
        raise ValueError("its pickle encodes something other than a text as latin1")
    machine.encoded += len(args[0])
    if machine.encoded > len(machine.data):
        raise ValueError("its pickle encodes more text than it holds")
    return args[0].encode("latin1")


def _reduce(machine: _Machine, _: None) -> None:
    """Stands for the call of a name: the three that array pickles call."""
    args, name = machine.stack.pop(), machine.stack.pop()
    if name is Name.RECONSTRUCT:
        machine.stack.append(ArrayStandIn(args))
    elif name is Name.DTYPE:
        machine.stack.append(DtypeStandIn(args))
    elif name is Name.ENCODE:
        machine.stack.append(_encode(machine, args))
    else:
        raise ValueError(f"its pickle calls {name if isinstance(name, Name) else type(name).__name__}")


def _build(machine: _Machine, _: None) -> None:
    state, target = machine.stack.pop(), machine.stack[-1]
    if type(target) is ArrayStandIn:
        target.build(state, machine.drawings)
    elif type(target) is DtypeStandIn:
        target.build(state)
    else:
        raise ValueError(f"its pickle sets the state of a {type(target).__name__}")


_STOP: Final = ord(".")
_GLOBAL: Final = ord("c")

_OPCODES: Final[dict[int, tuple[int, bool, _Step]]] = {
    # opcode: (bytes of its argument, -1: read apart, whether that is the length of what follows, what it does)
    0x80: (1, False, _nothing),  # PROTO
    0x95: (8, False, _nothing),  # FRAME
    ord("N"): (0, False, _push_constant(None)),  # NONE
    0x88: (0, False, _push_constant(True)),  # NEWTRUE
    0x89: (0, False, _push_constant(False)),  # NEWFALSE
    ord("K"): (1, False, _push),  # BININT1
    ord("M"): (2, False, _push),  # BININT2
    ord("J"): (4, False, _push_signed),  # BININT
    ord("C"): (1, True, _push),  # SHORT_BINBYTES
    ord("B"): (4, True, _push),  # BINBYTES
    ord("U"): (1, True, _push),  # SHORT_BINSTRING (Python 2)
    ord("T"): (4, True, _push),  # BINSTRING (Python 2)
    0x8C: (1, True, _push_text),  # SHORT_BINUNICODE
    ord("X"): (4, True, _push_text),  # BINUNICODE
    ord("]"): (0, False, _push_list),  # EMPTY_LIST
    ord("a"): (0, False, _append),  # APPEND
    ord("e"): (0, False, _append_marked),  # APPENDS
    ord("("): (0, False, _mark),  # MARK
    ord("t"): (0, False, _tuple_of_marked),  # TUPLE
    0x85: (0, False, _tuple_of(1)),  # TUPLE1
    0x86: (0, False, _tuple_of(2)),  # TUPLE2
    0x87: (0, False, _tuple_of(3)),  # TUPLE3
    ord("q"): (1, False, _put),  # BINPUT
    ord("r"): (4, False, _put),  # LONG_BINPUT
    0x94: (0, False, _memoize),  # MEMOIZE
    ord("h"): (1, False, _recall),  # BINGET
    ord("j"): (4, False, _recall),  # LONG_BINGET
    _GLOBAL: (-1, False, _global),  # GLOBAL
    _STOP: (-1, False, _nothing),  # STOP
    0x93: (0, False, _stack_global),  # STACK_GLOBAL
    ord("R"): (0, False, _reduce),  # REDUCE
    ord("b"): (0, False, _build),  # BUILD
}


def read_drawings(data: bytes, drawings: int) -> list[NDArray[Any]]:
    """The arrays in a pickled object array of shape (``drawings``,): 2-D, numbers, read-only.

    Raises:
        ValueError: the pickle is damaged, or holds or asks for anything but such an array.
    """
    if drawings > MAX_DRAWINGS:
        raise ValueError(f"an array of {drawings} drawings, more than {MAX_DRAWINGS}")
    try:
        array = _Machine(data, drawings).run()
    except IndexError as err:
        raise ValueError("its pickle is cut short or damaged") from err
    drawn = array.held if isinstance(array, ArrayStandIn) else None
    if not isinstance(drawn, list):
        raise ValueError(f"holds a {type(array).__name__}, expected an array of drawings")  # noqa: TRY004
    found = [drawing.numbers() for drawing in drawn]
    if sum(rows.size for rows in found) > MAX_NUMBERS:
        raise ValueError(f"drawings of more than {MAX_NUMBERS} numbers")
    return found
