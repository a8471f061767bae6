"""Disturbances of the expert's actions, so that its demonstrations show how to correct errors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.libero import POSE, POSE_DIMENSION, TRANSLATION


@dataclass(frozen=True)
class NoiseSettings:
    """What is added to the executed actions; the recorded label stays the expert's own."""

    scale: float = setting(
        0.2, 'standard deviation on the translation command', minimum=0.0, maximum=1.0
    )
    rotation_share: float = setting(0.15, 'the same for rotation, as a share', minimum=0.0)
    correlation: float = setting(
        0.85, 'of the noise from one control step to the next', minimum=0.0, maximum=0.999
    )
    push_rate: float = setting(
        0.02, 'probability a control step that a short push begins', minimum=0.0, maximum=1.0
    )
    push_scale: float = setting(3.0, 'strength of a push, as a multiple of scale', minimum=0.0)
    clean_share: float = setting(
        0.25, 'share of the episodes without any noise', minimum=0.0, maximum=1.0
    )

    def __post_init__(self) -> None:
        validate(self, 'noise')

    def weaker(self, factor: float) -> NoiseSettings:
        """Return the same settings with the scale multiplied by `factor`."""
        return dataclasses.replace(self, scale=self.scale * factor)


class ActionNoise:
    """The noise of one episode: correlated in time, with short pushes in a random direction."""

    def __init__(self, settings: NoiseSettings, seed: list[int]):
        self._settings = settings
        self._generator = np.random.default_rng(seed)
        self._clean = self._generator.random() < settings.clean_share
        self._drift = np.zeros(POSE_DIMENSION)
        self._push = np.zeros(3)
        self._push_steps = 0

    @property
    def clean(self) -> bool:
        """Whether this episode runs without noise."""
        return self._clean or self._settings.scale == 0.0

    def disturb(self, action: np.ndarray, share: float) -> np.ndarray:
        """Return what is executed instead of `action` [7]; share, 0 to 1, scales the noise now."""
        if self.clean:
            return action
        settings, generator = self._settings, self._generator
        fresh = generator.normal(size=POSE_DIMENSION) * np.sqrt(1.0 - settings.correlation**2)
        self._drift = settings.correlation * self._drift + fresh
        if self._push_steps > 0:
            self._push_steps -= 1
        elif generator.random() < settings.push_rate:
            self._push_steps = int(generator.integers(3, 7))
            direction = generator.normal(size=3)
            self._push = direction / np.linalg.norm(direction) * settings.push_scale
        noise = self._drift * np.repeat([1.0, settings.rotation_share], 3)
        if self._push_steps > 0:
            noise[TRANSLATION] += self._push
        executed = action.copy()
        executed[POSE] = np.clip(executed[POSE] + settings.scale * share * noise, -1.0, 1.0)
        return executed
