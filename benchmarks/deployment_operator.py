"""Who stands beside the deployment graph, in this process: the graph's own operator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from smoothvla_ros.records import EpisodeName

PATIENCE_S = 600.0


def operate(
    names: list[EpisodeName], alive: Callable[[], bool]
) -> Iterator[tuple[EpisodeName, bool]]:
    """Play the twin's scenes; yields each and whether it was solved.

    Raises RuntimeError where the graph ends or a scene lasts too long.
    """
    # Imported here: the domain has to be chosen first.
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter

    from smoothvla_ros.nodes.twin_operator import TwinOperator

    # One of its own: the caller may have one, of another domain.
    context = rclpy.Context()
    context.init()
    node = TwinOperator(
        context=context, parameter_overrides=[Parameter('scenes', value=len(names))]
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        node.autostart()
        for number, name in enumerate(names, start=1):
            deadline = time.monotonic() + PATIENCE_S
            while len(node.verdicts) < number or not node.at_rest:
                if not alive() or time.monotonic() > deadline:
                    raise RuntimeError(f'waited in vain for the end of episode {number}')
                executor.spin_once(timeout_sec=0.1)
            verdict = node.verdicts[number - 1]
            if verdict.reason:
                node.get_logger().warning(f'{name}: {verdict.reason}')
            yield name, verdict.success
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
