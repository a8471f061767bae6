"""One number for the jerk of a motion: mean, RMS and peak of its norm."""

from __future__ import annotations

from enum import Enum

import numpy as np


class Part(Enum):
    """Translation (m/s^3) or rotation (rad/s^3) of a screw: never summed."""

    TRANSLATION = slice(0, 3)
    ROTATION = slice(3, 6)


def jerk_norms(tool_jerk: np.ndarray, part: Part = Part.TRANSLATION) -> np.ndarray:
    """Return the Euclidean norms of the rows that have a jerk: [K], K <= T.

    tool_jerk: [T, 6] as `tool_jerk` returns it; rows of NaN are samples without a full window.
    Raises ValueError for another shape, or where no row is left.
    """
    jerk = np.asarray(tool_jerk, dtype=np.float64)
    if jerk.ndim != 2 or jerk.shape[1] != 6:
        raise ValueError(f'tool jerk has shape {jerk.shape}; expected [samples, 6]')
    norms = np.linalg.norm(jerk[~np.isnan(jerk).all(axis=1), part.value], axis=1)
    if not len(norms):
        raise ValueError('no sample has a jerk')
    return norms


def with_filled_ends(norms: np.ndarray) -> np.ndarray:
    """Give samples without a full window, at both ends, the value of the nearest that has one.

    norms: [T], NaN where there is no jerk.  Raises ValueError where no sample has one.
    """
    measured = np.flatnonzero(~np.isnan(norms))
    return np.interp(np.arange(len(norms)), measured, norms[measured])


def mean_jerk(tool_jerk: np.ndarray, part: Part = Part.TRANSLATION) -> float:
    """Return the mean norm of the tool's jerk: m/s^3, or rad/s^3 for the rotation.

    This is the jerk of equation 5 of the paper.  tool_jerk: [T, 6].  Raises as `jerk_norms`.
    """
    return float(np.mean(jerk_norms(tool_jerk, part)))


def rms_jerk(tool_jerk: np.ndarray, part: Part = Part.TRANSLATION) -> float:
    """Return the root mean square of the norm of the tool's jerk; otherwise as `mean_jerk`."""
    return float(np.sqrt(np.mean(jerk_norms(tool_jerk, part) ** 2)))


def peak_jerk(tool_jerk: np.ndarray, part: Part = Part.TRANSLATION) -> float:
    """Return the greatest norm of the tool's jerk; otherwise as `mean_jerk`."""
    return float(np.max(jerk_norms(tool_jerk, part)))
