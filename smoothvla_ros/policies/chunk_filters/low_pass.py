"""A low-pass filter of the actions: what anyone would try first against jerky motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CONTROL_RATE_HZ


@dataclass(frozen=True)
class LowPassSettings:
    """Where the filter cuts off."""

    cutoff_hz: float = setting(2.0, 'Frequency at which an action has lost 3 dB, Hz', minimum=1e-3)
    rate_hz: float = setting(CONTROL_RATE_HZ, 'Actions a second; that of LIBERO', minimum=1e-3)

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
        """Design it; every number of an action has its own state, all at rest."""
        self._sections = signal.butter(2, settings.cutoff_hz, fs=settings.rate_hz, output='sos')
        self._state: np.ndarray | None = None

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Return the whole chunk, filtered."""
        filtered = np.array(actions, dtype=np.float64)
        motion = filtered[:, :-1]
        if self._state is None:
            self._state = np.zeros((len(self._sections), 2, motion.shape[1]))
        output, self._state = signal.sosfilt(self._sections, motion, axis=0, zi=self._state)
        # An overshoot of a few percent at full deflection is no action.
        filtered[:, :-1] = np.clip(output, -1.0, 1.0)
        return filtered
