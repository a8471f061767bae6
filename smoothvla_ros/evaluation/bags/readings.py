"""What is known at each instant at which a recording's jerk was read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import Motions, screw_jerk


@dataclass(frozen=True)
class Readings:
    """K instants of one robot.

    time_s: [K] s since the recording began; it goes on where the robot's clock jumped back.
    stamps_s: [K] s since the first stamp, as the robot's clock had it.
    runs: [K] int; between two runs something is missing.
    joint_speed, joint_jerk: [K, n] rad/s, rad/s^3.
    tool_jerk: [K, 2] m/s^3 and rad/s^3, norms; tool_speed: [K] m/s. None without a model.
    tool_position: [K, 3] m, NaN where it was not wanted; None without a model.
    """

    time_s: np.ndarray
    stamps_s: np.ndarray
    runs: np.ndarray
    joint_speed: np.ndarray
    joint_jerk: np.ndarray
    tool_jerk: np.ndarray | None
    tool_speed: np.ndarray | None
    tool_position: np.ndarray | None

    def __len__(self) -> int:
        return len(self.time_s)

    def __getitem__(self, index: slice) -> Readings:
        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[index]

        return Readings(
            self.time_s[index],
            self.stamps_s[index],
            self.runs[index],
            self.joint_speed[index],
            self.joint_jerk[index],
            part(self.tool_jerk),
            part(self.tool_speed),
            part(self.tool_position),
        )

    @property
    def speed(self) -> np.ndarray:
        """The speed whose shape is judged: the tool's in m/s, else that of the joints in rad/s."""
        return (
            np.linalg.norm(self.joint_speed, axis=1) if self.tool_speed is None else self.tool_speed
        )

    @property
    def jerk(self) -> np.ndarray:
        """The jerk that goes with `speed`: m/s^3, else the norm over joints in rad/s^3."""
        return (
            np.linalg.norm(self.joint_jerk, axis=1)
            if self.tool_jerk is None
            else self.tool_jerk[:, 0]
        )


class Reader:
    """Turns the joints' motions into readings; keeps one time for the whole recording."""

    def __init__(self, arm: Arm | None, window_s: float, period_s: float, place_every: int) -> None:
        """Take the model, the window and the time between readings.

        place_every: readings from one tool position to the next; it is only drawn.
        """
        self._arm = arm
        self._window_s = window_s
        self._period_s = period_s
        self._place_every = place_every
        self._ahead_s = 0.0
        self._last_s: float | None = None
        self._placed = 0

    def read(self, motions: Motions) -> Readings:
        """Return the readings of the next motions."""
        joints = motions.motions
        tool = (None, None, None) if self._arm is None else self._tool(joints, self._arm)
        return Readings(
            self._time(motions.stamps_s),
            motions.stamps_s,
            motions.runs,
            joints[:, 1],
            joints[:, 3],
            *tool,
        )

    def _time(self, stamps_s: np.ndarray) -> np.ndarray:
        before = stamps_s[:1] if self._last_s is None else [self._last_s]
        back = np.minimum(np.diff(stamps_s, prepend=before), 0.0)
        lost = np.where(back < 0.0, self._period_s - back, 0.0)
        time = stamps_s + self._ahead_s + np.cumsum(lost)
        self._ahead_s += float(lost.sum())
        if len(stamps_s):
            self._last_s = float(stamps_s[-1])
        return time

    def _tool(self, joints: np.ndarray, arm: Arm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = len(joints)
        jerk, speed = np.empty((count, 2)), np.empty(count)
        position = np.full((count, 3), np.nan)
        for index, motion in enumerate(joints):
            screw = screw_jerk(motion, arm.jacobian, self._window_s)
            jerk[index] = np.linalg.norm(screw[:3]), np.linalg.norm(screw[3:])
            speed[index] = np.linalg.norm(arm.jacobian(motion[0])[:3] @ motion[1])
            if self._placed % self._place_every == 0:
                position[index] = arm.tool_pose(motion[0])[0]
            self._placed += 1
        return jerk, speed, position
