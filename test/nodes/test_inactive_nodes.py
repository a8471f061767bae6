"""A node that was configured and is not active says nothing of its work yet, and does none."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from waiting import spin_until

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.nodes.camera import Camera
from smoothvla_ros.nodes.episodes import Episodes
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.srv import LabelEpisode


def test_a_camera_that_does_not_deliver_yet_is_no_fault(ros, monkeypatch):
    """Its report would be an error about images that nobody asked for."""
    monkeypatch.setattr('smoothvla_ros.nodes.camera.REPORT_PERIOD_S', 0.05)
    camera = Camera(parameter_overrides=[Parameter('source', value='pattern')])
    listener, said, ticks = Node('listener'), [], []
    listener.create_subscription(DiagnosticArray, '/diagnostics', said.append, 10)
    executor = SingleThreadedExecutor()
    for node in (camera, listener):
        executor.add_node(node)
    try:
        camera.trigger_configure()
        spin_until(executor, lambda: listener.count_publishers('/diagnostics'))
        listener.create_timer(0.05, lambda: ticks.append(0))
        spin_until(executor, lambda: len(ticks) > 6)
        assert not said
        camera.trigger_activate()
        spin_until(executor, lambda: said)
        camera.trigger_deactivate()
    finally:
        executor.shutdown()
        for node in (camera, listener):
            node.destroy_node()


def test_inactive_no_episode_is_found_and_none_is_labelled(ros):
    """What began before belongs to nobody: the arm may have been disarmed while nobody looked."""
    episodes = Episodes(namespace='robot_0')
    arm, found = Node('arm', namespace='robot_0'), []
    quality = profiles('real_arm')
    states = arm.create_publisher(msg.GuardState, 'motion_guard/state', quality.status)
    arm.create_subscription(msg.EpisodeLabel, 'episode_label', found.append, quality.state)
    label = arm.create_client(LabelEpisode, 'episodes/label')
    executor = SingleThreadedExecutor()
    for node in (episodes, arm):
        executor.add_node(node)

    def play():
        for phase in (GuardPhase.RUNNING, GuardPhase.DISARMED):
            states.publish(msg.GuardState(phase=int(phase)))
            # Answered after it was heard; of the guard only the newest state is kept.
            answer()

    def answer():
        future = label.call_async(LabelEpisode.Request(outcome='success'))
        spin_until(executor, future.done)
        return future.result().message

    try:
        episodes.trigger_configure()
        spin_until(executor, lambda: states.get_subscription_count() and label.service_is_ready())
        play()
        episodes.trigger_activate()
        assert 'no episode has ended yet' in answer()
        assert not found
        play()
        spin_until(executor, lambda: found)
        assert len(found) == 1
        episodes.trigger_deactivate()
        assert answer() == 'the node is not active'
    finally:
        executor.shutdown()
        for node in (episodes, arm):
            node.destroy_node()
