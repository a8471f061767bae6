"""Who stands beside the deployment graph: arms the guard, waits, disarms it, the next scene."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from smoothvla_ros.records import EpisodeName

PATIENCE_S = 600.0
SETTLE_NS = 200_000_000


def operate(
    names: list[EpisodeName], alive: Callable[[], bool]
) -> Iterator[tuple[EpisodeName, bool]]:
    """Arm, wait for the verdict, disarm, reset: once a scene; yields each scene and its verdict."""
    # Imported here: the domain has to be chosen first.
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import JointState
    from std_srvs.srv import Trigger

    from smoothvla_ros import msg
    from smoothvla_ros.nodes.quality_of_service import profiles, with_depth
    from smoothvla_ros.nodes.stamps import to_nanoseconds

    rclpy.init()
    node = Node('operator')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    latest: dict[str, Any] = {}
    quality = profiles('real_arm')
    for kind, topic, key, profile in (
        (msg.EpisodeState, 'robot_0/episode_state', 'episode', quality.state),
        (msg.GuardState, 'robot_0/motion_guard/state', 'guard', quality.state),
        (JointState, 'robot_0/joint_states', 'joints', with_depth(quality.joint_states, 1)),
    ):
        node.create_subscription(kind, topic, lambda m, key=key: latest.update({key: m}), profile)
    services = {
        name: node.create_client(Trigger, f'robot_0/{name}')
        for name in ('reset', 'motion_guard/arm', 'motion_guard/disarm', 'motion_guard/clear_fault')
    }

    def until(condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if not alive() or time.monotonic() > deadline:
                raise RuntimeError(f'waited in vain for {what}; see the output above')
            executor.spin_once(timeout_sec=0.1)

    def call(name: str) -> bool:
        until(services[name].service_is_ready, f'the service {name}')
        future = services[name].call_async(Trigger.Request())
        until(future.done, f'an answer of {name}')
        return future.result().success

    def phase() -> int | None:
        return latest['guard'].phase if 'guard' in latest else None

    def stands_in(number: int) -> bool:
        """Whether the arm was measured in this scene: before, it was somewhere else."""
        episode, joints = latest.get('episode'), latest.get('joints')
        if episode is None or joints is None or episode.attempt != number:
            return False
        since_ns = to_nanoseconds(joints.header.stamp) - to_nanoseconds(episode.first_stamp)
        return since_ns > SETTLE_NS

    try:
        for number, name in enumerate(names, start=1):
            until(lambda number=number: stands_in(number), f'episode {number}')
            until(lambda: call('motion_guard/arm'), 'the guard to be armed')
            until(
                lambda: (
                    latest['episode'].phase == msg.EpisodeState.PHASE_FINISHED
                    or phase() == msg.GuardState.PHASE_FAULTED
                ),
                f'the end of episode {number}',
            )
            success = bool(latest['episode'].success)
            if phase() == msg.GuardState.PHASE_FAULTED:
                node.get_logger().warning(f'{name}: {latest["guard"].reason}')
                call('motion_guard/clear_fault')
            call('motion_guard/disarm')
            until(lambda: phase() == msg.GuardState.PHASE_DISARMED, 'the guard to be disarmed')
            yield name, success
            if number < len(names):
                call('reset')
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
