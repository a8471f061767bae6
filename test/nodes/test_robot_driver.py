"""A robot of the bridge takes requests as often as a trainer sends them."""

from __future__ import annotations

import queue
from types import SimpleNamespace

import pytest
from lock_step_world import request

from smoothvla_ros.control.lock_step import EpisodeReport
from smoothvla_ros.control.robot_episode import EpisodeFailed
from smoothvla_ros.nodes.messages import to_request
from smoothvla_ros.nodes.robot_driver import RobotDriver


class HeldEpisode:
    """An episode that runs until it is released or interrupted."""

    def __init__(self, link):
        self.link = link
        self.started = queue.Queue()
        self.release = queue.Queue()

    def run(self, request, horizon, deadline):
        self.started.put(request.episode_id)
        if self.release.get(timeout=10.0) == 'fail':
            raise EpisodeFailed(self.link.reasons[-1])
        return EpisodeReport('robot_0', request.episode_id, request.attempt, 1, success=True)


@pytest.fixture
def bench():
    link = SimpleNamespace(reasons=[], wait_for_match=lambda timeout_s: set())
    link.interrupt = link.reasons.append
    episode = HeldEpisode(link)
    reports = queue.Queue()
    diagnostics = SimpleNamespace(report=lambda *arguments: None)
    driver = RobotDriver('robot_0', episode, None, link, diagnostics, reports.put)
    driver.start()
    yield SimpleNamespace(driver=driver, episode=episode, link=link, reports=reports)
    driver.interrupt()
    driver.join()


def ask(bench, episode_id, attempt=0):
    wanted = request(episode_id, attempt=attempt)
    bench.driver.request(to_request(wanted, 'robot_0', 0.0, 0))


def test_request_may_come_any_number_of_times(bench):
    """While it runs nothing happens; once it is answered the same result is sent again."""
    ask(bench, 'a')
    assert bench.episode.started.get(timeout=10.0) == 'a'
    ask(bench, 'a')
    bench.episode.release.put('finish')
    first = bench.reports.get(timeout=10.0)
    ask(bench, 'a')
    assert bench.reports.get(timeout=10.0) is first
    assert bench.episode.started.empty()
    ask(bench, 'a', attempt=1)
    assert bench.episode.started.get(timeout=10.0) == 'a'
    bench.episode.release.put('finish')
    assert bench.reports.get(timeout=10.0).attempt == 1


def test_newer_request_takes_the_place_of_the_running_one(bench):
    """A trainer that has given an episode up does not wait for it."""
    ask(bench, 'a')
    bench.episode.started.get(timeout=10.0)
    ask(bench, 'b')
    assert bench.link.reasons[-1] == 'a newer request, b, took its place'
    bench.episode.release.put('fail')
    assert bench.reports.get(timeout=10.0).failure == 'a newer request, b, took its place'
    assert bench.episode.started.get(timeout=10.0) == 'b'
    bench.episode.release.put('finish')
    assert bench.reports.get(timeout=10.0).episode_id == 'b'
