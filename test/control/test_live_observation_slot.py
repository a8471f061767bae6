"""The policy's observation of a real arm: what belongs together, and when it is answered."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.control.live.live_observation_slot import (
    LiveObservationSlot,
    LiveSettings,
    Trigger,
)
from smoothvla_ros.control.lock_step.observation_slot import GRIPPER, JOINTS
from smoothvla_ros.control.lock_step.protocol import Answer
from smoothvla_ros.errors import UserError

MS = 1_000_000
START = 1_000 * MS


class Arm:
    """A slot, a clock, and what a real arm would send."""

    def __init__(self, **settings):
        self.now = START
        values = {
            'trigger': Trigger.EVERY_OBSERVATION,
            'max_skew_ns': 20 * MS,
            'max_age_ns': 200 * MS,
        }
        self.slot = LiveObservationSlot(
            'robot_0', ('agentview', 'wrist'), LiveSettings(**values | settings), lambda: self.now
        )
        self.slot.expect_chunks(400 * MS)
        self.slot.instruct('pick up the bowl')

    def joints(self, *milliseconds):
        for at in milliseconds:
            self.slot.add(JOINTS, START + at * MS, f'joints {at}')

    def image(self, camera, at):
        self.slot.add(camera, START + at * MS, f'{camera} {at}')

    def observe(self, at):
        self.now = START + at * MS
        self.joints(at)
        self.image('agentview', at)
        self.image('wrist', at)

    def answer(self):
        pending = self.slot.pending()
        assert pending is not None, self.slot.waiting_for()
        nothing = np.empty((0, 0))
        self.slot.settle(pending.question, Answer(pending.question, 1, 1, *[nothing] * 3))
        return (pending.question.stamp_ns - START) // MS


def test_joints_nearest_to_the_image_belong_to_it():
    """An image arrives late: the joints of its moment are taken, not the newest."""
    arm = Arm()
    arm.joints(*range(60))
    arm.image('agentview', 13)
    arm.image('wrist', 16)
    arm.now = START + 60 * MS
    pending = arm.slot.pending()
    assert pending.parts == {'agentview': 'agentview 13', 'wrist': 'wrist 16', JOINTS: 'joints 13'}
    assert pending.question.stamp_ns == START + 13 * MS
    assert pending.state.instruction == 'pick up the bowl'


def test_image_of_the_faster_camera_is_the_one_nearest_to_the_slower():
    """Cameras at 50 and 10 Hz: the pair that was taken together is used."""
    arm = Arm()
    for at in (0, 20, 40, 60, 80):
        arm.image('agentview', at)
    arm.image('wrist', 41)
    arm.joints(*range(0, 81, 5))
    assert arm.slot.pending().parts['agentview'] == 'agentview 40'


@pytest.mark.parametrize(
    ('part', 'words'),
    [('wrist', 'wrist is 30 ms apart'), (JOINTS, 'joint_states is 30 ms apart')],
)
def test_parts_further_apart_than_the_limit_are_not_used(part, words):
    """A camera or a joint driver that lags is named with how far."""
    arm = Arm()
    for name in ('agentview', 'wrist', JOINTS):
        arm.slot.add(name, START + (30 * MS if name == part else 0), name)
    assert arm.slot.pending() is None
    assert words in arm.slot.waiting_for()
    arm.observe(50)
    assert arm.answer() == 50


def test_fingers_that_are_said_less_often_have_a_limit_of_their_own():
    """Said 15 times a second beside 20 Hz cameras: every observation is used, up to that limit."""
    limits = {'max_skew_ns': 20 * MS, 'max_age_ns': 200 * MS, 'max_gripper_skew_ns': 150 * MS}
    settings = LiveSettings(Trigger.EVERY_OBSERVATION, **limits)
    now = START
    slot = LiveObservationSlot(
        'robot_0', ('agentview',), settings, lambda: now, states=(JOINTS, GRIPPER)
    )
    slot.expect_chunks(400 * MS)
    slot.instruct('pick up the bowl')
    waits = []
    for at in range(0, 2000, 50):
        now = START + at * MS
        slot.add(GRIPPER, START + at // 67 * 67 * MS, 'fingers')
        slot.add(JOINTS, now, 'joints')
        slot.add('agentview', now, 'image')
        waits.append(slot.waiting_for())
    assert set(waits) == {''}
    now += 200 * MS
    slot.add(JOINTS, now, 'joints')
    slot.add('agentview', now, 'image')
    assert 'max_gripper_skew_s=0.15' in slot.waiting_for()


def test_old_observation_is_not_used():
    """A camera that froze stops the decisions, and is named."""
    arm = Arm()
    arm.observe(0)
    arm.now += 201 * MS
    assert arm.slot.pending() is None
    assert 'newest image of agentview is 201 ms old, max_age_s=0.2' in arm.slot.waiting_for()


def test_every_observation_is_answered_once():
    """One decision an observation, in the order of time."""
    arm = Arm()
    for at in (0, 50, 100):
        arm.observe(at)
        assert arm.answer() == at
        assert arm.slot.pending() is None


def answered_stamps(arm, delay=0):
    """Observe every 50 ms for a second; an answer comes `delay` ms after its image."""
    answered = []
    for at in range(0, 1001, 50):
        arm.observe(at)
        if arm.slot.pending() is not None:
            arm.now += delay * MS
            answered.append(arm.answer())
    return answered


def test_before_the_chunk_ends_one_observation_is_answered():
    """With 100 ms of lead a chunk of 400 ms is followed by the observation at 300 ms or later."""
    arm = Arm(trigger=Trigger.BEFORE_CHUNK_END, lead_ns=100 * MS, max_lead_ns=100 * MS)
    assert answered_stamps(arm) == [0, 300, 600, 900]


def test_slow_answers_are_asked_for_earlier():
    """40 ms an answer and 50 ms an image: 100 ms in hand need 190 ms, as soon as both are known.

    A chunk's time runs from its observation, because the guard leaves out what is over.
    """
    arm = Arm(trigger=Trigger.BEFORE_CHUNK_END, lead_ns=100 * MS, max_lead_ns=1000 * MS)
    assert answered_stamps(arm, delay=40) == [0, 300, 550, 800]
    assert arm.slot.lead.lead_ns == 190 * MS


def test_refused_observation_does_not_delay_the_next():
    """A refusal starts no chunk."""
    arm = Arm(trigger=Trigger.BEFORE_CHUNK_END)
    arm.observe(0)
    arm.slot.settle(arm.slot.pending().question, None)
    assert arm.slot.pending() is None
    arm.observe(50)
    assert arm.answer() == 50


def test_chunks_are_counted_and_carry_the_loaded_version():
    """What the seed of a sampled chunk follows from."""
    arm = Arm(temperature=1.0, seed=7)
    arm.slot.policy_version = 3
    for index, at in enumerate((0, 50)):
        arm.observe(at)
        pending = arm.slot.pending()
        assert (pending.question.chunk_index, pending.question.policy_version) == (index, 3)
        assert (pending.state.temperature, pending.state.seed) == (1.0, 7)
        arm.answer()


def test_instruction_can_be_changed_and_is_needed():
    """Without one nothing is decided; an empty one is refused and the former stays."""
    arm = Arm()
    arm.slot = LiveObservationSlot('robot_0', ('agentview', 'wrist'), arm.slot._settings, lambda: 0)
    arm.slot.expect_chunks(400 * MS)
    arm.observe(0)
    assert arm.slot.pending() is None
    assert 'no instruction' in arm.slot.waiting_for()
    arm.slot.instruct('open the drawer')
    assert arm.slot.pending().state.instruction == 'open the drawer'
    with pytest.raises(UserError, match='empty'):
        arm.slot.instruct('  ')
    assert arm.slot.pending().state.instruction == 'open the drawer'


def test_clock_that_jumps_back_begins_anew():
    """Nothing from before the jump is joined with what comes after it."""
    arm = Arm()
    arm.observe(600)
    arm.answer()
    arm.now = START
    arm.image('agentview', 0)
    assert arm.slot.pending() is None
    assert arm.slot.waiting_for() == 'nothing received from wrist, joint_states'
    arm.observe(10)
    assert arm.answer() == 10


@pytest.mark.parametrize('name', [JOINTS, 'agentview'])
def test_sample_out_of_order_is_left_out_and_nothing_else(name):
    """Two publishers overtake each other: neither is the clock's jump that begins anew."""
    arm = Arm()
    arm.observe(500)
    arm.slot.add(name, START + 490 * MS, 'late')
    arm.slot.add(name, START, 'half a second late')
    pending = arm.slot.pending()
    assert pending.parts[name] == ('joints 500' if name == JOINTS else 'agentview 500')
    assert arm.answer() == 500
    arm.slot.add(name, START + 490 * MS, 'late')
    assert arm.slot.pending() is None, 'answered twice'
    arm.observe(550)
    assert arm.answer() == 550


def test_unstamped_part_is_refused():
    """A driver that does not stamp cannot be joined with anything."""
    with pytest.raises(UserError, match='wrist: the stamp is zero'):
        Arm().slot.add('wrist', 0, None)


def test_missing_camera_is_named():
    """What never arrived is said."""
    arm = Arm()
    arm.image('agentview', 0)
    assert arm.slot.waiting_for() == 'nothing received from wrist, joint_states'
