"""Each surrogate's derivative is the slope of its primitive, and both are the formulas of the papers."""

import numpy as np
import pytest
import torch
from finite_differences import PRIMITIVES

from nirbridge.errors import InputError
from nirbridge.neurons import MultiLevelLIF, Sigmoid, Tet, Triangle
from nirbridge.neurons.surrogates import SURROGATES

# No point of this grid is a kink of any surrogate below.
R = torch.linspace(-3.0, 3.0, 997, dtype=torch.float64) + 1e-4
CASES = [Triangle(), Triangle(1.7), Tet(), Tet(0.6), Tet(2.5), Sigmoid(), Sigmoid(5.0), Sigmoid(0.5)]


@pytest.mark.parametrize("surrogate", CASES, ids=repr)
def test_derivative_is_the_slope_of_the_primitive(surrogate):
    h = 1e-6
    slope = (surrogate.primitive(R + h) - surrogate.primitive(R - h)) / (2 * h)
    torch.testing.assert_close(surrogate.derivative(R), slope, rtol=0, atol=1e-8)


@pytest.mark.parametrize("surrogate", CASES, ids=repr)
def test_primitive_rises_from_zero_to_the_area(surrogate):
    grid = torch.linspace(-60.0, 60.0, 240_001, dtype=torch.float64)
    area = torch.trapezoid(surrogate.derivative(grid), grid)
    ends = surrogate.primitive(torch.tensor([-60.0, 60.0], dtype=torch.float64))
    torch.testing.assert_close(ends[0], torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(ends[1], area, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SURROGATES)
def test_primitive_equals_its_piecewise_formula(name):
    np.testing.assert_allclose(SURROGATES[name]().primitive(R).numpy(), PRIMITIVES[name](R.numpy()), atol=1e-14)


def test_the_papers_values():
    r = torch.tensor([-1.0, -0.5, 0.0, 0.5, 2.0], dtype=torch.float64)
    assert Triangle().derivative(r).tolist() == pytest.approx([0.0, 0.15, 0.3, 0.15, 0.0])
    assert Tet(2.0).derivative(r).tolist() == pytest.approx([0.25, 0.375, 0.5, 0.375, 0.0])
    assert Sigmoid(4.0).derivative(r)[2].item() == pytest.approx(1.0)


def test_names_stand_for_the_defaults():
    assert MultiLevelLIF(surrogate="tet").surrogate == Tet(g=1.0)
    assert MultiLevelLIF(surrogate="sigmoid").surrogate == Sigmoid(alpha=4.0)
    assert MultiLevelLIF().surrogate == Triangle(gamma=0.3)


@pytest.mark.parametrize("build", [lambda: Triangle(0.0), lambda: Tet(-1.0), lambda: Sigmoid(float("nan"))])
def test_a_width_that_is_not_positive_is_refused(build):
    with pytest.raises(InputError):
        build()
