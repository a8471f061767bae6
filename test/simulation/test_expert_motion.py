"""The expert's way of moving: speeds, heights, slew limits, orientations."""

import numpy as np
import pytest

from smoothvla_ros.simulation.expert.motion import (
    LIMITS,
    METRES_PER_STEP,
    START_TOOL_ROTATION,
    ExpertCommand,
    HeightProfile,
    Servo,
    blend,
    rotation_about,
    sideways_rotation,
    speed_for_distance,
    tool_rotation,
)


def _command(velocity, gripper=-1.0):
    return ExpertCommand(
        velocity=np.asarray(velocity, dtype=float),
        rotation=START_TOOL_ROTATION,
        gripper=gripper,
        waypoint=np.zeros(3),
        target=np.zeros(3),
    )


def test_following_the_speed_profile_brakes_no_harder_than_it_promises():
    """A tool that follows the profile never changes speed faster than `deceleration`."""
    distance, speeds = 0.3, []
    while distance > 1e-3:
        speeds.append(speed_for_distance(distance))
        distance -= METRES_PER_STEP * speeds[-1]
    braking = -np.diff(speeds)
    assert speeds[0] == 1.0
    assert braking.max() < 1.15 * LIMITS.deceleration
    assert braking.min() >= -1e-12


def test_actions_change_by_no_more_than_the_slew_limit():
    """Whatever a skill asks for, across and upward commands change by at most `slew` a step."""
    servo, generator = Servo(), np.random.default_rng(0)
    actions = np.array(
        [
            servo.action(_command(generator.uniform(-1, 1, size=3)), START_TOOL_ROTATION)
            for _ in range(200)
        ]
    )
    change = np.diff(actions, axis=0)
    assert np.linalg.norm(change[:, :2], axis=1).max() <= LIMITS.slew + 1e-12
    assert np.abs(change[:, 2]).max() <= LIMITS.slew + 1e-12
    assert np.abs(actions[:, :6]).max() <= 1.0


def test_the_servo_turns_the_tool_towards_the_wanted_orientation():
    """The rotation command is along the axis that is left to turn, in the base frame."""
    servo = Servo()
    measured = rotation_about(2, 0.3) @ START_TOOL_ROTATION
    action = servo.action(_command(np.zeros(3)), measured)
    assert action[5] < 0.0
    assert np.abs(action[3:5]).max() < 1e-9


def test_a_half_turn_is_turned():
    """A tool that points the other way has half a turn to go, about whichever axis."""
    for axis in range(3):
        action = Servo().action(
            _command(np.zeros(3)), rotation_about(axis, np.pi) @ START_TOOL_ROTATION
        )
        assert abs(action[3 + axis]) > 0.01


def test_the_way_never_dips_before_it_climbs():
    """Approaching the goal, the travel height only falls; what is passed no longer counts."""
    wall = np.array([[0.5, 0.0, 0.3], [0.2, 0.0, 0.1]])
    profile = HeightProfile(np.zeros(2), np.array([1.0, 0.0]), wall, radius=0.1, lowest=0.05)
    heights = [profile.travel(distance) for distance in np.linspace(1.0, 0.0, 101)]
    assert heights[0] == pytest.approx(0.3)
    assert np.all(np.diff(heights) <= 1e-12)
    assert heights[-1] == pytest.approx(0.05)


def test_only_obstacles_beside_the_way_count():
    """An obstacle farther from the line than the way's half width does not raise it."""
    aside = np.array([[0.5, 0.2, 0.9]])
    profile = HeightProfile(np.zeros(2), np.array([1.0, 0.0]), aside, radius=0.1, lowest=0.05)
    assert profile.travel(1.0) == 0.05
    assert profile.required(0.5) == 0.05


def test_a_tool_that_is_too_low_climbs_before_it_goes_across():
    """Across waits while the tool lacks height, and goes at full speed once it has it."""
    far = np.array([0.3, 0.0])
    assert np.linalg.norm(blend(far, rise=0.1, lack=0.1)[:2]) == 0.0
    assert blend(far, rise=0.1, lack=0.1)[2] > 0.8
    assert np.linalg.norm(blend(far, rise=0.0, lack=-0.01)[:2]) == 1.0


@pytest.mark.parametrize('radius', [0.3, 0.5, 0.78])
@pytest.mark.parametrize('yaw', [-1.0, 0.0, 0.7])
def test_a_leaning_tool_keeps_its_fingers_level(radius, yaw):
    """A grasp's orientation is a rotation whose finger axis lies in the horizontal plane."""
    rotation = tool_rotation(yaw, np.array([radius, 0.0, 0.1]))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-4)
    assert abs(rotation[2, 1]) < 1e-9
    assert rotation[2, 2] < -0.9


@pytest.mark.parametrize('angle', [0.0, 0.5, np.pi / 2, 2.5, np.pi, -1.0])
def test_a_sideways_tool_points_against_the_opening_direction(angle):
    """Reaching for a handle, the tool points into the drawer and somewhat down."""
    outward = np.array([np.cos(angle), np.sin(angle), 0.0])
    pointing = sideways_rotation(outward, np.radians(75.0))[:, 2]
    assert pointing @ outward < -0.9
    assert pointing[2] < 0.0
