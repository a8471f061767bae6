"""Calls that nobody waits for: what becomes of the next one when an answer does not come."""

from __future__ import annotations

from rclpy.task import Future
from std_srvs.srv import Trigger

from smoothvla_ros.nodes.base.service_calls import ANSWER_TIMEOUT_S, ServiceCalls


class SilentClient:
    """Stands for a client whose service was killed in the middle of a call."""

    ready = True

    def __init__(self):
        self.calls = []
        self.removed = []

    def service_is_ready(self):
        return self.ready

    def call_async(self, request):
        self.calls.append(Future())
        return self.calls[-1]

    def remove_pending_request(self, future):
        self.removed.append(future)


class OneClientNode:
    """Stands for the node: hands one client out."""

    def __init__(self):
        self.client = SilentClient()

    def create_client(self, kind, name):
        return self.client


def calls():
    node = OneClientNode()
    return ServiceCalls(node, Trigger, {'arm': 'motion_guard/arm'}), node


def test_a_call_without_an_answer_is_given_up():
    """A killed service must not silence the caller for ever, and its late answer comes too late."""
    asked, node = calls()
    answers = []
    asked.send('arm', 0.0, answers.append)
    assert asked.is_pending(ANSWER_TIMEOUT_S - 0.1)
    assert not asked.is_pending(ANSWER_TIMEOUT_S)
    (first,) = node.client.calls
    assert node.client.removed == [first]
    asked.send('arm', ANSWER_TIMEOUT_S, answers.append)
    asked._on_answer(first, answers.append)
    assert not answers
    assert asked.is_pending(ANSWER_TIMEOUT_S + 0.1)


def test_an_answer_makes_room_and_a_refusal_a_little_later(monkeypatch):
    """What was refused would be refused again at once."""
    asked, node = calls()
    answers = []
    asked.send('arm', 0.0, answers.append)
    future = node.client.calls[0]
    future.set_result(Trigger.Response(success=True))
    asked._on_answer(future, answers.append)
    assert answers == [future.result()]
    assert not asked.is_pending(0.1)
    monkeypatch.setattr('time.monotonic', lambda: 10.0)
    asked.send('arm', 10.0, answers.append)
    future = node.client.calls[1]
    future.set_result(Trigger.Response(success=False))
    asked._on_answer(future, answers.append)
    assert asked.is_pending(10.9)
    assert not asked.is_pending(11.0)


def test_a_service_that_is_not_there_is_not_called():
    """Nothing is pending then, so that the next look asks again."""
    asked, node = calls()
    node.client.ready = False
    asked.send('arm', 0.0, lambda answer: None)
    assert not node.client.calls
    assert not asked.is_pending(0.0)
