"""The policy's rows of the lock-step transition table."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.control.lock_step.observation_slot import JOINTS, ObservationSlot
from smoothvla_ros.control.lock_step.policy_desk import Decide, PolicyDesk, Refuse, Repeat
from smoothvla_ros.control.lock_step.protocol import Answer, EpisodePhase, EpisodeState

CHUNK_NS = 400
FIRST = 1000
PARTS = ('agentview', 'wrist', JOINTS)


def state(version=1, *, episode_id='e0', phase=EpisodePhase.RUNNING, first=FIRST, temperature=1.0):
    return EpisodeState(
        'robot_0', episode_id, 0, phase, first, policy_version=version, temperature=temperature
    )


def observe(slot, stamp, parts=PARTS):
    for part in parts:
        slot.add(part, stamp, f'{part}@{stamp}')


def answer_to(pending, seq=1):
    empty = np.zeros((1, 7))
    return Answer(pending.question, 1, seq, empty, empty, empty)


@pytest.fixture
def slots():
    made = {name: ObservationSlot(('agentview', 'wrist')) for name in ('robot_0', 'robot_1')}
    for slot in made.values():
        slot.expect_chunks(CHUNK_NS)
    return made


@pytest.fixture
def desk(slots):
    return PolicyDesk(slots, deterministic=True)


def test_nothing_is_decided_until_every_part_has_one_stamp(desk, slots):
    """An image of the next observation and joints of this one are no observation."""
    slots['robot_0'].announce(state())
    observe(slots['robot_0'], FIRST, ('agentview', JOINTS))
    assert desk.next(1) is None
    slots['robot_0'].add('wrist', FIRST + CHUNK_NS, 'early')
    assert desk.next(1) is None
    slots['robot_0'].add('wrist', FIRST, 'right')
    assert set(desk.next(1).batch) == {'robot_0'}


def test_order_of_topics_does_not_matter(desk, slots):
    """An observation that comes before its episode's announcement waits for it."""
    observe(slots['robot_0'], FIRST)
    assert desk.next(1) is None
    slots['robot_0'].announce(state(phase=EpisodePhase.FINISHED))
    assert desk.next(1) is None
    slots['robot_0'].announce(state(episode_id='e1'))
    assert desk.next(1).batch['robot_0'].question.episode_id == 'e1'


def test_chunk_index_follows_from_the_stamp(desk, slots):
    """A restarted policy knows the index, and with it the seed, without having seen the others."""
    slots['robot_0'].announce(state())
    observe(slots['robot_0'], FIRST + 3 * CHUNK_NS)
    assert desk.next(1).batch['robot_0'].question.chunk_index == 3


def test_observation_from_before_the_episode_is_not_answered(desk, slots):
    """A latched image of the episode before, or one between two chunks, asks nothing."""
    slots['robot_0'].announce(state())
    for stamp in (FIRST - CHUNK_NS, FIRST + CHUNK_NS // 2):
        observe(slots['robot_0'], stamp)
        assert desk.next(1) is None


def test_repeated_observation_gets_the_same_answer(desk, slots):
    """Once answered nothing is pending; the same observation again repeats, a new one decides."""
    slots['robot_0'].announce(state())
    observe(slots['robot_0'], FIRST)
    pending = desk.next(1).batch['robot_0']
    answer = answer_to(pending)
    desk.settle('robot_0', pending, answer)
    assert desk.next(1) is None
    observe(slots['robot_0'], FIRST)
    assert desk.next(1) == Repeat('robot_0', answer)
    observe(slots['robot_0'], FIRST + CHUNK_NS)
    assert isinstance(desk.next(1), Decide)


def test_new_activation_decides_anew(desk, slots):
    """After an activation an old answer, with its lower epoch, is never repeated."""
    slots['robot_0'].announce(state())
    observe(slots['robot_0'], FIRST)
    pending = desk.next(1).batch['robot_0']
    desk.settle('robot_0', pending, answer_to(pending))
    slots['robot_0'].forget_answer()
    observe(slots['robot_0'], FIRST)
    assert isinstance(desk.next(1), Decide)


def test_parts_that_came_while_deciding_are_kept(desk, slots):
    """Settling one observation does not lose the next."""
    slots['robot_0'].announce(state())
    observe(slots['robot_0'], FIRST)
    pending = desk.next(1).batch['robot_0']
    observe(slots['robot_0'], FIRST + CHUNK_NS)
    desk.settle('robot_0', pending, answer_to(pending))
    assert desk.next(1).batch['robot_0'].question.chunk_index == 1


def test_parts_of_a_clock_that_was_set_back_are_kept_too(desk, slots):
    """A robot that begins anew while its last question is decided need not ask twice."""
    slots['robot_0'].announce(state())
    observe(slots['robot_0'], FIRST)
    pending = desk.next(1).batch['robot_0']
    slots['robot_0'].announce(state(episode_id='e1', first=FIRST - 500))
    observe(slots['robot_0'], FIRST - 500)
    desk.settle('robot_0', pending, answer_to(pending))
    assert desk.next(1).batch['robot_0'].question.episode_id == 'e1'


def test_later_version_waits_and_earlier_is_refused(desk, slots):
    """Weights are announced on another topic, so a later version may just not be here yet."""
    slots['robot_0'].announce(state(version=2))
    observe(slots['robot_0'], FIRST)
    assert desk.next(1) is None
    assert isinstance(desk.next(2), Decide)
    refusal = desk.next(3)
    assert isinstance(refusal, Refuse)
    assert refusal.reason == 'policy version 2 was asked for, but version 3 has replaced it'
    assert desk.next(3) is None


def test_version_whose_weights_were_refused_is_refused(desk, slots):
    """Whoever asks for damaged weights hears why, instead of waiting for them."""
    desk.refused_versions[2] = 'policy version 2 is refused: its hash differs'
    slots['robot_0'].announce(state(version=2))
    observe(slots['robot_0'], FIRST)
    assert desk.next(1).reason == 'policy version 2 is refused: its hash differs'


def test_deterministic_decides_for_one_robot_at_a_time_in_turn(desk, slots):
    """No robot waits while another is served twice."""
    served = []
    for slot in slots.values():
        slot.announce(state())
        observe(slot, FIRST)
    for _ in range(2):
        work = desk.next(1)
        (name,) = work.batch
        served.append(name)
        observe(slots[name], FIRST)
    assert served == ['robot_0', 'robot_1']


def test_batch_shares_one_temperature(slots):
    """Robots that wait are batched, but a batch has one temperature."""
    desk = PolicyDesk(slots, deterministic=False)
    for slot in slots.values():
        slot.announce(state())
        observe(slot, FIRST)
    assert set(desk.next(1).batch) == {'robot_0', 'robot_1'}
    slots['robot_1'].announce(state(temperature=0.5))
    assert len(desk.next(1).batch) == 1
