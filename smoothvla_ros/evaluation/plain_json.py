"""Figures as JSON can hold them: its own types, and null where there is no number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any, digits: int | None = None) -> Any:
    """Make JSON's own types of NumPy's, and None of numbers that do not exist: JSON has no NaN.

    digits: significant ones that are kept of a number with a fraction; None for all.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return value if digits is None else float(f'{value:.{digits}g}')
