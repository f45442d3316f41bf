"""A regular expression over characters, lifted to the tokens of a vocabulary.

Parsed (regex.py), made a nondeterministic automaton (Thompson, "Regular expression search algorithm", CACM 11, 1968),
then a deterministic one by the subset construction, over classes of characters that no atom of the pattern tells
apart. A token is the characters of its text one after another; what state it leads to is computed for all tokens at
once.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ControlError
from .constraint import Constraint, checked_vocabulary
from .regex import Atom, Choice, Join, Many, Node, parse
from .table import LEFT, MOST_STATES, Table, TableConstraint, checked_size

MOST_NODES = 50_000
"""Nodes of the nondeterministic automaton, counted repeats written out."""


def grammar(pattern: str) -> "Grammar":
    """Only texts that match ``pattern`` as a whole; END comes where the text so far matches, and nowhere else.

    The syntax is that of Python's ``re`` as far as it is regular: classes, escapes, ``.`` (any but a newline), groups,
    ``|``, ``* + ? {m,n}``, and ``(?i)`` or ``(?s)`` at the start. It is about characters, whatever the tokens are.

    Raises:
        ControlError: not a regular expression, or one with backreferences, anchors or looking around (which is named).
    """
    parse(pattern)
    return Grammar(pattern)


@dataclass(frozen=True, slots=True)
class Grammar:
    """The rule that :func:`grammar` gives."""

    pattern: str

    def says(self) -> str:
        """What it asks for, for messages."""
        return f"grammar {self.pattern!r:.60}"

    def bind(self, vocabulary: tuple[str, ...]) -> Constraint:
        """The automaton over this vocabulary.

        Raises:
            ControlError: too many states (table.py), or no text of the grammar can be written with this vocabulary.
        """
        vocabulary = checked_vocabulary(vocabulary)
        node, flags = parse(self.pattern)
        letters = sorted(set("".join(vocabulary)))
        machine = _Machine()
        last = machine.add(node, machine.node(self.says()), self.says())
        classes, takes = _classes(machine.atoms, flags, letters)
        moves, accepting = _determined(
            machine, last, takes, lambda states: checked_size(states, len(vocabulary), self.says())
        )
        table = _lifted(moves, classes, letters, vocabulary)
        return TableConstraint(table, accepting, vocabulary, self.says())


class _Machine:
    """A nondeterministic automaton: node 0 is the start."""

    def __init__(self) -> None:
        self.free: list[list[int]] = []
        """Per node: where one gets without a character."""
        self.moves: list[tuple[int, int] | None] = []
        """Per node: an atom's number and where it leads."""
        self.atoms: dict[str, int] = {}

    def node(self, says: str) -> int:
        if len(self.free) >= MOST_NODES:
            raise ControlError(f"{says} is too large: its counted repeats written out have over {MOST_NODES} parts")
        self.free.append([])
        self.moves.append(None)
        return len(self.free) - 1

    def add(self, node: Node, start: int, says: str) -> int:
        """Adds ``node`` after ``start``, and gives where it ends."""
        if isinstance(node, Atom):
            end = self.node(says)
            step = self.node(says)
            self.free[start].append(step)
            self.moves[step] = (self.atoms.setdefault(node.source, len(self.atoms)), end)
            return end
        if isinstance(node, Join):
            for part in node.parts:
                start = self.add(part, start, says)
            return start
        if isinstance(node, Choice):
            end = self.node(says)
            for part in node.parts:
                self.free[self.add(part, start, says)].append(end)
            return end
        return self._add_many(node, start, says)

    def _add_many(self, node: Many, start: int, says: str) -> int:
        for _ in range(node.least):
            start = self.add(node.part, start, says)
        if node.most is None:
            loop = self.node(says)
            self.free[start].append(loop)
            self.free[self.add(node.part, loop, says)].append(loop)
            return loop
        end = self.node(says)
        self.free[start].append(end)
        for _ in range(node.most - node.least):
            start = self.add(node.part, start, says)
            self.free[start].append(end)
        return end

    def closure(self, nodes: Iterable[int]) -> frozenset[int]:
        """The nodes that ``nodes`` reach without a character, themselves included."""
        seen, waiting = set(nodes), list(nodes)
        while waiting:
            for other in self.free[waiting.pop()]:
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return frozenset(seen)


def _classes(atoms: dict[str, int], flags: int, letters: list[str]) -> tuple[NDArray[np.intp], list[frozenset[int]]]:
    """Per letter its class, and per class the atoms that take it."""
    member = np.zeros((len(letters), max(len(atoms), 1)), dtype=np.bool_)
    for source, number in atoms.items():
        matches = re.compile(source, flags).fullmatch
        member[:, number] = [matches(letter) is not None for letter in letters]
    kinds, classes = np.unique(member, axis=0, return_inverse=True)
    return classes.reshape(-1), [frozenset(np.flatnonzero(kind).tolist()) for kind in kinds]


def _determined(
    machine: _Machine, last: int, takes: list[frozenset[int]], check: Callable[[int], None]
) -> tuple[list[list[int]], NDArray[np.bool_]]:
    """The deterministic automaton: per state and class the next state or LEFT, and which states are accepting.

    ``check(states)`` raises where there are too many.
    """
    start = machine.closure([0])
    numbers, sets, moves = {start: 0}, [start], []
    for nodes in sets:  # grows while it is read
        targets: dict[int, list[int]] = {}
        for node in nodes:
            move = machine.moves[node]
            if move is not None:
                targets.setdefault(move[0], []).append(move[1])
        seen: dict[frozenset[int], int] = {frozenset(): LEFT}
        row = []
        for atoms in takes:
            mine = atoms.intersection(targets)
            if mine not in seen:
                reached = machine.closure({target for atom in mine for target in targets[atom]})
                if reached not in numbers:
                    check(len(sets) + 1)
                    numbers[reached] = len(sets)
                    sets.append(reached)
                seen[mine] = numbers[reached]
            row.append(seen[mine])
        moves.append(row)
    return moves, np.array([last in nodes for nodes in sets])


def _lifted(
    moves: list[list[int]], classes: NDArray[np.intp], letters: list[str], vocabulary: tuple[str, ...]
) -> Table:
    """(S, V): the state after all characters of each token. An empty text stays, which its user overwrites."""
    states, kinds = len(moves), len(moves[0]) if moves else 0
    assert states <= MOST_STATES
    step = np.full(
        (states + 1, kinds + 1), states, dtype=np.int16
    )  # the last state is the trap, the last class no letter
    step[:states, :kinds] = np.where(np.array(moves) == LEFT, states, np.array(moves))
    step[:, kinds] = np.arange(states + 1)
    of_letter = dict(zip(letters, classes.tolist(), strict=True))
    longest = max(map(len, vocabulary))
    codes = np.full((longest, len(vocabulary)), kinds, dtype=np.intp)
    for index, text in enumerate(vocabulary):
        codes[: len(text), index] = [of_letter[letter] for letter in text]
    table = np.empty((states, len(vocabulary)), dtype=np.int16)
    for state in range(states):
        row = step[state, codes[0]]
        for code in codes[1:]:
            row = step[row, code]
        table[state] = row
    table[table == states] = LEFT
    return table
