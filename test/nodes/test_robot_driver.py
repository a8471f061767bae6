"""A robot of the bridge takes requests as often as a trainer sends them."""

from __future__ import annotations

import queue
from types import SimpleNamespace

import pytest
from lock_step_world import request

from smoothvla_ros.control.lock_step.protocol import EpisodeReport
from smoothvla_ros.control.lock_step.robot_episode import EpisodeFailed
from smoothvla_ros.nodes.libero_bridge.robot_driver import RobotDriver
from smoothvla_ros.nodes.topics.messages import to_request
from smoothvla_ros.simulation.workers.worker_pool import WorkerDied


class HeldEpisode:
    """An episode that runs until it is released or interrupted."""

    def __init__(self, link):
        self.link = link
        self.started = queue.Queue()
        self.release = queue.Queue()

    def run(self, request, horizon, deadline):
        self.started.put(request.episode_id)
        order = self.release.get(timeout=10.0)
        if order == 'fail':
            raise EpisodeFailed(self.link.reasons[-1])
        if order == 'die':
            raise WorkerDied('worker robot_0 (pid 1) died during execute, exit code -9')
        return EpisodeReport('robot_0', request.episode_id, request.attempt, 1, success=True)


@pytest.fixture
def bench():
    link = SimpleNamespace(reasons=[], wait_for_match=lambda timeout_s: set())
    link.interrupt = link.reasons.append
    episode = HeldEpisode(link)
    reports = queue.Queue()
    said = []
    restarts = []
    diagnostics = SimpleNamespace(report=lambda part, level, message: said.append(message))
    worker = SimpleNamespace(restart=lambda: restarts.append(1))
    driver = RobotDriver('robot_0', episode, worker, link, diagnostics, reports.put)
    driver.start()
    yield SimpleNamespace(
        driver=driver, episode=episode, link=link, reports=reports, said=said, restarts=restarts
    )
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


def test_dead_worker_is_named_and_started_again(bench):
    """The death stands in the result and on /diagnostics; the next episode finds a worker."""
    ask(bench, 'a')
    bench.episode.started.get(timeout=10.0)
    bench.episode.release.put('die')
    assert 'robot_0 (pid 1) died' in bench.reports.get(timeout=10.0).failure
    assert 'it is started again' in bench.said[-1]
    assert len(bench.restarts) == 1


def test_worker_that_ends_with_its_bridge_did_not_die(bench):
    """Stopping kills the workers: no line may send the reader after a wrong culprit."""
    ask(bench, 'a')
    bench.episode.started.get(timeout=10.0)
    bench.driver.interrupt()
    bench.episode.release.put('die')
    assert bench.reports.get(timeout=10.0).failure == 'the bridge was stopped'
    assert bench.said == []
    assert bench.restarts == []
