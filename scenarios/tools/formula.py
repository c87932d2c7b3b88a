"""Formulas as text: read once, checked word by word, and evaluated on tensors.

Only arithmetic gets through: numbers, the declared variables, ``+ - * / ** ^``, brackets, ``pi``, ``e`` and the functions of
:data:`FUNCTIONS`. The text is never run as Python, so a formula from a stranger's file can do no more than compute.
"""

import ast
import difflib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kancl.errors import InputError

LONGEST = 1000
"""Characters that a formula may have."""
DEEPEST = 100
"""Levels that a formula may have; a sum of n terms has n."""
BRACKETS = 50
"""Brackets that may be open at once."""
WINDOW = 60
"""Characters of a formula that an error shows."""

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sign": torch.sign,
    "floor": torch.floor,
}
"""Functions of one argument; angles are in radians, ``log`` is the natural logarithm."""
SEVERAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"min": torch.minimum, "max": torch.maximum}
"""Functions of two or more arguments."""
CONSTANTS = {"pi": math.pi, "e": math.e}
OPERATORS: dict[type[ast.operator], Callable[[Tensor, Tensor], Tensor]] = {
    ast.Add: torch.add,
    ast.Sub: torch.sub,
    ast.Mult: torch.mul,
    ast.Div: torch.div,
    ast.Pow: torch.pow,
}

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
WORD = re.compile(
    rf"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>{NAME})|(?P<sign>\*\*|[-+*/^(),])|(?P<space>[ \t]+)", re.ASCII
)
Evaluate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Formula:
    """A formula that was read by :func:`parse`.

    Args:
        text: as it was written.
        variables: the names of its columns, in their order.
    """

    text: str
    variables: tuple[str, ...]
    _evaluate: Evaluate = field(repr=False, compare=False)

    def __call__(self, columns: Tensor) -> Tensor:
        """Evaluate in float64 on ``columns`` (N, V), one column for each variable; return the values (N,).

        Raises:
            InputError: columns of another shape, or a value that is not finite, with the inputs at which it comes up.
        """
        if columns.ndim != 2 or columns.shape[1] != len(self.variables):
            raise InputError(
                f"formula {_short(self.text)} of {', '.join(self.variables) or 'no variables'} needs columns of shape "
                f"(N, {len(self.variables)}), got {tuple(columns.shape)}"
            )
        values = self._evaluate(columns.double()).expand(len(columns))
        broken = (~values.isfinite()).nonzero()
        if len(broken):
            row = int(broken[0])
            inputs = (f"{name} = {value:g}" for name, value in zip(self.variables, columns[row].tolist(), strict=True))
            where = ", ".join(inputs) or "any input"
            raise InputError(
                f"formula {_short(self.text)} is {values[row]:g} at {where} ({len(broken)} of {len(columns)} points); "
                "use it where it is finite"
            )
        return values.clone()


def parse(text: str, variables: Sequence[str]) -> Formula:
    """Read a formula of the declared variables.

    ``^`` means a power, like ``**``; powers bind from the right and before a minus in front, so ``-x^2`` is -(x^2).
    All numbers are float64.

    Args:
        text: the formula.
        variables: names of the inputs' columns, in their order.

    >>> parse("1 - 2*x^2", ["x"])(torch.tensor([[0.0], [3.0]])).tolist()
    [1.0, -17.0]

    Raises:
        InputError: anything that is no formula, with a mark under the place.
    """
    for name in variables:
        if not re.fullmatch(NAME, name) or name in _known():
            raise InputError(f"a variable of a formula needs a name of its own, of letters, digits and _, got {name!r}")
    if len(set(variables)) < len(variables):
        raise InputError(f"the variables of a formula must differ, got {', '.join(variables)}")
    return Formula(text, tuple(variables), _Reader(text, tuple(variables)).read())


def _known() -> tuple[str, ...]:
    return (*FUNCTIONS, *SEVERAL, *CONSTANTS)


class _Reader:
    """Reads one formula: first its words, then its structure as Python sees it, of which only arithmetic is let through."""

    def __init__(self, text: str, variables: tuple[str, ...]) -> None:
        self.text = text
        self.columns = {name: number for number, name in enumerate(variables)}
        self.places: list[int] = []
        """Where each character that Python sees stands in the text: ``**`` takes the place of ``^``."""

    def read(self) -> Evaluate:
        if len(self.text) > LONGEST:
            raise InputError(f"a formula may have {LONGEST} characters, got {len(self.text)}: {_short(self.text)}")
        source = "".join(self._words())
        if not source:
            raise InputError(f"a formula is missing: got {self.text!r}; write e.g. 'sin(2*pi*x)'")
        try:
            tree = ast.parse(source, mode="eval")
        except SyntaxError as error:
            # Where the text ends too early Python names no place in it.
            column = error.offset - 1 if error.offset else len(self.places)
            raise self._refusal("expected a number, a variable or a sign here", column) from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise self._refusal("this is too deep to be read", 0) from error
        return self._compiled(tree.body, 0)

    def _words(self) -> Iterator[str]:
        """Give the words in Python's notation, and refuse what no formula has: so nothing else ever reaches the parser."""
        position, before, opened = 0, "", []
        while position < len(self.text):
            match = WORD.match(self.text, position)
            if match is None:
                raise self._fault(f"{self.text[position]!r} is no part of a formula", position)
            kind, word = match.lastgroup, match.group()
            if before == "number" and kind == "name":
                raise self._fault("a sign is missing; a product is written 2*x", position)
            if word == "(":
                opened.append(position)
            elif word == ")" and (not opened or opened.pop() is None):
                raise self._fault("this bracket was never opened", position)
            if len(opened) > BRACKETS:
                raise self._fault(f"more than {BRACKETS} brackets are open here", position)
            before = kind or ""
            # Spaces at the front would be an indentation to Python; after that they keep words apart.
            if kind != "space" or self.places:
                seen = "**" if word == "^" else word
                self.places += [position + min(offset, len(word) - 1) for offset in range(len(seen))]
                yield seen
            position = match.end()
        if opened:
            raise self._fault("this bracket is never closed", opened[-1])

    def _compiled(self, node: ast.expr, depth: int) -> Evaluate:
        """Return what evaluates a node of the structure, or refuse it."""
        if depth > DEEPEST:
            raise self._refusal(f"more than {DEEPEST} levels deep here; a shorter formula is needed", node.col_offset)
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self._constant(number, node)
            case ast.Name(id=name):
                return self._named(name, node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                value = self._compiled(operand, depth + 1)
                return (lambda x: -value(x)) if isinstance(sign, ast.USub) else value
            case ast.BinOp(op=op, left=left, right=right) if type(op) in OPERATORS:
                apply = OPERATORS[type(op)]
                first, second = self._compiled(left, depth + 1), self._compiled(right, depth + 1)
                return lambda x: apply(first(x), second(x))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args, node, depth)
            case ast.Call():
                raise self._refusal("what is called here is no function; a product is written with *", node.col_offset)
            case ast.Tuple(elts=[]):
                raise self._refusal("there is nothing between these brackets", node.col_offset)
            case ast.Tuple():
                raise self._refusal("a comma stands between the arguments of min and max, nowhere else", node.col_offset)
        raise self._refusal("only numbers, variables, + - * / ^, brackets and functions make a formula", node.col_offset)

    def _constant(self, number: float, node: ast.expr) -> Evaluate:
        try:
            value = torch.tensor(float(number), dtype=torch.float64)
        except OverflowError:
            value = torch.tensor(torch.inf, dtype=torch.float64)
        if not value.isfinite():
            raise self._refusal("this number is too large", node.col_offset)
        return lambda x: value

    def _named(self, name: str, node: ast.expr) -> Evaluate:
        if name in self.columns:
            column = self.columns[name]
            return lambda x: x[:, column]
        if name in CONSTANTS:
            return self._constant(CONSTANTS[name], node)
        if name in FUNCTIONS or name in SEVERAL:
            raise self._refusal(f"{name} is a function; write {name}(...)", node.col_offset)
        raise self._refusal(f"unknown name {name}; {self._near(name, (*self.columns, *_known()))}", node.col_offset)

    def _call(self, name: str, args: list[ast.expr], node: ast.expr, depth: int) -> Evaluate:
        if name in self.columns or name in CONSTANTS:
            raise self._refusal(f"{name} is no function; a product is written {name}*(...)", node.col_offset)
        if name not in FUNCTIONS and name not in SEVERAL:
            raise self._refusal(f"unknown function {name}; {self._near(name, (*FUNCTIONS, *SEVERAL))}", node.col_offset)
        if len(args) != 1 if name in FUNCTIONS else len(args) < 2:
            wanted = "one argument" if name in FUNCTIONS else "two arguments or more"
            raise self._refusal(f"{name} takes {wanted}, got {len(args)}", node.col_offset)
        inner = [self._compiled(arg, depth + 1) for arg in args]
        if name in FUNCTIONS:
            function, only = FUNCTIONS[name], inner[0]
            return lambda x: function(only(x))
        return _folded(SEVERAL[name], inner)

    @staticmethod
    def _near(name: str, names: Sequence[str]) -> str:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        return f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"

    def _refusal(self, what: str, column: int) -> InputError:
        """An error at a column of what Python saw."""
        return self._fault(what, self.places[column] if 0 <= column < len(self.places) else len(self.text))

    def _fault(self, what: str, position: int) -> InputError:
        """An error with a mark under the place, in as much of the text as fits a line."""
        first = max(0, position - WINDOW // 2)
        shown = re.sub(r"\s", " ", self.text[first : first + WINDOW])
        return InputError(f"formula {_short(self.text)}: {what}\n  {shown}\n  {' ' * (position - first)}^")


def _short(text: str) -> str:
    return repr(text if len(text) <= WINDOW else f"{text[: WINDOW - 3]}...")


def _folded(function: Callable[[Tensor, Tensor], Tensor], inner: list[Evaluate]) -> Evaluate:
    def evaluate(x: Tensor) -> Tensor:
        value = inner[0](x)
        for other in inner[1:]:
            value = function(value, other(x))
        return value

    return evaluate
