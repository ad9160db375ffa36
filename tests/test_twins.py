"""A kernel and its reference that part are seen, and the line names both files."""

import numpy as np
import pytest

from evolution.errors import RunError
from networks import population, reference
from networks.twins import agree


def test_equal_values_pass_and_nan_agrees_with_nan():
    values = np.array([[1.0, np.nan, np.inf, -np.inf], [1e300, 0.0, -3.0, 1e-300]])
    agree("outputs", population, reference, values, values.copy())
    agree("outputs", population, reference, values + 1e-12, values)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.00001, -1.0])
def test_a_value_that_differs_ends_the_run_with_a_line_that_names_both_files(wrong):
    values = np.ones((2, 3))
    values[1, 2] = wrong
    with pytest.raises(RunError) as error:
        agree("outputs of a network", population, reference.forward, values, np.ones((2, 3)))
    (line,) = str(error.value).splitlines()
    assert line.startswith("outputs of a network: ")
    assert "networks/population.py" in line
    assert "networks/reference.py" in line
    assert f"({wrong:.9g} and 1 at [1, 2])" in line


def test_another_shape_differs():
    with pytest.raises(RunError, match=r"shapes \(2,\) and \(3,\)"):
        agree("outputs", "a.py", "b.py", [1, 1], [1, 1, 1])


def test_the_tolerance_is_relative_for_large_values():
    agree("outputs", "a.py", "b.py", [1e6 + 1], [1e6], tolerance=1e-5)
    with pytest.raises(RunError):
        agree("outputs", "a.py", "b.py", [1e6 + 100], [1e6], tolerance=1e-5)
