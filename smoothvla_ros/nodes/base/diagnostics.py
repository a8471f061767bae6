"""Lines on /diagnostics: said when something is known, and again for whoever looks later."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

OK = DiagnosticStatus.OK
WARNING = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR

REPEAT_PERIOD_S = 1.0


class Diagnostics:
    """Publishes the state of a node's parts; a fault is logged too.

    The topic latches nothing, so the last line of each part is said again every second: a fault
    that was said once would be invisible to whoever looks later.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        # Parts may report from threads of their own.
        self._lock = threading.Lock()
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._last: dict[str, DiagnosticStatus] = {}
        # A simulated clock may stand, and it is then that somebody looks.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(REPEAT_PERIOD_S, self._repeat, clock=steady)

    def report(
        self,
        part: str,
        level: bytes,
        message: str,
        values: Mapping[str, object] | None = None,
        *,
        measured: bool = False,
    ) -> None:
        """Publish one line about `part`, for example a robot; a repetition is not logged again.

        measured: the level is a measurement and no fault of the graph. It changes several times a
        second where a motion is rough, so it is never logged: a terminal belongs to faults.
        """
        status = DiagnosticStatus(
            level=level,
            name=f'{self._node.get_fully_qualified_name().lstrip("/")}: {part}',
            message=message,
            hardware_id=part,
            values=[KeyValue(key=key, value=str(v)) for key, v in (values or {}).items()],
        )
        with self._lock:
            before = self._last.get(part)
            self._last[part] = status
        is_news = before is None or (before.level, before.message) != (level, message)
        if level != OK and not measured and is_news:
            # rclpy ties one severity to a place in the code, hence two calls.
            if level == ERROR:
                self._node.get_logger().error(f'{part}: {message}')
            else:
                self._node.get_logger().warning(f'{part}: {message}')
        self._publish([status])

    def _repeat(self) -> None:
        """Say the last line of every part again, in one message."""
        with self._lock:
            statuses = list(self._last.values())
        if statuses:
            self._publish(statuses)

    def _publish(self, statuses: Sequence[DiagnosticStatus]) -> None:
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
