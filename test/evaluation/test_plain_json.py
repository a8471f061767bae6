"""What stands in every file of figures where a number does not exist, and whose types it has."""

from __future__ import annotations

import json
import math

import numpy as np

from smoothvla_ros.evaluation.plain_json import plain


def test_figures_become_what_json_can_hold() -> None:
    """NumPy's numbers become Python's, NaN and infinity null, at any depth."""
    value = {1: (np.float64(0.5), math.nan), 'b': {'c': [np.int64(2), -math.inf, True, 'x', None]}}
    assert plain(value) == {'1': [0.5, None], 'b': {'c': [2, None, True, 'x', None]}}
    assert json.dumps(plain(value), allow_nan=False)


def test_digits_are_those_of_numbers_with_a_fraction() -> None:
    """Whole numbers, as those of steps or of nanoseconds, are kept to the last digit."""
    assert plain([1.23456789, 123456789, True], 3) == [1.23, 123456789, True]
