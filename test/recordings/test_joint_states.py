"""The fast way through JointState messages gives what a deserialiser gives, message by message."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from bags import STORE, serialised
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothvla_ros.errors import UserError
from smoothvla_ros.recordings import joint_samples

_arms = st.sampled_from([['a'], ['arm_1', 'arm_2'], ['x', 'yy', 'zzz'], ['finger'], []])
_messages = st.lists(
    st.tuples(
        _arms,
        st.integers(0, 2**31 - 1),
        st.integers(0, 10**9 - 1),
        st.sampled_from(['', 'base', 'link0']),
        st.sampled_from(['none', 'velocity', 'effort', 'both']),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@given(_messages, st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_blocks_hold_what_the_messages_hold(messages, block, seed):
    """Any mixture of publishers, frames, byte orders and missing arrays, in any block size."""
    rng = np.random.default_rng(seed)
    contents, expected = [], {}
    for index, (names, seconds, nanoseconds, frame, extras, little) in enumerate(messages):
        q, v, e = rng.normal(size=(3, len(names)))
        has_velocity = extras in ('velocity', 'both') and bool(names)
        content = serialised(
            seconds * 10**9 + nanoseconds,
            names,
            q,
            v if extras in ('velocity', 'both') else None,
            e if extras in ('effort', 'both') else None,
            frame,
            little,
        )
        contents.append(('/joint_states', index, content))
        row = (index, seconds * 10**9 + nanoseconds, q, v if has_velocity else None)
        expected.setdefault(tuple(names), []).append(row)
    found = {}
    for samples in chain.from_iterable(joint_samples(contents, block)):
        for i, received in enumerate(samples.received_ns):
            position = samples.positions[i] if samples.names else np.empty(0)
            velocity = None if samples.velocities is None else samples.velocities[i]
            if velocity is not None and np.isnan(velocity).all():
                velocity = None
            row = (int(received), int(samples.stamps_ns[i]), position, velocity)
            found.setdefault(samples.names, []).append(row)
    assert found.keys() == expected.keys()
    for names, rows in expected.items():
        for got, wanted in zip(found[names], rows, strict=True):
            assert got[:2] == wanted[:2]
            np.testing.assert_array_equal(got[2], wanted[2])
            assert (got[3] is None) == (wanted[3] is None)
            if wanted[3] is not None:
                np.testing.assert_array_equal(got[3], wanted[3])


def test_stamps_before_the_epoch_keep_their_sign():
    """Seconds are signed in ROS 2."""
    content = bytearray(serialised(0, ['a'], np.zeros(1)))
    content[4:8] = (-5).to_bytes(4, 'little', signed=True)
    ((samples,),) = joint_samples([('/t', 0, bytes(content))])
    assert samples.stamps_ns[0] == -5_000_000_000


@pytest.mark.parametrize('length', [0, 3, 4, 11, 14, 20, 30, 45])
def test_a_message_cut_short_is_named(length):
    """Whatever part of it is left."""
    content = serialised(1, ['arm_1', 'arm_2'], np.zeros(2), np.zeros(2))
    with pytest.raises(UserError, match='JointState'):
        list(joint_samples([('/t', 0, content[:length])]))


def test_another_type_under_the_name_is_refused():
    """An image's bytes do not become joint positions."""
    text = STORE.serialize_cdr(
        STORE.types['std_msgs/msg/String'](data='x' * 4000), 'std_msgs/msg/String'
    )
    with pytest.raises(UserError, match='JointState'):
        list(joint_samples([('/t', 0, bytes(text))]))


def test_positions_that_do_not_match_their_names_are_none():
    """Two names and three numbers: nobody knows which is which."""
    content = serialised(1, ['arm_1', 'arm_2'], np.zeros(3))
    ((samples,),) = joint_samples([('/t', 0, content)])
    assert samples.positions is None
