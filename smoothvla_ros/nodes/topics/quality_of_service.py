"""Quality of service of every topic, by graph. The launch file names the graph, nothing else does.

In lock-step nothing may be lost, a late joiner must find what is pending, and a process that is
killed must be noticed: reliable, transient-local, depth 1, with a liveliness lease. On a real arm
sensor data is best effort, commands are reliable and never latched.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

LEASE_S = 2.0
# Joint samples of one chunk come in a burst; several chunks fit, so that none is overwritten.
JOINT_DEPTH = 256
# A 1 kHz arm fills this in a second; the monitor drains it four times as often at least.
DRAINED_DEPTH = 1000
# Shared by all robots: as many as may be on their way at once.
SHARED_DEPTH = 64


class Graph(StrEnum):
    """Which graph a node runs in."""

    LOCK_STEP = 'lock_step'
    REAL_ARM = 'real_arm'


GRAPHS = tuple(graph.value for graph in Graph)


@dataclass(frozen=True)
class Profiles:
    """One profile a kind of topic; a publisher and its subscriptions use the same one."""

    image: QoSProfile
    joint_states: QoSProfile
    state: QoSProfile
    command: QoSProfile
    request: QoSProfile
    result: QoSProfile
    rollout_step: QoSProfile
    status: QoSProfile


def _profile(
    depth: int, *, reliable: bool = True, latched: bool = False, lease: bool = False
) -> QoSProfile:
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    if lease:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = Duration(seconds=LEASE_S)
    return profile


def profiles(graph: Graph | str) -> Profiles:
    """Return the profiles of a graph."""
    lock_step = Graph(graph) is Graph.LOCK_STEP
    latched = _profile(1, latched=True, lease=lock_step)
    return Profiles(
        image=latched if lock_step else _profile(5, reliable=False),
        joint_states=(
            _profile(JOINT_DEPTH, latched=True, lease=True)
            if lock_step
            else _profile(DRAINED_DEPTH, reliable=False)
        ),
        state=latched,
        command=latched if lock_step else _profile(1),
        # Not latched: whoever asks, asks again, and an old request must not start an episode.
        request=_profile(SHARED_DEPTH, lease=lock_step),
        result=_profile(SHARED_DEPTH, lease=lock_step),
        rollout_step=_profile(SHARED_DEPTH, latched=True, lease=lock_step),
        status=latched,
    )


def with_depth(profile: QoSProfile, depth: int) -> QoSProfile:
    """Return a subscription's own depth: how much may wait between two looks at the queue."""
    copy = QoSProfile(**{policy: getattr(profile, policy) for policy in _POLICIES})
    copy.depth = depth
    return copy


_POLICIES = (
    'history',
    'depth',
    'reliability',
    'durability',
    'liveliness',
    'liveliness_lease_duration',
)
