"""One policy for many threads: who is answered together, and what an error does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from toy_world import START, ToyPolicy

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation
from smoothvla_ros.training.rollouts.served_policy import ServedPolicy

ROBOTS = 6


def observation(number: int) -> Observation:
    """A posture of its own."""
    return Observation({}, START + 0.01 * number, np.zeros(7), np.zeros(2), 'go')


class Slow(ToyPolicy):
    """Holds its first inference until all the others have asked, and notes every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.entered, self.all_asked = threading.Event(), threading.Event()

    def act(self, observations, *, temperature, seeds):
        """Wait once, then decide as the toy policy does."""
        if not self.sizes:
            self.entered.set()
            assert self.all_asked.wait(10.0)
        self.sizes.append(len(observations))
        if any(o.instruction == 'break' for o in observations):
            raise UserError('cannot be used')
        return super().act(observations, temperature=temperature, seeds=seeds)


@pytest.fixture
def serve(tmp_path):
    """Return a maker of a served slow policy, by the most rows of an inference."""
    ToyPolicy().save(tmp_path)

    def make(rows: int) -> tuple[ServedPolicy, Slow]:
        policy = Slow()
        served = ServedPolicy(lambda folder: policy, rows)
        served.update(0, tmp_path, folder_sha256(tmp_path))
        return served, policy

    return make


def ask_all(served: ServedPolicy, policy: Slow, temperatures: list[float]):
    """Ask once, and for all others while that inference is held; return the futures."""
    with ThreadPoolExecutor(len(temperatures)) as executor:
        futures = []
        for number, temperature in enumerate(temperatures):
            futures.append(executor.submit(served.act, observation(number), temperature, number))
            assert policy.entered.wait(10.0)
        while len(served._waiting) < len(temperatures) - 1:
            threading.Event().wait(0.001)
        policy.all_asked.set()
    return futures


@pytest.mark.parametrize(('rows', 'sizes'), [(1, [1] * ROBOTS), (3, [1, 3, 2]), (16, [1, 5])])
def test_those_who_wait_are_answered_together(serve, rows, sizes):
    """At most `rows` at once, each with the answer to its own question and seed."""
    served, policy = serve(rows)
    futures = ask_all(served, policy, [1.0] * ROBOTS)
    assert policy.sizes == sizes
    for number, future in enumerate(futures):
        alone = ToyPolicy().act([observation(number)], temperature=1.0, seeds=[number])
        assert np.array_equal(future.result().tokens, alone.tokens)


class Gated(ToyPolicy):
    """Decides as the toy policy does, each time when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.gate = threading.Semaphore(0)

    def act(self, observations, *, temperature, seeds):
        """Note the batch, wait, decide."""
        self.sizes.append(len(observations))
        assert self.gate.acquire(timeout=10.0)
        return super().act(observations, temperature=temperature, seeds=seeds)


def soon(condition) -> bool:
    """Whether something comes true within some seconds."""
    for _ in range(5000):
        if condition():
            return True
        threading.Event().wait(0.001)
    return False


def test_who_is_answered_leaves_while_the_next_are_thought_about(tmp_path):
    """Not only behind another inference, for which a robot would stand still."""
    ToyPolicy().save(tmp_path)
    policy = Gated()
    served = ServedPolicy(lambda folder: policy, rows=2)
    served.update(0, tmp_path, folder_sha256(tmp_path))
    with ThreadPoolExecutor(5) as executor:
        futures = [executor.submit(served.act, observation(0), 1.0, 0)]
        assert soon(lambda: policy.sizes == [1])
        futures += [executor.submit(served.act, observation(i), 1.0, i) for i in range(1, 5)]
        assert soon(lambda: len(served._waiting) == 4)
        policy.gate.release(2)
        assert soon(lambda: policy.sizes == [1, 2, 2])
        left = soon(lambda: sum(future.done() for future in futures) == 3)
        policy.gate.release()
    assert left


def test_who_waits_hears_at_once_that_nobody_is_answered_any_more(tmp_path):
    """Before the inference that is under way has ended; its own answer is thrown away by others."""
    ToyPolicy().save(tmp_path)
    policy = Gated()
    served = ServedPolicy(lambda folder: policy, rows=2)
    served.update(0, tmp_path, folder_sha256(tmp_path))
    with ThreadPoolExecutor(2) as executor:
        first = executor.submit(served.act, observation(0), 1.0, 0)
        assert soon(lambda: policy.sizes == [1])
        second = executor.submit(served.act, observation(1), 1.0, 1)
        assert soon(lambda: len(served._waiting) == 1)
        served.give_up()
        told = soon(second.done)
        policy.gate.release()
    assert told
    assert first.result().tokens.shape == (1, 4, 7)
    with pytest.raises(UserError, match='is not asked any more'):
        second.result()


def test_temperatures_are_not_mixed(serve):
    """A greedy question waits for its own inference."""
    served, policy = serve(16)
    ask_all(served, policy, [1.0, 1.0, 1.0, 0.0, 0.0])
    assert policy.sizes == [1, 2, 2]


def test_an_error_is_raised_to_one_and_the_others_are_asked_again(serve):
    """A question that cannot be used fails by itself, and nobody is left waiting."""
    served, policy = serve(16)
    policy.sizes.append(0)
    broken = Observation({}, START, np.zeros(7), np.zeros(2), 'break')
    with pytest.raises(UserError, match='cannot be used'):
        served.act(broken, 1.0, 0)
    assert served.act(observation(1), 1.0, 1).tokens.shape == (1, 4, 7)
    assert served._waiting == []


def test_files_that_changed_and_another_version_are_refused(serve, tmp_path) -> None:
    """What answers is what was announced, and answers for no other version; the old one stays."""
    served, _ = serve(1)
    announced = folder_sha256(tmp_path)
    (tmp_path / 'more').write_text('x')
    with pytest.raises(UserError, match=rf'^policy {tmp_path} changed since version 1 was'):
        served.update(1, tmp_path, announced)
    name = EpisodeName('libero_spatial', 0, 'train', 0)
    request = EpisodeRequest('i0001-g00-r00', name, 0, 1.0, 0, policy_version=1)
    with pytest.raises(UserError, match='version 1, but version 0 is loaded'):
        served.check(request)
    served.check(replace(request, policy_version=0))
