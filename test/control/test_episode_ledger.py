"""The trainer's rows of the lock-step transition table."""

from __future__ import annotations

import numpy as np
import pytest
from lock_step_world import FakeWorker, observation, request

from smoothvla_ros.control.lock_step.episode_ledger import EpisodeLedger, LedgerSettings
from smoothvla_ros.control.lock_step.protocol import (
    Decision,
    EpisodeReport,
    ExecutedChunk,
    Question,
)

SETTINGS = LedgerSettings(
    request_attempts=2, episode_deadline_s=60.0, resend_s=2.0, completion_s=5.0
)
FIRST_ATTEMPT = 1000
EPOCH = 9


def ledger_of(*ids, robots=('robot_0',), settings=SETTINGS, tasks=None):
    tasks = tasks or [0] * len(ids)
    requests = [request(name, task=task) for name, task in zip(ids, tasks, strict=True)]
    return EpisodeLedger(requests, robots, settings, FIRST_ATTEMPT)


def trajectory():
    worker = FakeWorker()
    worker.reset(request().name, 1.0)
    worker.execute(np.zeros((6, 7)), 1.0)
    return worker.trajectory()


def report(assignment, *, failure='', version=1):
    chunks = (ExecutedChunk(100, EPOCH, 4), ExecutedChunk(500, EPOCH, 2))
    return EpisodeReport(
        assignment.robot,
        assignment.request.episode_id,
        assignment.request.attempt,
        version,
        failure,
        chunks=() if failure else chunks,
        trajectory=None if failure else trajectory(),
    )


def decision(assignment, index, *, epoch=EPOCH, token=0):
    question = Question(
        assignment.request.episode_id, assignment.request.attempt, index, (100, 500)[index], 1
    )
    tokens = np.full((4, 7), token)
    return Decision(
        assignment.robot, question, epoch, observation(index), tokens, tokens.astype(np.float32)
    )


def finish(ledger, assignment, now=0.0):
    for index in (0, 1):
        ledger.decide(decision(assignment, index))
    ledger.report(report(assignment), now)


def test_idle_robots_get_one_request_each():
    """A robot is asked again only after its result."""
    ledger = ledger_of('a', 'b', 'c', robots=('robot_0', 'robot_1'))
    first = ledger.assignments(0.0)
    assert [(a.robot, a.request.episode_id) for a in first] == [('robot_0', 'a'), ('robot_1', 'b')]
    assert ledger.assignments(0.1) == []
    finish(ledger, first[1])
    assert [a.robot for a in ledger.assignments(0.2)] == ['robot_1']


def test_robot_keeps_its_task_where_it_can():
    """Building another task takes seconds."""
    ledger = ledger_of('a', 'b', 'c', tasks=[0, 1, 0])
    (first,) = ledger.assignments(0.0)
    finish(ledger, first)
    assert ledger.assignments(0.1)[0].request.episode_id == 'c'


def test_unanswered_request_is_sent_again_unchanged():
    """The request topic is not latched: what a bridge missed comes again."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    assert ledger.assignments(1.9) == []
    assert ledger.assignments(2.0) == [first]


@pytest.mark.parametrize('result_first', [True, False])
def test_episode_is_taken_once_whole_in_any_order(result_first):
    """Result and chunks come on two topics; the episode is there when both are."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    steps = [
        lambda: ledger.decide(decision(first, 1)),
        lambda: ledger.decide(decision(first, 0)),
    ]
    result = lambda: ledger.report(report(first), 0.0)  # noqa: E731
    for step in [result, *steps] if result_first else [*steps, result]:
        assert ledger.take() is None
        step()
    episode = ledger.take()
    assert [chunk.executed for chunk in episode.chunks] == [4, 2]
    assert episode.request == request('a')
    assert ledger.take() is None
    assert ledger.done


def test_chunk_that_was_executed_counts_not_the_one_that_came_last():
    """Two policies may have answered one observation: the robot says whose answer it ran."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    ledger.decide(decision(first, 0, token=11))
    ledger.decide(decision(first, 0, epoch=EPOCH + 1, token=22))
    ledger.decide(decision(first, 1))
    ledger.report(report(first), 0.0)
    assert ledger.take().chunks[0].tokens[0, 0] == 11


def test_failed_episode_is_asked_for_again_and_then_given_up():
    """Attempts are bounded; what is lost carries its last reason."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    ledger.report(report(first, failure='worker died'), 1.0)
    (second,) = ledger.assignments(1.0)
    assert second.request.attempt == FIRST_ATTEMPT + 1
    ledger.report(report(second, failure='worker died again'), 2.0)
    assert [(r.episode_id, reason) for r, reason in ledger.lost] == [
        ('a', 'robot_0: worker died again')
    ]
    assert ledger.done


def test_answer_of_an_earlier_attempt_or_trainer_is_ignored():
    """One attempt an episode: a late result of the one before changes nothing."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    ledger.report(report(first, failure='slow'), 1.0)
    ledger.assignments(1.0)
    finish(ledger, first)
    assert ledger.take() is None
    assert not ledger.done


def test_missing_chunks_are_waited_for_and_then_asked_again():
    """An episode without all its chunks is never taken, but its robot goes on at once."""
    ledger = ledger_of('a', 'b')
    (first,) = ledger.assignments(0.0)
    ledger.decide(decision(first, 0))
    ledger.report(report(first), 1.0)
    (other,) = ledger.assignments(1.0)
    assert other.request.episode_id == 'b'
    ledger.assignments(5.9)
    finish(ledger, other, 6.0)
    (again,) = ledger.assignments(6.1)
    assert (again.request.episode_id, again.request.attempt) == ('a', FIRST_ATTEMPT + 1)


def test_chunks_that_are_late_after_a_long_episode_are_waited_for():
    """From its result on, not from when it was asked for; and nobody is asked meanwhile."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    ledger.decide(decision(first, 0))
    ledger.report(report(first), 50.0)
    assert ledger.assignments(54.9) == []
    ledger.decide(decision(first, 1))
    assert len(ledger.take().chunks) == 2


def test_robot_is_idle_once_for_an_episode_whose_chunks_never_came():
    """It became free with its result: a second time it would get two episodes at once."""
    ledger = ledger_of('a', 'b')
    (first,) = ledger.assignments(0.0)
    ledger.report(report(first), 1.0)
    ledger.assignments(1.0)
    assert [again.request.episode_id for again in ledger.assignments(6.0)] == ['b']


def test_late_episode_is_asked_for_again():
    """A robot that never answers costs a deadline, not the run."""
    ledger = ledger_of('a')
    ledger.assignments(0.0)
    (again,) = ledger.assignments(60.0)
    assert again.request.attempt == FIRST_ATTEMPT + 1
    ledger.assignments(120.0)
    assert ledger.lost[0][1] == 'robot_0 did not finish within 60 s'


def test_result_of_other_weights_is_no_result():
    """A request for version v is answered by v or not at all."""
    ledger = ledger_of('a')
    (first,) = ledger.assignments(0.0)
    ledger.report(report(first, version=2), 1.0)
    assert ledger.take() is None
    assert ledger.assignments(1.0)[0].request.attempt == FIRST_ATTEMPT + 1


def test_evaluation_takes_episodes_without_chunks():
    """Where nothing is learned, the motion is all that is waited for."""
    ledger = ledger_of('a', settings=LedgerSettings(record_rollouts=False))
    (first,) = ledger.assignments(0.0)
    ledger.report(report(first), 0.0)
    assert ledger.take().chunks == []
