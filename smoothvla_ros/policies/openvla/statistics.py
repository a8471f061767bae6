"""From what the network says to what the robot does, by the statistics of its training data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_DIMENSION, GRIPPER
from smoothvla_ros.policies.libero_proprioception import SIZE
from smoothvla_ros.policies.openvla.json_fields import Fields
from smoothvla_ros.policies.openvla.settings import OpenVLASettings


@dataclass(frozen=True)
class Scaling:
    """Quantiles of one quantity: normalised -1 is `low`, 1 is `high`; unmasked ones stay.

    low, high: float64 [n], the 1st and 99th percentile of the training data.  mask: bool [n].
    """

    low: np.ndarray
    high: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, statistics: Fields, size: int) -> Scaling:
        """Read ``q01``, ``q99`` and ``mask`` of a quantity of `size` numbers.

        Raises UserError naming the file and the field.
        """
        low = np.array(statistics.numbers('q01', size))
        high = np.array(statistics.numbers('q99', size))
        mask = np.array(statistics.items('mask', bool, size, [True] * size))
        if (low > high).any():
            raise statistics.wrong('q01', 'at most q99 in every place')
        return cls(low, high, mask)

    def scale(self, normalised: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """Return [..., n] in the units of the data.

        margin: added to the range; OpenVLA-OFT adds 1e-8, OpenVLA nothing.
        """
        scaled = 0.5 * (normalised + 1.0) * (self.high - self.low + margin) + self.low
        return np.where(self.mask, scaled, normalised)

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Return [..., n] clipped to [-1, 1], as OpenVLA-OFT is told its proprioception."""
        normalised = 2.0 * (values - self.low) / (self.high - self.low + 1e-8) - 1.0
        return np.clip(np.where(self.mask, normalised, values), -1.0, 1.0)


@dataclass(frozen=True)
class DataScaling:
    """How a checkpoint scales: its data set, actions, and proprioception where it is told that."""

    data_set: str
    action: Scaling
    proprioception: Scaling | None

    @classmethod
    def of(cls, statistics: Fields, settings: OpenVLASettings) -> DataScaling:
        """Read what the settings choose.

        Raises UserError for statistics that are missing, malformed or not LIBERO's.
        """
        data_set, chosen = choose_statistics(statistics, settings.statistics)
        if not data_set.startswith('libero'):
            raise UserError(
                f'{statistics.path}: actions of {data_set!r} are not LIBERO commands, and '
                'nothing here can execute them; give a checkpoint that was fine-tuned on LIBERO'
            )
        action = Scaling.of(chosen.inner('action'), ACTION_DIMENSION)
        if not settings.proprioception:
            return cls(data_set, action, None)
        return cls(data_set, action, Scaling.of(chosen.inner('proprio'), SIZE))


def choose_statistics(statistics: Fields, chosen: str) -> tuple[str, Fields]:
    """Return name and statistics of a data set; an empty choice takes the only one.

    Raises UserError that lists the names.
    """
    names = ', '.join(sorted(statistics.values))
    if not names:
        raise UserError(f'{statistics.path} has no statistics of any data set; copy it again')
    if not chosen and len(statistics.values) == 1:
        chosen = next(iter(statistics.values))
    if not chosen:
        raise UserError(
            f'{statistics.path} has statistics of several data sets ({names}); choose one as '
            '"statistics" in openvla.json'
        )
    if chosen not in statistics.values:
        raise UserError(
            f'{statistics.path}: no statistics of {chosen!r}; there are {names}: choose one as '
            '"statistics" in openvla.json'
        )
    return chosen, statistics.inner(chosen)


def libero_commands(actions: np.ndarray) -> np.ndarray:
    """Turn scaled actions [..., 7] into LIBERO's commands in [-1, 1].

    The training data says 0 for a closed and 1 for an open gripper, LIBERO 1 and -1: the published
    evaluation takes the sign of the doubled, centred value and turns it round. The six deltas are
    clipped, which LIBERO's controller does too.
    """
    commands = np.clip(actions, -1.0, 1.0)
    commands[..., GRIPPER] = -np.sign(2.0 * actions[..., GRIPPER] - 1.0)
    return commands
