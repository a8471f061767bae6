"""What reaches the terminal beside /diagnostics."""

from __future__ import annotations

from rclpy.node import Node

from smoothvla_ros.nodes.diagnostics import OK, WARNING, Diagnostics


def test_a_fault_is_said_once_and_a_measurement_never(ros, capfd):
    """A repeated fault is one line until it changes; a rough motion does not fill the terminal."""
    node = Node('diagnosed')
    try:
        diagnostics = Diagnostics(node)
        for text in ('no camera', 'no camera', 'no joints'):
            diagnostics.report('robot_0', WARNING, text)
        for level in (WARNING, OK, WARNING):
            diagnostics.report('robot_0 jerk', level, 'rough', measured=True)
    finally:
        node.destroy_node()
    said = capfd.readouterr().err
    assert said.count('no camera') == said.count('no joints') == 1
    assert 'rough' not in said
