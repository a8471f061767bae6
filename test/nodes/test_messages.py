"""Records cross the wire without a bit lost."""

from __future__ import annotations

import numpy as np
import pytest
from lock_step_world import FakeWorker, observation, request
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState

from smoothvla_ros.control.lock_step.decoded_messages import report_of, request_of
from smoothvla_ros.control.lock_step.protocol import (
    Answer,
    Decision,
    EpisodePhase,
    EpisodeReport,
    EpisodeState,
    ExecutedChunk,
    Question,
)
from smoothvla_ros.control.motion_guard.motion import CommandedMotion
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.motion_guard.messages import TrajectoryMessages
from smoothvla_ros.nodes.topics import messages

GENERATOR = np.random.default_rng(0)
STAMP_NS = 1_790_000_000_123_456_789
QUESTION = Question('i0003-g02-r05', 1_790_000_000, 7, STAMP_NS, 4)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def same(left, right):
    """Bitwise equality of records that hold arrays."""
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, tuple | list) and not hasattr(left, '_fields'):
        return len(left) == len(right) and all(map(same, left, right))
    if hasattr(left, '__dataclass_fields__'):
        return all(same(getattr(left, f), getattr(right, f)) for f in left.__dataclass_fields__)
    return left == right


def chunk(*shape):
    return (
        GENERATOR.uniform(-1, 1, shape),
        GENERATOR.integers(0, 256, shape),
        GENERATOR.normal(size=shape).astype(np.float32),
    )


def test_action_chunk_round_trip():
    """Actions are float64: a robot over topics moves by the bits that it would in process."""
    answer = Answer(QUESTION, 2**60, 12, *chunk(8, 7))
    wire = over_the_wire(messages.to_action_chunk(answer, 5, 0.05, 'libero_osc_pose', 'base'))
    assert same(messages.from_action_chunk(wire), answer)


def test_trajectory_message_holds_its_motion_and_nothing_of_the_one_before():
    """A longer motion, a shorter one, a longer one again, out of the same points."""
    made = TrajectoryMessages(['a', 'b'])
    for knots in (5, 3, 6):
        ticks = np.cumsum(GENERATOR.integers(1, 3, knots)) + 40
        motion = CommandedMotion(0.004, ticks, GENERATOR.normal(size=(knots, 3, 2)))
        wire = over_the_wire(made.of(motion, STAMP_NS))
        assert wire.joint_names == ['a', 'b']
        begins_ns = to_nanoseconds(wire.header.stamp)
        assert begins_ns == STAMP_NS + int(ticks[0]) * 4_000_000
        times = [to_nanoseconds(point.time_from_start) + begins_ns for point in wire.points]
        assert times == [STAMP_NS + int(tick) * 4_000_000 for tick in ticks]
        states = [[p.positions, p.velocities, p.accelerations] for p in wire.points]
        assert same(np.array(states), motion.states)


def test_refusal_round_trip():
    """A refusal has a reason and no arrays."""
    nothing = np.empty((0, 0))
    answer = Answer(QUESTION, 1, 1, nothing, nothing, nothing, 'NaN')
    back = messages.from_action_chunk(
        over_the_wire(messages.to_action_chunk(answer, 5, 0.05, '', ''))
    )
    assert (back.refusal, back.actions.shape, back.question) == ('NaN', (0, 0), QUESTION)


def test_chunk_of_the_wrong_size_comes_out_empty():
    """Whoever judges the chunk sees that it is malformed; nothing is guessed."""
    message = messages.to_action_chunk(Answer(QUESTION, 1, 1, *chunk(8, 7)), 5, 0.05, '', '')
    message.horizon = 9
    assert messages.from_action_chunk(message).actions.shape == (0, 0)


def test_rollout_step_round_trip():
    """The trainer sees the very observation that the policy saw."""
    _, tokens, log_probs = chunk(8, 7)
    decision = Decision('robot_1', QUESTION, 3, observation(3.3), tokens, log_probs, 0.5)
    names = [f'panda_joint{i}' for i in range(1, 8)]
    wire = over_the_wire(messages.to_rollout_step(decision, names))
    assert same(messages.from_rollout_step(wire), decision)


def test_episode_result_round_trip():
    """The whole motion, and which answer each chunk was."""
    worker = FakeWorker()
    worker.reset(request().name, 1.0)
    worker.execute(GENERATOR.uniform(-1, 1, (5, 7)), 1.0)
    report = EpisodeReport(
        'robot_0',
        'e0',
        3,
        4,
        success=True,
        chunks=(ExecutedChunk(STAMP_NS, 2**62, 4), ExecutedChunk(STAMP_NS + 1, 2**62 + 1, 1)),
        trajectory=worker.trajectory(),
    )
    wire = over_the_wire(messages.to_episode_result(report, 5))
    assert same(report_of(wire), report)


def test_failed_result_round_trip():
    """A failure has its reason and no motion."""
    report = EpisodeReport('robot_0', 'e0', 3, 4, 'worker died')
    assert same(report_of(messages.to_episode_result(report, 5)), report)


def test_request_and_state_round_trip():
    """Identity, scene, seed and version arrive as they left."""
    wanted = request('e7', attempt=2**31, task=9, version=3, group=-1)
    assert same(request_of(over_the_wire(messages.to_request(wanted, 'robot_0', 1, 5))), wanted)
    state = EpisodeState(
        robot='robot_0',
        episode_id='e7',
        attempt=5,
        phase=EpisodePhase.FINISHED,
        first_stamp_ns=STAMP_NS,
        last_stamp_ns=STAMP_NS + 9,
        samples=3,
        temperature=1.6,
        seed=-4,
        policy_version=2,
        instruction='put',
        suite='s',
        task=1,
        success=True,
    )
    assert same(
        messages.from_episode_state(over_the_wire(messages.to_episode_state(state, 5))), state
    )


def test_joints_are_found_by_name_in_any_order():
    """Another driver may order its joints otherwise; a missing one is named."""
    names = ['b', 'a', 'finger']
    arm = np.array([2.0, 1.0])
    message = messages.to_joint_state(STAMP_NS, names, arm, 10 * arm, np.array([0.04]))
    positions, velocities, gripper = messages.joint_values(message, ['a', 'b'], ['finger'])
    assert positions.tolist() == [1.0, 2.0]
    assert velocities.tolist() == [10.0, 20.0]
    assert gripper.tolist() == [0.04]
    with pytest.raises(UserError, match="no joint 'c'"):
        messages.joint_values(message, ['a', 'c'], [])


def test_an_arm_without_velocities_is_told_what_it_lacks():
    """A position interface alone says none: the error names the one to add."""
    for velocity, what in (([], 'lacks velocities'), ([np.nan], 'velocity of an arm joint is not')):
        message = JointState(name=['a'], position=[1.0], velocity=velocity)
        with pytest.raises(UserError, match=f'{what} .*add a velocity state interface'):
            messages.joint_values(message, ['a'], [])
