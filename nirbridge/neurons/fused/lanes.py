"""Arithmetic on many neurons at once, in registers: loops written in LLVM's terms, with the operators of Python.

A loop over rows of an array loads and stores a row for each operation, since numba, which must assume that any two rows
overlap, joins no loops. Where a neuron's steps are few, they are better taken from the first to the last in registers.

Operators round as numpy's do, one by one, so that the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils

_BYTES = 64
"""Of a vector; where registers are shorter, LLVM takes several."""
_INDEX = ir.IntType(32)
_DOUBLE = ir.DoubleType()


@dataclass(frozen=True)
class Lanes:
    """As many neurons as a vector holds, or one.

    Attributes:
        builder: of the function that is being compiled.
        item: LLVM's type of a number.
        bytes: of a number.
        width: neurons.
    """

    builder: Any
    item: Any
    bytes: int
    width: int

    @property
    def type(self) -> Any:
        """LLVM's type of the numbers of all lanes."""
        return self.item if self.width == 1 else ir.VectorType(self.item, self.width)

    def every(self, number: Any) -> Numbers:
        """A number of LLVM in each lane."""
        if self.width == 1:
            return Numbers(self, number)
        nothing = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(_INDEX, 0))
        return Numbers(
            self, self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INDEX, self.width), None))
        )

    def constant(self, number: float) -> Numbers:
        """A known number in each lane."""
        return self.every(ir.Constant(self.item, number))

    def load(self, row: Any, index: Any) -> Numbers:
        """The neurons of a row from ``index`` on; ``row`` points to its first."""
        return Numbers(self, self.builder.load(self._at(row, index), align=self.bytes))

    def store(self, numbers: Numbers, row: Any, index: Any) -> None:
        """Writes them likewise."""
        self.builder.store(numbers.value, self._at(row, index), align=self.bytes)

    def _at(self, row: Any, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(row, [index]), self.type.as_pointer())


@dataclass(frozen=True)
class Numbers:
    """A number for each lane. Comparisons give a mask, and are false where one side is not a number."""

    lanes: Lanes
    value: Any

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(self.lanes, self.lanes.builder.fadd(self.value, other.value))

    def __sub__(self, other: Numbers) -> Numbers:
        return Numbers(self.lanes, self.lanes.builder.fsub(self.value, other.value))

    def __mul__(self, other: Numbers) -> Numbers:
        return Numbers(self.lanes, self.lanes.builder.fmul(self.value, other.value))

    def __lt__(self, other: Numbers) -> Mask:
        return self._compared("<", other)

    def __le__(self, other: Numbers) -> Mask:
        return self._compared("<=", other)

    def __gt__(self, other: Numbers) -> Mask:
        return self._compared(">", other)

    def __ge__(self, other: Numbers) -> Mask:
        return self._compared(">=", other)

    def _compared(self, how: str, other: Numbers) -> Mask:
        return Mask(self.lanes, self.lanes.builder.fcmp_ordered(how, self.value, other.value))


@dataclass(frozen=True)
class Mask:
    """True or false for each lane."""

    lanes: Lanes
    value: Any

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.lanes, self.lanes.builder.and_(self.value, other.value))


def where(mask: Mask, then: Numbers, otherwise: Numbers) -> Numbers:
    """``then`` where the mask is true."""
    return Numbers(mask.lanes, mask.lanes.builder.select(mask.value, then.value, otherwise.value))


def floor(numbers: Numbers) -> Numbers:
    """The highest whole number not above each."""
    return _called("floor", numbers)


def plus_product(total: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """total + a b, rounded once."""
    return _called("fma", a, b, total)


def _called(name: str, *numbers: Numbers) -> Numbers:
    """A function that LLVM has for all widths."""
    lanes = numbers[0].lanes
    vector = "" if lanes.width == 1 else f"v{lanes.width}"
    kind = ir.FunctionType(lanes.type, [lanes.type] * len(numbers))
    name = f"llvm.{name}.{vector}f{8 * lanes.bytes}"
    function = cgutils.get_or_insert_function(lanes.builder.module, kind, name)
    return Numbers(lanes, lanes.builder.call(function, [each.value for each in numbers]))


class Total:
    """A sum over neurons, lane by lane."""

    def __init__(self, widths: tuple[Lanes, ...]) -> None:
        self._held = {
            each.width: (each, cgutils.alloca_once_value(each.builder, each.constant(0.0).value)) for each in widths
        }

    def add_product(self, a: Numbers, b: Numbers) -> None:
        """Adds Σ a b."""
        lanes, held = self._held[a.lanes.width]
        total = plus_product(Numbers(lanes, lanes.builder.load(held)), a, b)
        lanes.builder.store(total.value, held)

    def result(self) -> Any:
        """The sum over all lanes, in double precision."""
        total = ir.Constant(_DOUBLE, 0.0)
        for lanes, held in self._held.values():
            b, value = lanes.builder, lanes.builder.load(held)
            for lane in range(lanes.width):
                one = value if lanes.width == 1 else b.extract_element(value, ir.Constant(_INDEX, lane))
                total = b.fadd(total, one if lanes.item == _DOUBLE else b.fpext(one, _DOUBLE))
        return total


def both_widths(context: Any, builder: Any, dtype: Any) -> tuple[Lanes, Lanes]:
    """A vector of neurons, and a single one for what is left of them; ``dtype`` is numba's."""
    item = context.get_data_type(dtype)
    size = context.get_abi_sizeof(item)
    return Lanes(builder, item, size, _BYTES // size), Lanes(builder, item, size, 1)


def for_neurons(widths: tuple[Lanes, Lanes], first: Any, last: Any, body: Callable[[Lanes, Any], None]) -> None:
    """Loops from neuron ``first`` to before ``last``: ``body(lanes, index)`` for vectors, then for single neurons."""
    builder, width = widths[0].builder, ir.Constant(first.type, widths[0].width)
    whole = builder.sub(last, builder.srem(builder.sub(last, first), width))
    with cgutils.for_range_slice(builder, first, whole, width) as (index, _):
        body(widths[0], index)
    with cgutils.for_range_slice(builder, whole, last, ir.Constant(first.type, 1)) as (index, _):
        body(widths[1], index)


def rows_of(context: Any, builder: Any, kind: Any, array: Any, count: int) -> list[Any]:
    """Pointers to the first ``count`` rows of a contiguous array [T, N]; ``kind`` is numba's type of it."""
    held = context.make_array(kind)(context, builder, array)
    width = cgutils.unpack_tuple(builder, held.shape)[1]
    return [builder.gep(held.data, [builder.mul(width, ir.Constant(width.type, row))]) for row in range(count)]
