"""The robot's rows of the lock-step transition table (docs/architecture.md)."""

from __future__ import annotations

import numpy as np
import pytest
from lock_step_world import CHUNK, PERIOD_NS, FakeLink, FakeWorker, request

from smoothvla_ros.control.lock_step.protocol import ChunkVerdict, EpisodePhase, SimulationClock
from smoothvla_ros.control.lock_step.robot_episode import (
    EpisodeFailed,
    LockStepSettings,
    RobotEpisode,
)

SETTINGS = LockStepSettings(resend_s=2.0, chunk_timeout_s=9.0)


class Bench:
    """One robot on a scripted link."""

    def __init__(self, worker=None):
        self.link = FakeLink()
        self.worker = worker or FakeWorker()
        self.dropped = []
        self.clock = SimulationClock(start_ns=10**18, period_s=0.05)
        self.episode = RobotEpisode(
            'robot_0',
            self.worker,
            self.link,
            self.clock,
            SETTINGS,
            monotonic=lambda: self.link.now,
            dropped=lambda answer, verdict: self.dropped.append(verdict),
        )

    def run(self, horizon=10, deadline=0.0, **changes):
        return self.episode.run(request(**changes), horizon, deadline)


def test_episode_ends_at_the_horizon_with_every_step_announced():
    """Stamps rise by one period a step; the last state names the last sample and their number."""
    bench = Bench()
    report = bench.run(horizon=10)
    first, last = bench.link.states[0], bench.link.states[-1]
    assert [chunk.executed for chunk in report.chunks] == [4, 4, 2]
    assert (first.phase, last.phase) == (EpisodePhase.RUNNING, EpisodePhase.FINISHED)
    assert last.samples == 11
    assert last.last_stamp_ns == first.first_stamp_ns + 10 * PERIOD_NS
    assert bench.link.joint_stamps == [first.first_stamp_ns + i * PERIOD_NS for i in range(11)]
    assert not report.success


def test_observation_is_one_stamp_and_every_question_another():
    """Images carry the stamp of the newest joint sample; chunk k is asked k chunks later."""
    bench = Bench()
    bench.run(horizon=8)
    first = bench.link.states[0].first_stamp_ns
    assert bench.link.images == [first, first + CHUNK * PERIOD_NS]
    assert set(bench.link.images) <= set(bench.link.joint_stamps)


def test_success_ends_the_episode_within_a_chunk():
    """Only what was executed until success counts."""
    bench = Bench(FakeWorker(success_at=6))
    report = bench.run(horizon=100)
    assert report.success
    assert [chunk.executed for chunk in report.chunks] == [4, 2]
    assert bench.link.states[-1].success


def test_stamps_never_repeat_between_episodes():
    """The clock goes on while a scene is reset."""
    bench = Bench()
    bench.run(episode_id='e0')
    end = max(bench.link.joint_stamps)
    bench.run(episode_id='e1')
    assert bench.link.states[-1].first_stamp_ns > end
    assert len(set(bench.link.joint_stamps)) == len(bench.link.joint_stamps)


def test_silence_sends_the_same_observation_again():
    """After resend_s the same stamp goes out again, and its answer is executed once."""
    bench = Bench()
    bench.link.script.extend([None, None])
    report = bench.run(horizon=4)
    assert bench.link.images == [report.chunks[0].stamp_ns] * 3
    assert [chunk.executed for chunk in report.chunks] == [4]


def test_what_is_sent_again_is_the_last_sample_of_a_chunk():
    """Joints and images of one stamp belong together, also the second time."""
    bench = Bench()
    sent, send_joints = [], bench.link.send_joints

    def noting(stamps_ns, positions, velocities, gripper):
        send_joints(stamps_ns, positions, velocities, gripper)
        sent.extend(zip(stamps_ns, positions[:, 0], strict=True))

    bench.link.send_joints = noting
    bench.link.script.extend([bench.link.answer, None])
    report = bench.run(horizon=8)
    asked = report.chunks[1].stamp_ns
    assert bench.link.images == [report.chunks[0].stamp_ns, asked, asked]
    assert [position for stamp, position in sent if stamp == asked] == [CHUNK, CHUNK]


def test_long_silence_gives_the_episode_up():
    """A stuck policy is named after chunk_timeout_s, and the episode is announced as aborted."""
    bench = Bench()
    bench.link.script.extend([None] * 20)
    with pytest.raises(EpisodeFailed, match='no chunk 0 of version 1 within 9 s'):
        bench.run()
    assert bench.link.states[-1].phase is EpisodePhase.ABORTED


@pytest.mark.parametrize(
    ('wrong', 'verdict'),
    [
        ({'epoch': 0}, ChunkVerdict.OLD_EPOCH),
        ({'seq': 1}, ChunkVerdict.OLD_SEQUENCE),
        ({'episode_id': 'other'}, ChunkVerdict.OTHER_EPISODE),
        ({'attempt': 5}, ChunkVerdict.OTHER_EPISODE),
        ({'stamp_ns': 3}, ChunkVerdict.OTHER_OBSERVATION),
        ({'chunk_index': 9}, ChunkVerdict.OTHER_OBSERVATION),
        ({'policy_version': 2}, ChunkVerdict.OTHER_VERSION),
    ],
)
def test_chunk_that_answers_something_else_is_ignored(wrong, verdict):
    """Nothing moves the robot but the answer to its pending question."""
    bench = Bench()
    link = bench.link
    link.script.extend([link.answer, lambda: link.answer(**wrong), link.answer])
    report = bench.run(horizon=8)
    assert bench.dropped == [verdict]
    assert [chunk.executed for chunk in report.chunks] == [4, 4]


def test_repeated_chunk_is_executed_once():
    """The policy may answer twice: the second copy answers no question any more."""
    bench = Bench()
    link = bench.link
    answers = []

    def first():
        answers.append(link.answer())
        return answers[0]

    link.script.extend([first, lambda: answers[0], link.answer])
    bench.run(horizon=8)
    assert bench.dropped == [ChunkVerdict.OLD_SEQUENCE]
    assert len(bench.worker.actions) == 8


def test_restarted_policy_answers_with_a_higher_epoch():
    """A higher epoch resets the sequence, and from then on the lower one is void."""
    bench = Bench()
    link = bench.link
    link.script.extend(
        [
            lambda: link.answer(epoch=5, seq=40),
            lambda: link.answer(epoch=6, seq=1),
            lambda: link.answer(epoch=5, seq=41),
            lambda: link.answer(epoch=6, seq=2),
        ]
    )
    report = bench.run(horizon=12)
    assert [chunk.epoch for chunk in report.chunks] == [5, 6, 6]
    assert bench.dropped == [ChunkVerdict.OLD_EPOCH]


def test_refusal_ends_the_episode_with_its_reason():
    """What the policy says reaches the trainer in the failure."""
    bench = Bench()
    bench.link.script.append(lambda: bench.link.answer(refusal='NaN in joint_states'))
    with pytest.raises(EpisodeFailed, match='NaN in joint_states'):
        bench.run()
    assert bench.link.states[-1].phase is EpisodePhase.ABORTED


def test_chunk_that_is_not_finite_never_moves_the_robot():
    """A NaN action ends the episode before anything is executed."""
    bench = Bench()
    bad = np.full((CHUNK, 7), np.nan)
    bench.link.script.append(lambda: bench.link.answer(actions=bad))
    with pytest.raises(EpisodeFailed, match='finite'):
        bench.run()
    assert bench.worker.actions == []


def test_deadline_and_interruption_end_the_episode():
    """An episode ends at its deadline even while the policy is merely slow, and when replaced."""
    bench = Bench()
    bench.link.script.extend([None] * 5)
    with pytest.raises(EpisodeFailed, match='deadline'):
        bench.run(deadline=bench.link.now + 3.0)
    bench.link.reason = 'a newer request took its place'
    with pytest.raises(EpisodeFailed, match='newer request'):
        bench.run()


def test_dead_worker_aborts_the_announced_episode():
    """The error passes through to who can restart the worker; the graph hears ABORTED."""
    worker = FakeWorker()
    bench = Bench(worker)
    worker.error = RuntimeError('worker robot_0 (pid 1) died')
    with pytest.raises(RuntimeError, match='pid 1'):
        bench.run()
    assert bench.link.states[-1].phase is EpisodePhase.ABORTED
