"""One robot of the bridge: a plain thread that turns requests into results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.decoded_messages import request_of
from smoothvla_ros.control.lock_step.protocol import Answer, ChunkVerdict, EpisodeReport
from smoothvla_ros.control.lock_step.robot_episode import EpisodeFailed, RobotEpisode
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.libero_bridge.robot_link import TopicRobotLink
from smoothvla_ros.records import EpisodeRequest
from smoothvla_ros.simulation.tasks import horizon
from smoothvla_ros.simulation.workers.worker_pool import Worker, WorkerDied, WorkerTimeout

# The first message after a match can take 0.2 s; a policy that loads takes seconds.
MATCH_TIMEOUT_S = 60.0
_STOPPED = 'the bridge was stopped'


class RobotDriver:
    """Runs the newest request for one robot and publishes what became of it.

    A request that is running is not started twice; one that was just answered is answered again; a
    newer one ends the older. So a trainer may send any request as often as it likes.
    """

    def __init__(
        self,
        robot: str,
        episode: RobotEpisode,
        worker: Worker,
        link: TopicRobotLink,
        diagnostics: Diagnostics,
        publish: Callable[[EpisodeReport], None],
    ) -> None:
        self.robot = robot
        self._episode = episode
        self._worker = worker
        self._link = link
        self._diagnostics = diagnostics
        self._publish = publish
        self._changed = threading.Condition()
        self._waiting: tuple[EpisodeRequest, float] | None = None
        self._running: EpisodeRequest | None = None
        self._last: EpisodeReport | None = None
        self._stopping = False
        episode.dropped = self._on_dropped
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take requests."""
        self._stopping = False
        self._link.interrupt('')
        self._thread = threading.Thread(target=self._run, name=self.robot)
        self._thread.start()

    def interrupt(self) -> None:
        """Abort the running episode and take no more requests."""
        with self._changed:
            self._stopping = True
            self._link.interrupt(_STOPPED)
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until the robot's thread has ended."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def request(self, message: msg.EpisodeRequest) -> None:
        """Take a request from the topic; called in the executor's thread."""
        request = request_of(message)
        deadline = time.monotonic() + message.deadline if message.deadline > 0 else 0.0
        identity = (request.episode_id, request.attempt)
        with self._changed:
            if self._last is not None and identity == (self._last.episode_id, self._last.attempt):
                self._publish(self._last)
                return
            for known in (self._running, self._waiting and self._waiting[0]):
                if known is not None and identity == (known.episode_id, known.attempt):
                    return
            self._waiting = (request, deadline)
            if self._running is not None:
                self._link.interrupt(f'a newer request, {request.episode_id}, took its place')
            self._changed.notify_all()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            report = self._play(*taken)
            with self._changed:
                self._running, self._last = None, report
            self._publish(report)

    def _take(self) -> tuple[EpisodeRequest, float] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._stopping)
            if self._stopping or self._waiting is None:
                return None
            taken, self._waiting = self._waiting, None
            self._running = taken[0]
            self._link.interrupt('')
            return taken

    def _play(self, request: EpisodeRequest, deadline: float) -> EpisodeReport:
        """Run one episode; whatever goes wrong with it becomes a report with its reason."""
        try:
            unmatched = self._link.wait_for_match(MATCH_TIMEOUT_S)
            if unmatched:
                raise EpisodeFailed(f'no policy node on {", ".join(sorted(unmatched))}')
            steps = request.horizon or horizon(request.name.suite)
            report = self._episode.run(request, steps, deadline)
            self._diagnostics.report(self.robot, OK, f'finished {request.episode_id}')
            return report
        except EpisodeFailed as error:
            failure = str(error)
            self._diagnostics.report(self.robot, WARNING, f'{request.episode_id}: {failure}')
        except UserError as error:
            failure = str(error)
            self._diagnostics.report(self.robot, ERROR, f'{request.episode_id}: {failure}')
        except (WorkerDied, WorkerTimeout) as error:
            if self._stopping:
                # The end of the bridge ends its workers: nobody died who should not have.
                failure = _STOPPED
            else:
                failure = str(error)
                self._diagnostics.report(self.robot, ERROR, f'{failure}; it is started again')
                self._worker.restart()
        return EpisodeReport(
            self.robot, request.episode_id, request.attempt, request.policy_version, failure
        )

    def _on_dropped(self, answer: Answer, verdict: ChunkVerdict) -> None:
        question = answer.question
        self._diagnostics.report(
            self.robot,
            OK,
            f'chunk {question.chunk_index} of {question.episode_id} ignored: {verdict.value}',
            {'epoch': answer.epoch, 'seq': answer.seq, 'attempt': question.attempt},
        )
