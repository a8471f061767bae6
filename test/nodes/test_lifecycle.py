"""Nodes come up by themselves, or say why not, and can be brought down and up again."""

from __future__ import annotations

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base import lifecycle
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.jerk_monitor.node import JerkMonitor

SUCCESS = TransitionCallbackReturn.SUCCESS


class Faulty(AutostartNode):
    """Cannot be configured."""

    def __init__(self, error):
        super().__init__('faulty')
        self.error = error

    def configure(self):
        raise self.error


def state_of(node):
    return node._state_machine.current_state[1]


def test_node_configures_and_activates_itself(ros):
    """With autostart, the default, a node needs nobody."""
    node = JerkMonitor()
    try:
        node.autostart()
        assert state_of(node) == 'active'
    finally:
        node.destroy_node()


def test_without_autostart_a_node_waits_and_can_be_configured_again(ros):
    """After a cleanup nothing is left of the first configuration, and a second one works."""
    node = JerkMonitor(parameter_overrides=[Parameter('autostart', value=False)])
    try:
        node.autostart()
        assert state_of(node) == 'unconfigured'
        before = len(list(node.publishers)), len(list(node.subscriptions)), len(list(node.timers))
        for _ in range(2):
            assert node.trigger_configure() == SUCCESS
            assert node.trigger_activate() == SUCCESS
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_cleanup() == SUCCESS
        after = len(list(node.publishers)), len(list(node.subscriptions)), len(list(node.timers))
        assert after == before
    finally:
        node.destroy_node()


def test_reason_of_a_failed_start_reaches_the_command_line(ros, capfd):
    """A user's error and one of ours are told apart, so that the exit status tells them apart."""
    for error in (UserError('robots=0 is too small'), ZeroDivisionError('an error of ours')):
        node = Faulty(error)
        try:
            with pytest.raises(type(error), match=str(error)):
                node.autostart()
        finally:
            node.destroy_node()
    assert 'ZeroDivisionError: an error of ours' in capfd.readouterr().err


class Halfway(AutostartNode):
    """Makes one of everything; fails while there is an error."""

    def __init__(self, error):
        super().__init__('halfway')
        self.error = error

    def configure(self):
        self.create_publisher(String, 'said', 1)
        self.create_subscription(String, 'heard', print, 1)
        self.create_timer(60.0, print)
        self.create_service(Trigger, 'asked', print)
        self.create_client(Trigger, 'asks')
        lifecycle.ActionClient(self)
        if self.error is not None:
            raise self.error


class ActsFor:
    """In the place of an action's client: no package with an action is installed here."""

    def __init__(self, node):
        self.node = node
        node.add_waitable(self)

    def destroy(self):
        self.node.remove_waitable(self)


@pytest.mark.parametrize(
    ('error', 'result'),
    [
        (UserError('no camera there'), TransitionCallbackReturn.FAILURE),
        (ZeroDivisionError('an error of ours'), TransitionCallbackReturn.ERROR),
    ],
    ids=['user', 'ours'],
)
def test_what_a_failed_configuration_made_is_gone_and_so_is_everything_after_a_cleanup(
    ros, monkeypatch, error, result
):
    """Else each attempt would leave topics and services behind, and a callback would run twice."""
    monkeypatch.setattr(lifecycle, 'ActionClient', ActsFor)
    node = Halfway(error)

    def counts():
        kinds = (node.publishers, node.subscriptions, node.timers, node.services, node.clients)
        acting = [waitable for waitable in node.waitables if isinstance(waitable, ActsFor)]
        return [len(list(kind)) for kind in (*kinds, acting)]

    try:
        before = counts()
        for _ in range(2):
            assert node.trigger_configure() == result
            assert counts() == before
        node.error = None
        assert node.trigger_configure() == SUCCESS
        assert counts() == [count + 1 for count in before]
        assert node.trigger_cleanup() == SUCCESS
        assert counts() == before
    finally:
        node.destroy_node()
