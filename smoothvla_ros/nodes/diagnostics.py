"""Lines on /diagnostics, each said once until it changes."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

OK = DiagnosticStatus.OK
WARNING = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR


class Diagnostics:
    """Publishes the state of a node's parts; a fault is logged too."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._said: dict[str, tuple[bytes, str]] = {}

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
        name = f'{self._node.get_fully_qualified_name().lstrip("/")}: {part}'
        if level != OK and not measured and self._said.get(part) != (level, message):
            # rclpy ties one severity to a place in the code, hence two calls.
            if level == ERROR:
                self._node.get_logger().error(f'{part}: {message}')
            else:
                self._node.get_logger().warning(f'{part}: {message}')
        self._said[part] = (level, message)
        status = DiagnosticStatus(
            level=level,
            name=name,
            message=message,
            hardware_id=part,
            values=[KeyValue(key=key, value=str(v)) for key, v in (values or {}).items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
