"""How an arm really moved: which topic of a recording says so, and what it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.recordings import JOINT_STATE, Bag, joint_samples
from smoothvla_ros.smoothness.wraps import Unwrapping

GUARD = 'smoothvla_ros/msg/GuardState'
_GUARD_STATE = '/motion_guard/state'
# What the guard publishes itself is what was asked for, not what the arm did.
_OF_GUARD = '/motion_guard/'
# Joint samples before and after an episode, so that its ends lie between two of them.
_MARGIN_NS = 200_000_000


def arm_topic(bag: Bag, robot: str, arm: Arm, given: str | None = None) -> str:
    """Return the topic of joint states that tells how the arm of one robot moved.

    given: its full name, or its end from a '/' on; None takes the only one that carries all joints
    of the arm.  Topics in the namespace of another robot of the recording are left out.
    Raises UserError where there is none, or more than one to choose from.
    """
    names = _of_others_left_out(bag, robot)
    if given is None:
        measured = [name for name in names if _OF_GUARD not in name]
        found = _carrying(bag, measured, arm)
        if len(found) > 1:
            raise UserError(
                f'{bag.path}: the joints of {robot} are on {len(found)} topics, '
                f'{", ".join(found)}; choose the one of its driver with --joint-states'
            )
        if not found:
            raise UserError(
                f'{bag.path}: no {JOINT_STATE} carries all joints of the arm '
                f'({_joints(arm)}), only {_listing(names)} are there; give the arm that was '
                'recorded with --robot, or record its joints'
            )
        return found[0]
    named = [name for name in names if name == given or name.endswith(f'/{given}')]
    if not named:
        raise UserError(
            f'{bag.path} has no topic {given!r} of --joint-states for {robot}; its joints may be '
            f'on {_listing(names)}'
        )
    found = _carrying(bag, named, arm)
    if not found:
        raise UserError(
            f'{bag.path}: {", ".join(named)} of --joint-states carries not all joints of the arm '
            f'({_joints(arm)}); give another topic, or the arm that was recorded with --robot'
        )
    if len(found) > 1:
        raise UserError(
            f'{bag.path}: --joint-states {given!r} is the end of {", ".join(found)}; give more of '
            'one name'
        )
    return found[0]


def motions(
    bag: Bag, topic: str, spans: Sequence[tuple[int, int]], arm: Arm
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return stamps in ns [S] and joint positions [S, n] of each span, without wraps at 2 pi.

    In the order of their stamps.
    """
    parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in spans]
    for block in joint_samples(bag.messages([topic])):
        for samples in block:
            if samples.positions is None or not set(arm.joint_names) <= set(samples.names):
                continue
            columns = arm.joint_indices(samples.names)
            for part, (first, last) in zip(parts, spans, strict=True):
                inside = (samples.stamps_ns >= first - _MARGIN_NS) & (
                    samples.stamps_ns <= last + _MARGIN_NS
                )
                if inside.any():
                    positions = samples.positions[inside][:, columns]
                    part.append((samples.stamps_ns[inside], positions))
    found = []
    for part in parts:
        if not part:
            found.append((np.empty(0, np.int64), np.empty((0, len(arm.joint_names)))))
            continue
        stamps, positions = (np.concatenate(columns) for columns in zip(*part, strict=True))
        # A block comes name order by name order, and a wrap is seen between neighbours in time.
        order = np.argsort(stamps, kind='stable')
        found.append((stamps[order], Unwrapping(arm.turning).add(positions[order])))
    return found


def _of_others_left_out(bag: Bag, robot: str) -> list[str]:
    """Return the topics of joint states that are not in the namespace of another robot."""
    guards = [topic.name for topic in bag.of_type(GUARD) if topic.name.endswith(_GUARD_STATE)]
    spaces = [name.removesuffix(_GUARD_STATE) for name in guards]
    others = tuple(f'{space}/' for space in spaces if space and not space.endswith(f'/{robot}'))
    return [t.name for t in bag.of_type(JOINT_STATE) if not t.name.startswith(others)]


def _carrying(bag: Bag, topics: Sequence[str], arm: Arm) -> list[str]:
    """Return the topics of which some message has positions of all joints of the arm."""
    return [topic for topic in topics if _carries(bag, topic, arm)]


def _carries(bag: Bag, topic: str, arm: Arm) -> bool:
    for block in joint_samples(bag.messages([topic])):
        for samples in block:
            if samples.positions is not None and set(arm.joint_names) <= set(samples.names):
                return True
    return False


def _joints(arm: Arm) -> str:
    return ', '.join(arm.joint_names)


def _listing(topics: Sequence[str]) -> str:
    return ', '.join(topics) or 'none'
