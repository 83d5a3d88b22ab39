"""A primitive's step → the source of its compiled pass, for numba and for Triton.

numba keeps the machine code of files, not of strings, and Triton reads files, so the passes are written to
:mod:`nirbridge_norse.fused.steps` and :mod:`nirbridge_norse.fused.triton_steps`, which are committed;
``python -m nirbridge_norse.fused.generating`` writes them anew, and a test compares.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from nirbridge.primitives import BUILT_IN
from nirbridge.primitives.spec import Step

HEAD = '''"""Compiled passes over all steps of a neuron; written by ``python -m nirbridge_norse.fused.generating``.

Each takes ``data`` and ``out`` [T, N], inputs and outputs, which may be the same memory; the states [N], the parameters
[P] and ``chunks`` (first neuron, neuron after the last, first parameter, group): small enough that a chunk stays in the
first-level cache over all T steps.  Loops index slices from 0: with an offset in the index numba gives up SIMD, and
likewise where it writes what it may read again, hence the buffer.  Without fused multiply-add or other shortcuts the
bits are those of the primitive's step, also where it divides by 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.machine_code import loop
from nirbridge_norse.fused.layout import CHUNK

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, ...]
'''

TRITON_HEAD = '''"""Kernels over all steps of a neuron for Triton; by ``python -m nirbridge_norse.fused.generating``.

Each takes ``data`` and ``out`` [steps, size], inputs and outputs, which may be the same memory; the states [size],
overwritten; and the parameters [period], of which neuron n has number n % period.  Launched with
``enable_fp_fusion=False``, the bits are those of the primitive's step.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nirbridge_norse.fused.triton_lanes import divided  # noqa: F401  few steps divide
'''


class UnwritableError(Exception):
    """The step holds something that no loop is written for."""


def pass_name(step: Step) -> str:
    """The name of a step's pass: that of its file, with what the function's name says besides."""
    file = step.__module__.rsplit(".", 1)[-1].strip("_")
    return re.sub(r"\W", "_", "run_" + file + step.__name__.removeprefix("step"))


def all_steps() -> dict[str, tuple[Step, tuple[str, ...]]]:
    """Name of the pass → (step, its states), of every primitive that is run by its step."""
    found: dict[str, tuple[Step, tuple[str, ...]]] = {}
    for spec in BUILT_IN:
        if spec.operation == "step" and spec.dynamics is not None:
            for step in filter(None, (spec.dynamics.step, spec.dynamics.subtracting)):
                found[pass_name(step)] = step, spec.dynamics.state
    return found


def module_source() -> str:
    """All passes as one file."""
    return _file(HEAD, pass_source)


def triton_module_source() -> str:
    """All kernels as one file."""
    return _file(TRITON_HEAD, kernel_source)


def _file(head: str, source: Callable[[str, Step, tuple[str, ...]], str]) -> str:
    return head + "".join(f"\n\n{source(name, *found)}" for name, found in all_steps().items())


def pass_source(name: str, step: Step, state: tuple[str, ...]) -> str:
    """The pass of one step for numba.

    Raises:
        UnwritableError: the step holds something else than assignments, arithmetic, comparisons and ``where``.
    """
    read = _read(step, state, _Body)
    entering = ["row[n]", *(f"{name}_[n]" for name in (*state, *read.parameters))]
    lines = [
        "@loop",
        f"def {name}(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:",
        f'    """{read.summary}"""',
        *(f"    {constant} = data.dtype.type({value})" for value, constant in read.constants.items()),
        "    buffer = np.empty(CHUNK, data.dtype)",
        "    for c in range(chunks.shape[0]):",
        "        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]",
        "        size = last - first",
        *(f"        {name}_ = state[{index}][first:last]" for index, name in enumerate(state)),
        *(f"        {name}_ = parameters[{i}][offset : offset + size]" for i, name in enumerate(read.parameters)),
        "        for t in range(data.shape[0]):",
        "            row, sent = data[t, first:last], out[t, first:last]",
        "            for n in range(size):",
        *(f"                {name} = {value}" for name, value in zip(read.arguments, entering, strict=True)),
        *(f"                {line}" for line in read.statements),
        "            for n in range(size):",
        "                sent[n] = buffer[n]",
    ]
    return "\n".join(lines) + "\n"


def kernel_source(name: str, step: Step, state: tuple[str, ...]) -> str:
    """The kernel of one step for Triton: a block of neurons whose states stay in registers over all steps.

    Raises:
        UnwritableError: as for :func:`pass_source`.
    """
    read = _read(step, state, _KernelBody)
    held = (*state, *read.parameters)
    places = ["n"] * len(state) + ["n % period"] * len(read.parameters)
    given = ("data", "out", *(f"{name}_at" for name in held), "steps", "size", "period", "BLOCK: tl.constexpr")
    lines = [
        "@triton.jit",
        f"def {name}(",
        *(f"    {argument}," for argument in given),
        "):",
        f'    """{read.summary}"""',
        *(f"    {text} = tl.full((), {value}, data.dtype.element_ty)" for value, text in read.constants.items()),
        "    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)",
        "    inside = n < size",
        *(f"    {name}_ = tl.load({name}_at + {at}, inside)" for name, at in zip(held, places, strict=True)),
        "    row, sent = data + n, out + n",
        "    for _ in range(steps):",
        f"        {read.arguments[0]} = tl.load(row, inside)",
        *(f"        {name} = {name}_" for name in held),
        *(f"        {line}" for line in read.statements),
        "        row += size",
        "        sent += size",
        *(f"    tl.store({name}_at + n, {name}_, inside)" for name in state),
    ]
    return "\n".join(lines) + "\n"


class _Read(NamedTuple):
    """What a source is written from."""

    summary: str
    arguments: list[str]
    parameters: list[str]
    statements: list[str]
    constants: dict[str, str]


def _read(step: Step, state: tuple[str, ...], kind: type[_Body]) -> _Read:
    tree = ast.parse(textwrap.dedent(inspect.getsource(step))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise UnwritableError("it is no plain function")
    arguments = [argument.arg for argument in tree.args.args]
    body = kind(arguments, state)
    statements = list(body.written(tree.body))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    return _Read(summary, arguments, arguments[1 + len(state) :], statements, body.constants)


class _Body:
    """The statements of a step, one neuron at a time."""

    own: ClassVar = {
        *("c", "chunks", "first", "last", "offset", "size", "n", "t", "np"),
        *("buffer", "data", "out", "parameters", "row", "sent", "state"),
    }
    """Names that a pass has for itself."""
    marks: ClassVar[tuple[str, ...]] = ("_",)
    """What it puts behind the name of a state or a parameter, for the array that it lies in."""
    choice = "{1} if {0} else {2}"
    inversion = "not ({})"
    quotient = "{} / {}"
    sent, kept = "buffer[n] = {}", "{}_[n] = {}"

    def __init__(self, arguments: list[str], state: tuple[str, ...]) -> None:
        self.taken = self.own | {name + mark for name in arguments for mark in self.marks}
        for name in arguments:
            self._require_free(name)
        self.numbers = set(arguments)
        self.comparisons: set[str] = set()
        self.state = state
        self.constants: dict[str, str] = {}
        self._temporaries = 0
        self._pending: list[str] = []

    def written(self, body: list[ast.stmt]) -> Iterator[str]:
        for statement in body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # the docstring
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                self._require_free(name)
                compares = self._compares(statement.value)
                value = self._expression(statement.value) if compares else self._number(statement.value)
                yield from self._flushed()
                (self.comparisons if compares else self.numbers).add(name)
                (self.numbers if compares else self.comparisons).discard(name)
                yield f"{name} = {value}"
            elif isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
                values = [self._number(value) for value in statement.value.elts]
                yield from self._flushed()
                yield self.sent.format(values[0])
                yield from (self.kept.format(*pair) for pair in zip(self.state, values[1:], strict=True))
            else:
                raise UnwritableError(f"line {statement.lineno} is no assignment to a name and no return of a tuple")

    def _require_free(self, name: str) -> None:
        if name in self.taken or re.fullmatch(r"(either|constant)\d+", name):
            raise UnwritableError(f"{name!r} is a name that the pass has for itself")

    def _flushed(self) -> Iterator[str]:
        yield from self._pending
        self._pending.clear()

    def _compares(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.comparisons
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            return self._compares(node.left) and self._compares(node.right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return self._compares(node.operand)
        return isinstance(node, ast.Compare)

    def _number(self, node: ast.expr) -> str:
        """The expression; a comparison counts as 1 where it holds."""
        if not self._compares(node):
            return self._expression(node)
        return self.choice.format(self._expression(node), self._constant("1"), self._constant("0"))

    def _inner(self, node: ast.expr) -> str:
        text = self._number(node)
        return text if isinstance(node, (ast.Name, ast.Constant)) and not self._compares(node) else f"({text})"

    def _expression(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            if node.id not in self.numbers | self.comparisons:
                raise UnwritableError(f"{node.id!r} is no argument and no name given before")
            return node.id
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return self._constant(repr(node.value))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self.quotient.format(self._inner(node.left), self._inner(node.right))
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return f"{self._inner(node.left)} {_ARITHMETIC[type(node.op)]} {self._inner(node.right)}"
        if isinstance(node, ast.BinOp) and self._compares(node):
            sign = "&" if isinstance(node.op, ast.BitAnd) else "|"
            return f"({self._expression(node.left)}) {sign} ({self._expression(node.right)})"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return f"-{self._inner(node.operand)}"
        if isinstance(node, ast.UnaryOp) and self._compares(node):
            return self.inversion.format(self._expression(node.operand))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
            sign = _COMPARISONS[type(node.ops[0])]
            return f"{self._inner(node.left)} {sign} {self._inner(node.comparators[0])}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where":
            condition, first, second = node.args
            first, condition, second = self._branch(first), self._expression(condition), self._branch(second)
            return self.choice.format(condition, first, second)
        raise UnwritableError(f"line {node.lineno} holds {ast.unparse(node)!r}")

    def _branch(self, node: ast.expr) -> str:
        """Both branches of a choice are computed before it: it is then no jump, and the loop stays SIMD."""
        if isinstance(node, ast.Name) and not self._compares(node):
            return self._expression(node)
        self._temporaries += 1
        name = f"either{self._temporaries}"
        self._pending.append(f"{name} = {self._number(node)}")
        return name

    def _constant(self, value: str) -> str:
        """Numbers take the dtype of the data, as with numpy and torch; numba would widen them."""
        return self.constants.setdefault(value, f"constant{len(self.constants) + 1}")


class _KernelBody(_Body):
    """The same of a block of neurons, in Triton's words."""

    own: ClassVar = {
        *("data", "out", "row", "sent", "n", "inside", "steps", "size", "period"),
        *("BLOCK", "_", "divided", "tl", "triton"),
    }
    marks = ("_", "_at")
    choice = "tl.where({}, {}, {})"
    inversion = "~({})"
    quotient = "divided({}, {})"
    sent, kept = "tl.store(sent, {}, inside)", "{}_ = {}"


_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_COMPARISONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}

if __name__ == "__main__":
    Path(__file__).with_name("steps.py").write_text(module_source())
    Path(__file__).with_name("triton_steps.py").write_text(triton_module_source())
