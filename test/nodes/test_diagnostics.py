"""What reaches /diagnostics, and the terminal beside it."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from waiting import spin_until

from smoothvla_ros.nodes.base import diagnostics as module
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics


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


def test_who_looks_later_hears_the_last_line_of_every_part(ros, monkeypatch, capfd):
    """Of a fault that is latched too, while a simulated clock stands; the terminal has it once."""
    monkeypatch.setattr(module, 'REPEAT_PERIOD_S', 0.05)
    node = Node('latched', parameter_overrides=[Parameter('use_sim_time', value=True)])
    late, heard = Node('late'), []
    executor = SingleThreadedExecutor()
    for spun in (node, late):
        executor.add_node(spun)
    try:
        diagnostics = Diagnostics(node)
        diagnostics.report('robot_0', WARNING, 'stopping')
        diagnostics.report('robot_0', ERROR, 'faulted', {'duplicate': 3})
        diagnostics.report('robot_1', OK, 'armed')
        late.create_subscription(DiagnosticArray, '/diagnostics', heard.append, 10)
        spin_until(executor, lambda: len(heard) >= 3)
    finally:
        executor.shutdown()
        node.destroy_node()
        late.destroy_node()
    said = [(line.name, line.level, line.message) for line in heard[-1].status]
    assert said == [('latched: robot_0', ERROR, 'faulted'), ('latched: robot_1', OK, 'armed')]
    assert [(pair.key, pair.value) for pair in heard[-1].status[0].values] == [('duplicate', '3')]
    assert capfd.readouterr().err.count('faulted') == 1
