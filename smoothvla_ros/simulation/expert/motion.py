"""From where the tool should go to a smooth action: speed profiles, heights to keep, slew limits.

Everything here is a function of the measured state, but for the last command, from which the next
one may differ only a little. Actions are in the units of LIBERO's: 1.0 is the largest command.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from smoothvla_ros.kinematics.rotations import rotation_vector

OPEN, CLOSED = -1.0, 1.0  # gripper commands
# One control step with a constant command of 1.0 moves the tool this far (OSC_POSE, kp 150), m.
METRES_PER_STEP = 0.013
# How far the tool leans outward (rad) at what distance from the base's axis (m).
LEAN_RADII, LEANS = (0.30, 0.44, 0.66, 0.80), (-0.30, 0.0, 0.0, 0.35)
# Share of the way to a new command that is made in one step: it rounds the speed profile's corners.
SMOOTHING = 0.65
# How steeply the height to keep falls with the distance from an obstacle, m/m.
SLOPE = 1.5
# The orientation of the tool at the start of every LIBERO episode: it points down, tilted by 3.3
# degrees, the fingers open along the base's y axis. Grasps turn it about the vertical only.
START_TOOL_ROTATION = np.array([[0.9984, 0.0, -0.0566], [0.0, -1.0, 0.0], [-0.0566, 0.0, -0.9984]])


@dataclass(frozen=True)
class MotionLimits:
    """How fast and how suddenly the expert commands.

    slew: largest change of the translation command a control step.
    deceleration: change a step with which it slows towards a waypoint; below `slew`.
    gain: command per metre of error close to a waypoint, 1/m.
    """

    slew: float = 0.09
    deceleration: float = 0.05
    gain: float = 18.0
    rotation_gain: float = 1.6
    rotation_speed: float = 0.4
    rotation_slew: float = 0.05


LIMITS = MotionLimits()


@dataclass(frozen=True)
class ExpertCommand:
    """What a skill wants now, before slew limits.

    velocity: translation command [3].  rotation: orientation to hold [3, 3].
    gripper: -1 open, +1 closed.  waypoint: where the tool is heading [3] m.
    target: where the object is to end up, or the part that is moved, [3] m.
    noise: share of the injected noise that this moment bears, 0 to 1.
    """

    velocity: np.ndarray
    rotation: np.ndarray
    gripper: float
    waypoint: np.ndarray
    target: np.ndarray
    noise: float = 1.0


def speed_for_distance(
    distance: float, fastest: float = 1.0, limits: MotionLimits = LIMITS
) -> float:
    """Return the speed from which a steady deceleration stops at `distance` (m), in command units.

    Square root of the distance far away, linear close by, with one tangent where they meet.
    """
    joint = limits.deceleration / (METRES_PER_STEP * limits.gain**2)
    if distance <= joint:
        return min(limits.gain * distance, fastest)
    speed = np.sqrt(2.0 * limits.deceleration * (distance - joint / 2.0) / METRES_PER_STEP)
    return float(min(speed, fastest))


def velocity_towards(error: np.ndarray, fastest: float = 1.0) -> np.ndarray:
    """Return the command that goes straight along `error` (m) and stops at its end."""
    distance = float(np.linalg.norm(error))
    if distance < 1e-9:
        return np.zeros_like(error)
    return error / distance * speed_for_distance(distance, fastest)


def blend(error: np.ndarray, rise: float, lack: float, fastest_down: float = 0.8) -> np.ndarray:
    """Combine going across by `error` [2] m with climbing by `rise` m.

    lack: by how much the tool is too low to go across at all; across waits for it.
    """
    across = velocity_towards(error) * interpolate(lack, 0.0, 0.04, 1.0, 0.0)
    fastest = 1.0 if rise > 0 else fastest_down
    upward = np.sign(rise) * speed_for_distance(abs(rise), fastest)
    return np.array([*across, upward])


def tool_rotation(yaw: float, position: np.ndarray, level: bool = True) -> np.ndarray:
    """Return the orientation of the tool for a grasp turned by `yaw` (rad), at a `position` [3] m.

    Far from the base the tool leans outward, close to it inward: a vertical one would stretch the
    elbow until the arm is singular, or fold it to its limit.
    level: lean only as far as both fingers stay at one height.
    """
    lean = float(np.interp(np.linalg.norm(position[:2]), LEAN_RADII, LEANS))
    if level:
        return rotation_about(2, yaw) @ rotation_about(1, -lean * np.cos(yaw)) @ START_TOOL_ROTATION
    return rotation_about(1, -lean) @ rotation_about(2, yaw) @ START_TOOL_ROTATION


def sideways_rotation(outward: np.ndarray, tilt: float) -> np.ndarray:
    """Return the orientation that reaches against `outward` (unit, horizontal) from the front.

    The tool points down for a tilt (rad) of 0 and horizontally for pi / 2; the fingers open in the
    vertical plane that holds `outward`.
    """
    yaw = float(np.arctan2(-outward[0], outward[1]))
    if abs(yaw) > np.pi / 2:
        yaw, tilt = yaw - np.sign(yaw) * np.pi, -tilt
    return rotation_about(2, yaw) @ rotation_about(0, -tilt) @ START_TOOL_ROTATION


def pointing_rotation(approach: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """Return the orientation whose tool points along `approach` and opens along `fingers`.

    approach, fingers: unit vectors [3], perpendicular to each other.
    """
    return np.stack([np.cross(fingers, approach), fingers, approach], axis=1)


def rotation_about(axis: int, angle: float) -> np.ndarray:
    """Return the rotation by `angle` (rad) about base axis 0, 1 or 2, [3, 3]."""
    rotation = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation[first, first] = rotation[second, second] = np.cos(angle)
    rotation[second, first] = np.sin(angle)
    rotation[first, second] = -np.sin(angle)
    return rotation


class HeightProfile:
    """The heights to keep on the way to a goal, as functions of the distance to it.

    Obstacles near the straight line from start to goal raise them.
    """

    def __init__(
        self,
        start: np.ndarray,
        goal: np.ndarray,
        obstacles: np.ndarray,
        radius: float,
        lowest: float,
    ):
        """start, goal: [2] m.  obstacles: points [n, 3] m.  radius: half width of the way, m."""
        self._lowest = lowest
        line = goal - start
        length = float(np.linalg.norm(line))
        along = np.clip((obstacles[:, :2] - start) @ line / max(length**2, 1e-9), 0.0, 1.0)
        aside = np.linalg.norm(obstacles[:, :2] - (start + along[:, None] * line), axis=1)
        near = aside < radius
        self._distances = (1.0 - along[near]) * length
        self._heights = obstacles[near, 2]

    def required(self, distance: float) -> float:
        """Height (m) needed at a `distance` (m) from the goal for what is close by."""
        return self._highest(np.abs(self._distances - distance))

    def travel(self, distance: float) -> float:
        """Height (m) that clears all that lies ahead: the way never dips before it climbs."""
        return self._highest(np.maximum(self._distances - distance, 0.0))

    def _highest(self, away: np.ndarray) -> float:
        if not len(self._heights):
            return self._lowest
        return float(max((self._heights - SLOPE * away).max(), self._lowest))


def interpolate(value: float, low: float, high: float, at_low: float, at_high: float) -> float:
    """Linear interpolation between two points, constant outside."""
    return float(np.interp(value, (low, high), (at_low, at_high)))


@dataclass
class Servo:
    """Turns commands into actions that change smoothly from one control step to the next."""

    limits: MotionLimits = LIMITS
    _translation: np.ndarray = field(default_factory=lambda: np.zeros(3))
    _rotation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def action(self, command: ExpertCommand, tool_rotation: np.ndarray) -> np.ndarray:
        """Return the next action [7] in [-1, 1]."""
        limits = self.limits
        turn = limits.rotation_gain * rotation_vector(command.rotation @ tool_rotation.T)
        turn = _limit(turn, limits.rotation_speed)
        change = SMOOTHING * (np.clip(command.velocity, -1.0, 1.0) - self._translation)
        # Across and upward are limited apart: neither may keep the other from braking.
        across, upward = _limit(change[:2], limits.slew), _limit(change[2:], limits.slew)
        self._translation = self._translation + np.concatenate([across, upward])
        self._rotation = self._rotation + _limit(
            SMOOTHING * (turn - self._rotation), limits.rotation_slew
        )
        return np.concatenate([self._translation, self._rotation, [command.gripper]])


def _limit(vector: np.ndarray, longest: float) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)
