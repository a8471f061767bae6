"""What an action moves: the model of LIBERO's controller, and what the arm makes of it."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from guard_world import CONFIG, LIMITS, PANDA, READY, World, osc_space

from benchmarks.identification import Recording, errors, identified
from smoothvla_ros.control.motion_guard.action_space import (
    Unreachable,
    at_fraction,
    completed,
    cubic,
)
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.control.motion_guard.profile import followable
from smoothvla_ros.control.motion_guard.schedule import ChunkSchedule
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import InverseKinematics
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.kinematics.rotations import rotation_matrix, rotation_vector

STEP_S = 0.05


@pytest.fixture(scope='module')
def space():
    return osc_space()


def rollout(space, actions, joints=READY):
    knots = [space.at_rest(joints)]
    for action in actions:
        knots.append(completed(space.after(knots[-1], action, STEP_S)))
    return knots


def constant(*delta, steps=12):
    return np.tile([*delta, -1.0], (steps, 1))


@pytest.mark.parametrize('axis', range(3))
def test_constant_translation_moves_a_quarter_of_itself_a_step(space, axis):
    """0.26 of the 5 cm that a 1 stands for, once it is under way."""
    delta = np.zeros(6)
    delta[axis] = 0.5
    knots = rollout(space, constant(*delta, steps=8))
    moved = np.linalg.norm(knots[-1].position - knots[-2].position)
    assert moved == pytest.approx(0.26 * 0.05 * 0.5, rel=0.15)


def test_rotation_is_less_than_proportional(space):
    """Measured in the simulator: 1.01 degrees a step for 0.15, 2.83 for 0.5, not 3.4."""
    turned = []
    for command in (0.15, 0.5):
        knots = rollout(space, constant(0, 0, 0, 0, 0, command, steps=8))
        turned.append(
            np.degrees(np.linalg.norm(rotation_vector(knots[-1].rotation @ knots[-2].rotation.T)))
        )
    assert turned[0] == pytest.approx(1.01, rel=0.1)
    assert turned[1] == pytest.approx(2.83, rel=0.1)


def test_a_delta_without_a_rotation_keeps_the_goal_of_the_last_one(space):
    """As in robosuite: the hand goes on to where it was told to turn, while it is moved."""
    turned = rollout(space, constant(0, 0, 0, 0, 0, 0.5, steps=1))[-1]
    knots = [turned]
    for action in constant(0.2, 0, 0, 0, 0, 0, steps=12):
        knots.append(completed(space.after(knots[-1], action, STEP_S)))
    left = [
        np.linalg.norm(rotation_vector(turned.goal_rotation @ knot.rotation.T)) for knot in knots
    ]
    assert left[0] > 0.1
    assert left[-1] < 0.25 * left[0]


def test_nothing_commanded_comes_to_rest_where_it_is(space):
    """No snap back to where the motion began."""
    knots = rollout(space, [*constant(0.5, 0, 0, 0, 0, 0, steps=6), *[None] * 12])
    assert np.abs(knots[-1].velocities).max() == 0.0
    assert np.linalg.norm(knots[-1].position - knots[6].position) < 0.01


def test_tool_of_a_knot_is_that_of_its_joints(space):
    """At every knot: what the next action goes on from is where the joints are."""
    arm = PANDA.arm()
    for knot in rollout(space, constant(0.4, -0.3, 0.2, 0.1, 0.1, -0.1))[1:]:
        position, rotation = arm.tool_pose(knot.joints)
        np.testing.assert_allclose(knot.position, position, atol=1e-12)
        np.testing.assert_allclose(knot.rotation, rotation, atol=1e-12)


def test_velocities_of_a_knot_are_those_of_its_joints(space):
    """The joints move by the mean of both velocities, as far as the torque is steady."""
    for before, after in pairwise(rollout(space, constant(0.4, -0.3, 0.2, 0.1, 0.1, -0.1))):
        mean = (after.joints - before.joints) / STEP_S
        np.testing.assert_allclose(mean, (before.velocities + after.velocities) / 2, atol=0.06)


def test_posture_draws_only_what_the_tool_leaves_free():
    """An elbow that was turned aside comes back, and the tool stays where it is."""
    space, arm = osc_space(), PANDA.arm()
    aside = READY.copy()
    for _ in range(40):
        spare = np.linalg.svd(arm.jacobian(aside))[2][-1]
        aside = aside + 0.01 * spare * np.sign(spare[2])
    knots = rollout(space, constant(0, 0, 0, 0, 0, 0, steps=60), aside)
    assert np.abs(aside - READY).max() > 0.15
    assert np.abs(knots[-1].joints - READY).max() < 0.5 * np.abs(aside - READY).max()
    assert np.linalg.norm(knots[-1].position - knots[0].position) < 5e-3


def test_gravity_takes_its_share_of_the_torques():
    """Motors that hardly more than hold the arm let it down at once, and do not raise it."""
    arm = PANDA.arm()
    parameters = OscParameters.from_file(CONFIG / 'action_spaces' / 'libero_osc_pose.yaml')
    holding = tuple(np.abs(arm.gravity_torque(READY)) + 0.5)
    weak = dataclasses.replace(parameters, torque_limit=holding)
    inverse = InverseKinematics(arm, LIMITS.lower, LIMITS.upper, READY)
    space = OscReference(weak, arm, inverse)
    moved = []
    for way in (1, -1):
        knots = rollout(space, constant(0, 0, way, 0, 0, 0, steps=4))
        moved.append(way * (knots[-1].position[2] - knots[0].position[2]))
    raised, lowered = moved
    assert 0.0 < raised < 0.005
    assert lowered > 0.03


@pytest.mark.parametrize('direction', [(1, 0, 0), (0, 1, 0), (-1, -1, 1), (1, 0, -1)])
def test_reference_asks_no_more_of_a_joint_than_its_limits(direction):
    """At full command, from rest and back: the arm that follows need not lag or stop."""
    space = osc_space()
    followed = followable(LIMITS, STEP_S / 12.5)
    there = constant(*direction, 0.5, -0.5, 0.5, steps=10)
    knots = rollout(space, [*there, *-there, *-there])
    velocities = np.array([knot.velocities for knot in knots])
    assert np.abs(velocities).max() > 0.6
    assert np.all(np.abs(velocities) <= followed.velocity)
    assert np.all(np.abs(np.diff(velocities, axis=0)) <= STEP_S * followed.acceleration)
    # LIBERO's arm has no such limits: without them the same actions go beyond.
    free = np.array([k.velocities for k in rollout(osc_space(limited=False), there)])
    assert np.any(np.abs(np.diff(free, axis=0)) > STEP_S * followed.acceleration)


def test_knot_between_two_lies_on_the_way(space):
    """Its ends are the knots themselves, its middle half of the way."""
    start, stop = rollout(space, constant(0.5, 0, 0, 0, 0.2, 0, steps=5))[-2:]
    for fraction, knot in ((0.0, start), (1.0, stop)):
        between = space.between(start, stop, fraction, STEP_S)
        np.testing.assert_allclose(between.position, knot.position, atol=1e-12)
        np.testing.assert_allclose(between.rotation, knot.rotation, atol=1e-9)
        np.testing.assert_allclose(between.joints, knot.joints, atol=1e-12)
    middle = space.between(start, stop, 0.5, STEP_S)
    np.testing.assert_allclose(middle.position, (start.position + stop.position) / 2, atol=2e-4)


def test_chunk_that_ends_far_out_of_reach_is_named(space):
    """Before it is tried; one that ends a little beyond is executed as far as the arm goes."""
    knot = space.at_rest(READY)
    with pytest.raises(Unreachable, match='the chunk ends at'):
        space.require_reachable(knot, constant(0, 0, 1, 0, 0, 0, steps=60))
    edge = rollout(space, constant(1, 0, 0, 0, 0, 0, steps=36))[-1]
    space.require_reachable(edge, constant(0.1, 0, 0, 0, 0, 0, steps=8))
    with pytest.raises(Unreachable, match='the chunk ends at'):
        space.require_reachable(edge, constant(1, 0, 0, 0, 0, 0, steps=8))


OUTWARD = {'forward': (1, 0, 0), 'aside': (0.7, 0.7, 0.2), 'up': (0, 0, 1), 'down': (0, 0, -1)}


def out_and_back(direction):
    """To the edge of the reach at full command, pushed on gently, and back."""
    moved = np.array([*direction, 0, 0, 0])
    return np.concatenate(
        [
            constant(*part, steps=k)
            for part, k in ((moved, 36), (0.15 * moved, 24), (-0.5 * moved, 16))
        ]
    )


@pytest.mark.parametrize('direction', OUTWARD)
def test_reference_pushed_at_the_edge_of_the_reach_waits_there(space, direction):
    """It neither shakes nor slides away, keeps the ranges, and comes back when it is led back."""
    knots = rollout(space, out_and_back(OUTWARD[direction]))
    joints = np.array([knot.joints for knot in knots])
    assert np.all((joints >= LIMITS.lower) & (joints <= LIMITS.upper))
    places = np.array([knot.position for knot in knots])
    pushed = np.linalg.norm(np.diff(places[46:60], axis=0), axis=1)
    assert pushed.max() < 5e-3
    outward = np.array(OUTWARD[direction]) / np.linalg.norm(OUTWARD[direction])
    assert (places[60] - places[-1]) @ outward > 0.02


def test_model_moves_an_arm_of_six_joints():
    """Another URDF, nothing spare for a posture: 0.26 of a delta a step, along its axis alone."""
    joints = ('shoulder_pan', 'shoulder_lift', 'elbow', 'wrist_1', 'wrist_2', 'wrist_3')
    limits = dict.fromkeys(('vendor_velocity', 'comfort_velocity'), (3.0,) * 6)
    limits |= dict.fromkeys(('vendor_acceleration', 'comfort_acceleration'), (15.0,) * 6)
    limits |= dict.fromkeys(('vendor_jerk', 'comfort_jerk'), (5000.0,) * 6)
    robot = RobotDescription(
        name='ur5',
        urdf='example-robot-data:ur_description/urdf/ur5_robot.urdf',
        base_frame='base_link',
        tool_frame='tool0',
        tool_offset=(0.0, 0.0, 0.0),
        joints=tuple(f'{joint}_joint' for joint in joints),
        posture=(0.0, -1.5, 1.6, -1.6, -1.57, 0.0),
        position_lower=(-6.2, -6.2, -3.1, -6.2, -6.2, -6.2),
        position_upper=(6.2, 6.2, 3.1, 6.2, 6.2, 6.2),
        **limits,
    )
    parameters = OscParameters(rotor_inertia=(1.0,) * 6, torque_limit=(200.0,) * 6)
    space = OscReference.for_robot(parameters, robot, 'comfort', 250.0)
    knots = rollout(space, constant(0.5, 0, 0, 0, 0, 0, steps=10), np.array(robot.posture))
    moved = knots[-1].position - knots[-2].position
    assert moved[0] == pytest.approx(0.26 * 0.05 * 0.5, rel=0.15)
    assert np.abs(moved[1:]).max() < 1e-3


def test_parameters_of_another_arm_are_refused():
    """Seven rotors for seven joints, all above zero."""
    with pytest.raises(UserError, match='above 0'):
        OscParameters(rotor_inertia=(0.0,) * 7, torque_limit=(80.0,) * 7)
    six = OscParameters(rotor_inertia=(1.0,) * 6, torque_limit=(80.0,) * 6)
    with pytest.raises(UserError, match='6 values for 7 joints'):
        OscReference(six, PANDA.arm(), osc_space()._inverse)


def test_identification_finds_what_recordings_were_made_with():
    """From wrong inertia and no drag back to the parameters that made the motions."""
    space, arm = osc_space(limited=False), PANDA.arm()
    inverse = space._inverse
    generator = np.random.default_rng(5)
    truth = OscParameters.from_file(CONFIG / 'action_spaces' / 'libero_osc_pose.yaml')
    made = []
    for _ in range(6):
        actions = _policy_like(generator, 6) * [1, 1, 1, 2, 2, 2, 1]
        start = READY + generator.uniform(-0.2, 0.2, 7)
        end = rollout(space, actions, start)[-1]
        made.append(Recording(start, np.zeros(7), actions, STEP_S, end.position, end.rotation))
    wrong = dataclasses.replace(
        truth,
        rotor_inertia=tuple(1.2 * np.array(truth.rotor_inertia)),
        rotational_drag=(3.0, 3.0, 3.0),
    )
    found = identified(wrong, made, arm, inverse)
    before, after = (np.abs(errors(p, made, arm, inverse)).max() for p in (wrong, found))
    assert after < 0.1 * before
    np.testing.assert_allclose(found.rotational_drag, truth.rotational_drag, rtol=0.2)


def test_cubic_meets_its_ends():
    """Values and derivatives at 0 and at 1."""
    p0, v0, p1, v1 = np.random.default_rng(0).normal(size=(4, 3))
    for u, p, v in ((0.0, p0, v0), (1.0, p1, v1)):
        value, derivative = at_fraction(cubic(p0, v0, p1, v1, 0.3), u, 0.3)
        np.testing.assert_allclose(value, p)
        np.testing.assert_allclose(derivative, v)


def test_schedule_is_continuous_where_a_chunk_replaces_another(space):
    """Joints at the seam are the same from both sides."""
    schedule = ChunkSchedule(space, space.at_rest(READY), 0.0)
    schedule.append(constant(0.5, 0, 0, 0, 0, 0, steps=8), STEP_S, 0.0)
    before = schedule.at(0.237)
    schedule.replace(constant(-0.5, 0, 0, 0, 0, 0, steps=8), STEP_S, 0.237, 0)
    after = schedule.at(0.237)
    for mine, theirs in zip(before, after, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
    assert schedule.at(0.6)[0] is not None
    assert schedule.commanded_until_s == pytest.approx(0.637)


def test_guard_plays_a_chunk_as_the_model_has_it(space):
    """The arm is within three millimetres of the reference when the chunk is over."""
    world = World(space, settings=GuardSettings(scheduling='whole')).armed()
    actions = constant(0.4, 0.2, 0.3, 0.1, 0.0, 0.2, steps=8)
    actions *= np.r_[np.linspace(0.3, 1, 8)][:, None]
    begins_s = world.guard._first_free_tick(world.now) * world.guard._time.period_s
    assert world.offer(actions) is None
    end = rollout(space, actions)[-1]
    while world.guard._time.now_tick * world.guard._time.period_s < begins_s + 0.4:
        world.run(0.004)
    position, rotation = PANDA.arm().tool_pose(world.states[-1][0])
    assert np.linalg.norm(position - end.position) < 3e-3
    assert np.linalg.norm(rotation_vector(rotation @ end.rotation.T)) < 0.015


def _policy_like(generator, steps):
    """Smooth deltas up to the whole range, rotations as small as policies command them."""
    wander, rows = np.zeros(7), []
    for _ in range(steps):
        wander = 0.9 * wander + 0.25 * generator.normal(size=7)
        rows.append(np.clip(wander, -1, 1) * [1, 1, 1, 0.3, 0.3, 0.3, 1])
    rows = np.array(rows)
    rows[:, 2] = np.abs(rows[:, 2]) * 0.5
    rows[:, 6] = -1.0
    return rows


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_open_loop_chunks_end_where_liberos_own_controller_ends_them():
    """Two chunks of eight from rest, six times: within 1 cm and 3 degrees after each."""
    from smoothvla_ros.records import EpisodeName
    from smoothvla_ros.simulation import tasks
    from smoothvla_ros.simulation.environment import Environment
    from smoothvla_ros.simulation.rendering.settings import RenderSettings

    space, arm = osc_space(), PANDA.arm()
    environment = Environment(tasks.task('libero_spatial', 0), RenderSettings('fast', 128))
    errors = []
    for episode in range(6):
        environment.reset(EpisodeName('libero_spatial', 0, episode, 0))
        start = environment.joint_positions().copy()
        actions = _policy_like(np.random.default_rng(100 + episode), 24).reshape(3, 8, 7)
        world = World(space, settings=GuardSettings(scheduling='whole'))
        world.controller = type(world.controller)(start)
        world._listen()
        world.armed()
        begins_s = world.guard._first_free_tick(world.now) * world.guard._time.period_s

        def run_until(seconds, world=world):
            while world.guard._time.now_tick * world.guard._time.period_s < seconds:
                world.run(0.004)

        assert world.offer(actions[0]) is None
        for half in range(2):
            # The next chunk is there before this one is over, as a policy sends it.
            run_until(begins_s + 0.4 * half + 0.2)
            assert world.offer(actions[half + 1]) is None
            for action in actions[half]:
                environment.step(action)
            run_until(begins_s + 0.4 * (half + 1))
            position, rotation = arm.tool_pose(world.states[-1][0])
            theirs, axes = environment.tool_pose()
            angle = np.linalg.norm(rotation_vector(rotation @ axes.T))
            errors.append((1e3 * np.linalg.norm(position - theirs), np.degrees(angle)))
    environment.close()
    print('mm and degrees after each chunk:', np.round(errors, 2).tolist())
    assert np.all(np.array(errors) < [10.0, 3.0])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize('direction', ['forward', 'aside', 'up'])
def test_model_stays_with_liberos_arm_at_the_edge_of_its_reach(direction):
    """Stretched out at full command, pushed on, and back: never 3 cm or 5 degrees away."""
    from smoothvla_ros.records import EpisodeName
    from smoothvla_ros.simulation import tasks
    from smoothvla_ros.simulation.environment import Environment
    from smoothvla_ros.simulation.rendering.settings import RenderSettings

    space = osc_space(limited=False)
    environment = Environment(tasks.task('libero_spatial', 0), RenderSettings('fast', 128))
    environment.reset(EpisodeName('libero_spatial', 0, 0, 0))
    knot, errors = space.at_rest(environment.joint_positions().copy()), []
    for action in out_and_back(OUTWARD[direction]):
        environment.step(action)
        knot = completed(space.after(knot, action, STEP_S))
        theirs, axes = environment.tool_pose()
        angle = np.linalg.norm(rotation_vector(knot.rotation @ axes.T))
        errors.append((1e3 * np.linalg.norm(knot.position - theirs), np.degrees(angle)))
    environment.close()
    print('mm and degrees:', np.round(errors, 1).tolist())
    assert np.all(np.array(errors) < [30.0, 5.0])


def test_rotation_vectors_and_matrices_are_inverse():
    """Axis times angle, there and back."""
    vector = np.array([0.3, -0.2, 0.5])
    np.testing.assert_allclose(rotation_vector(rotation_matrix(vector)), vector)
