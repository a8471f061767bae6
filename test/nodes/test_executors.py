"""How a node is spun, with either executor."""

from __future__ import annotations

import threading
import time

import pytest
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import String
from waiting import wait_until

from smoothvla_ros.nodes.base.executors import spinning

PATIENCE_S = 10.0
either = pytest.mark.parametrize('drains_topics', [True, False])


@pytest.fixture
def node(ros):
    made = Node('spun')
    yield made
    made.destroy_node()


@either
def test_messages_and_events_come(node, drains_topics):
    """In order, all of them, with the event that a publisher is there."""
    heard, matched = [], threading.Event()
    node.create_subscription(
        String,
        'spun_topic',
        lambda message: heard.append(message.data),
        50,
        event_callbacks=SubscriptionEventCallbacks(matched=lambda info: matched.set()),
    )
    with spinning(node, drains_topics=drains_topics):
        publisher = node.create_publisher(String, 'spun_topic', 50)
        assert matched.wait(PATIENCE_S)
        sent = [str(number) for number in range(50)]
        for text in sent:
            publisher.publish(String(data=text))
        wait_until(lambda: len(heard) >= len(sent))
    assert heard == sent


@either
def test_a_timer_made_while_spinning_ticks(node, drains_topics):
    """An executor notices what a lifecycle transition makes."""
    ticked = threading.Event()
    with spinning(node, drains_topics=drains_topics):
        node.create_timer(0.01, ticked.set)
        assert ticked.wait(PATIENCE_S)


@either
def test_waiting_costs_nothing_and_ends_at_once(node, drains_topics):
    """Between two ticks no processor time is taken, and the end of the block waits for none."""
    ticks = threading.Semaphore(0)
    node.create_timer(1.0, ticks.release)
    with spinning(node, drains_topics=drains_topics):
        # By the first one the start's own work is done.
        assert ticks.acquire(timeout=PATIENCE_S)
        before = time.process_time()
        assert ticks.acquire(timeout=PATIENCE_S)
        used = time.process_time() - before
        left = time.monotonic()
    assert used < 0.2
    assert time.monotonic() - left < 0.5


@either
def test_an_error_in_a_callback_leaves_the_thread(node, drains_topics, monkeypatch):
    """It reaches threading.excepthook, which ends the process of a node."""
    errors, failed = [], threading.Event()

    def hook(arguments):
        errors.append(arguments.exc_value)
        failed.set()

    monkeypatch.setattr(threading, 'excepthook', hook)

    def fail():
        raise ValueError('on purpose')

    node.create_timer(0.01, fail)
    with spinning(node, drains_topics=drains_topics):
        assert failed.wait(PATIENCE_S)
    assert str(errors[0]) == 'on purpose'
