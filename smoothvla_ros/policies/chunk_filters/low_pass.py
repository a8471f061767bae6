"""A low-pass filter of the actions: what anyone would try first against jerky motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError


@dataclass(frozen=True)
class LowPassSettings:
    """Where the filter cuts off."""

    cutoff_hz: float = setting(2.0, 'Frequency at which an action has lost 3 dB, Hz', minimum=1e-3)
    rate_hz: float = setting(20.0, 'Actions a second; that of LIBERO', minimum=1e-3)

    def __post_init__(self) -> None:
        validate(self, 'low_pass')
        if self.cutoff_hz >= self.rate_hz / 2.0:
            raise UserError(
                f'low_pass: cutoff_hz={self.cutoff_hz} must stay below half of '
                f'rate_hz={self.rate_hz}; lower it'
            )


class LowPass:
    """A causal Butterworth filter of second order over the motion; the gripper passes unchanged.

    It starts from rest, as the arm does, and goes on across the seams of chunks.
    """

    def __init__(self, settings: LowPassSettings) -> None:
        """Design it by the bilinear transform with its cut-off warped onto the true one."""
        warped = math.tan(math.pi * settings.cutoff_hz / settings.rate_hz)
        scale = 1.0 / (1.0 + math.sqrt(2.0) * warped + warped**2)
        self._gain = warped**2 * scale
        self._feedback = (
            2.0 * (warped**2 - 1.0) * scale,
            (1.0 - math.sqrt(2.0) * warped + warped**2) * scale,
        )
        self._inputs: tuple[np.ndarray | float, np.ndarray | float] = (0.0, 0.0)
        self._outputs: tuple[np.ndarray | float, np.ndarray | float] = (0.0, 0.0)

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Return the whole chunk, filtered."""
        filtered = np.array(actions, dtype=np.float64)
        for step in filtered:
            newest = step[:-1].copy()
            output = (
                self._gain * (newest + 2.0 * self._inputs[0] + self._inputs[1])
                - self._feedback[0] * self._outputs[0]
                - self._feedback[1] * self._outputs[1]
            )
            self._inputs = (newest, self._inputs[0])
            self._outputs = (output, self._outputs[0])
            # An overshoot of a few percent at full deflection is no action.
            step[:-1] = np.clip(output, -1.0, 1.0)
        return filtered
