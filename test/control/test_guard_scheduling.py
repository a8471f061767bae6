"""Which of the actions of chunks are followed, and when."""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import (
    MS,
    READY,
    World,
    running,
    swing,
)

from smoothvla_ros.control.motion_guard.gripper import Gripper, GripperSettings
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings


def test_observation_stamped_a_little_later_than_now_leaves_no_action_out():
    """Clocks differ by less than what is allowed; the chunk begins with its first action."""
    world = running()
    now_s = world.guard._time.now_tick * world.guard._time.period_s
    actions = swing(0.0, 32)
    actions[:, 0] = world.guard._motion.states[-1, 0, 0]
    later = {'observation_stamp_ns': world.now + 20 * MS}
    assert world.offer(actions, dt=0.01, **later) is None
    assert world.guard._schedule.commanded_until_s - now_s > 0.3


def test_replacing_chunk_begins_with_the_action_that_is_due():
    """Of a chunk that answers an observation of 100 ms ago, the first two actions are over."""
    ends = {}
    for age_ms in (0, 100):
        world = World(settings=GuardSettings(overlap=0)).armed()
        world.offer(swing(0.0, 8))
        world.run(0.2)
        world.offer(swing(0.01, 8), observation_stamp_ns=world.now - age_ms * MS)
        ends[age_ms] = world.guard._schedule.commanded_until_s
    assert ends[0] - ends[100] == pytest.approx(0.1)


def test_whole_chunks_queue_and_the_one_that_waits_is_replaced():
    """The third chunk takes the place of the second, which never began."""
    world = World(settings=GuardSettings(scheduling='whole')).armed()
    begins_s = world.guard._time.now_tick * world.guard._time.period_s
    for _ in range(3):
        assert world.offer(swing(0.01, 8)) is None
    world.run(0.2)
    duration = world.guard._schedule.commanded_until_s - begins_s
    assert duration == pytest.approx(0.8, abs=0.05)


def test_overlap_mixes_old_and_new_evenly():
    """With an overlap of one, the first action is the mean of both."""
    settings = GuardSettings(overlap=1, skip_elapsed=False, horizon_s=0.0)
    world = World(settings=settings).armed()
    world.offer(swing(0.0, 40))
    world.run(0.5)
    world.offer(swing(0.04, 3))
    schedule = world.guard._schedule
    assert schedule._spans[-1].action[0] == pytest.approx(READY[0] + 0.02)
    assert schedule._waiting[0][0][0] == pytest.approx(READY[0] + 0.08)


def test_first_changed_command_follows_within_a_tick():
    """A chunk that arrives between two ticks changes the very next command."""
    world = World().armed()
    world.pass_ms(3)
    world.offer(swing())
    world.pass_ms(1)
    world._listen()
    assert world.tick().motion is not None


def test_gripper_moves_on_a_change_of_sign_only():
    """Small numbers and NaN change nothing; a positive one closes, as in LIBERO."""
    gripper = Gripper(GripperSettings())
    said = [gripper.update(x) for x in (-1.0, -0.9, 0.01, float('nan'), 1.0, 0.5, -0.02, -1.0)]
    assert said == [True, None, None, None, False, None, None, True]
    assert Gripper(GripperSettings(gripper_positive_closes=False)).update(1.0) is True


def test_gripper_is_told_again_where_its_command_did_not_arrive():
    """While the policy asks for it, and not once the arm is disarmed."""
    world = World().armed()
    assert world.offer(swing()) is None

    def told():
        world.pass_ms(world.period_ms)
        world._listen()
        return world.tick().open_gripper

    assert [told() for _ in range(20)].count(True) == 1
    world.guard.repeat_gripper()
    assert [told() for _ in range(20)].count(True) == 1
    world.guard.disarm(world.now)
    world.guard.repeat_gripper()
    assert [told() for _ in range(200)].count(None) == 200


def test_gripper_waits_for_the_action_that_moves_it():
    """A chunk that comes during the take-over begins after it, its gripper with its joints."""
    world = World()
    assert world.guard.arm(world.now) == ''
    world.run(0.5)
    assert world.offer(swing()) is None
    told_ms = []
    for _ in range(150):
        world.pass_ms(world.period_ms)
        world._listen()
        if world.tick().open_gripper is not None:
            told_ms.append(len(world.states))
    moves_ms = next(ms for ms, state in enumerate(world.states) if np.abs(state[1]).max() > 1e-9)
    assert len(told_ms) == 1
    assert 0 <= told_ms[0] - moves_ms <= world.period_ms
