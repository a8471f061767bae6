"""Rollouts from recordings: a run can be trained from again, bit for bit, without its robots."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smoothvla_ros.control.lock_step.decoded_messages import decision_of, report_of, request_of
from smoothvla_ros.control.lock_step.protocol import Decision, EpisodeReport
from smoothvla_ros.errors import UserError
from smoothvla_ros.recordings import Bag
from smoothvla_ros.recordings.messages import MessageDecoder, rgb_image
from smoothvla_ros.records import ChunkRecord, Episode, EpisodeRequest
from smoothvla_ros.training.rollouts.source import LostEpisode

REQUEST = 'smoothvla_ros/msg/EpisodeRequest'
RESULT = 'smoothvla_ros/msg/EpisodeResult'
STEP = 'smoothvla_ros/msg/RolloutStep'
UPDATE = 'smoothvla_ros/msg/PolicyUpdate'

_Key = tuple[str, int]


class RecordedRolloutSource:
    """A `RolloutSource` whose episodes were recorded, in one bag or in several one after another.

    It answers what was asked then: a trainer with the settings of the recorded run gets the very
    episodes it got, and by them the very weights. Anything else is refused: other weights by their
    hash, other settings by the request that differs.
    """

    def __init__(self, recordings: Sequence[Path]) -> None:
        """Look through the recordings for the policies that answered in them.

        Raises UserError for one that cannot be read or that holds no training run.
        """
        self._hashes: dict[int, set[str]] = {}
        self._recordings = tuple(recordings)
        for path in self._recordings:
            with Bag(path) as bag:
                for message_type in (REQUEST, RESULT, STEP, UPDATE):
                    if not bag.of_type(message_type):
                        raise UserError(
                            f'{path} holds no {message_type}: it is no recording of a training '
                            'run; record one with record:=true'
                        )
                for _, update in _messages(bag, (UPDATE,)):
                    self._hashes.setdefault(update.version, set()).add(update.sha256)
        self._version = -1
        self._announced = -1
        self._lost: list[LostEpisode] = []
        self._waiting: dict[str, Episode] = {}
        self._episodes = self._read()

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Go on to the episodes that this version played.

        Raises UserError where the recording has none, or other weights under this version.
        """
        recorded = self._hashes.get(version)
        if recorded is None:
            known = ', '.join(map(str, sorted(self._hashes)))
            raise UserError(
                f'{self._place} holds no policy version {version}, only {known}; ask for as many '
                'iterations as were recorded'
            )
        if sha256 not in recorded:
            raise UserError(
                f'{self._place} was recorded with other weights of version {version} than '
                f'{folder} holds; start from the policy and with the settings of that run'
            )
        self._version = version
        self._waiting = {
            name: episode
            for name, episode in self._waiting.items()
            if episode.request.policy_version >= version
        }

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield the recorded episodes of these requests; see `RolloutSource.collect`.

        An episode that does not come before the version after the next is announced is lost, as it
        is at the end: what is read meanwhile has to be kept. Not at once at the next one, because
        a recorder that lags takes the topics in any order.
        Raises UserError for a request that differs from the recorded one of that name.
        """
        self._lost = []
        open_requests = {request.episode_id: request for request in requests}
        for name in list(open_requests):
            if name in self._waiting:
                yield self._answer(open_requests.pop(name), self._waiting.pop(name))
        while open_requests and self._announced <= self._version + 1:
            read = next(self._episodes, None)
            if read is None:
                break
            if isinstance(read, int):
                self._announced = read
                continue
            name = read.request.episode_id
            if name in open_requests:
                yield self._answer(open_requests.pop(name), read)
            elif read.request.policy_version >= self._version:
                self._waiting[name] = read
        for request in open_requests.values():
            self._lost.append(LostEpisode(request, f'{self._place} does not hold it whole'))

    def lost(self) -> Sequence[LostEpisode]:
        """Return the requests of the latest `collect` that were not recorded."""
        return tuple(self._lost)

    def close(self) -> None:
        """Stop reading."""
        self._episodes.close()

    @property
    def _place(self) -> str:
        return ', '.join(map(str, self._recordings))

    def _answer(self, wanted: EpisodeRequest, episode: Episode) -> Episode:
        """Return the episode under the request that it answers."""
        for field in dataclasses.fields(EpisodeRequest):
            if field.name == 'attempt':
                continue
            asked, recorded = (getattr(r, field.name) for r in (wanted, episode.request))
            if asked != recorded:
                raise UserError(
                    f'{self._place}: episode {wanted.episode_id} was recorded with '
                    f'{field.name}={recorded!r}, but {asked!r} is asked for; use the settings of '
                    'the recorded run'
                )
        return dataclasses.replace(episode, request=wanted)

    def _read(self) -> Generator[Episode | int, None, None]:
        """Yield every whole episode, in the order in which they became whole.

        And each version that the last recording announces, where it stands between them: what an
        earlier one has not whole may come again in a later one.
        """
        for path in self._recordings:
            whole = _Assembly()
            with Bag(path) as bag:
                for message_type, message in _messages(bag, (REQUEST, RESULT, STEP, UPDATE)):
                    if message_type == UPDATE:
                        if path == self._recordings[-1]:
                            yield int(message.version)
                        continue
                    yield from whole.add(message_type, message)


class _Assembly:
    """Puts requests, results and steps together, in whatever order they were recorded."""

    def __init__(self) -> None:
        self._requests: dict[_Key, EpisodeRequest] = {}
        self._reports: dict[_Key, EpisodeReport] = {}
        self._decisions: dict[_Key, dict[tuple[int, int, int], Decision]] = {}
        self._done: set[_Key] = set()

    def add(self, message_type: str, message: Any) -> Iterator[Episode]:
        """Take one message and yield the episode that it completes, if any."""
        key = (message.episode_id, message.attempt)
        if key in self._done:
            return
        if message_type == REQUEST:
            self._requests[key] = request_of(message)
        elif message_type == RESULT and not message.failure:
            self._reports[key] = report_of(message)
        elif message_type == STEP:
            decision = decision_of(message, rgb_image)
            question = decision.question
            at = (question.chunk_index, question.stamp_ns, decision.epoch)
            self._decisions.setdefault(key, {})[at] = decision
        episode = self._episode(key)
        if episode is not None:
            self._done.add(key)
            self._requests.pop(key, None)
            self._reports.pop(key, None)
            self._decisions.pop(key, None)
            yield episode

    def _episode(self, key: _Key) -> Episode | None:
        report, request = self._reports.get(key), self._requests.get(key)
        if report is None or report.trajectory is None or request is None:
            return None
        known: Mapping[tuple[int, int, int], Decision] = self._decisions.get(key, {})
        chunks = []
        for index, chunk in enumerate(report.chunks):
            decision = known.get((index, chunk.stamp_ns, chunk.epoch))
            if decision is None:
                return None
            chunks.append(
                ChunkRecord(
                    decision.observation, decision.tokens, decision.log_probs, chunk.executed
                )
            )
        return Episode(request, report.success, report.trajectory, chunks)


def _messages(bag: Bag, types: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield (type, decoded message) of these types in order."""
    decoder = MessageDecoder(bag)
    type_of = {topic.name: topic.type for topic in bag.topics if topic.type in types}
    for topic, _, content in bag.messages(tuple(type_of)):
        yield type_of[topic], decoder.decode(topic, content)
