"""The policy of one version, asked by many robots at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.checked_answer import checked_answer
from smoothvla_ros.policies.policy import ActionChunks, Policy, give_up
from smoothvla_ros.policies.weights_folder import require_unchanged
from smoothvla_ros.records import EpisodeRequest, Observation
from smoothvla_ros.training.rollouts.source import require_version

PolicyLoader = Callable[[Path], Policy]


@dataclass(eq=False)
class _Question:
    observation: Observation
    temperature: float
    seed: int
    answer: ActionChunks | None = None


class ServedPolicy:
    """Infers for any number of threads, one inference at a time."""

    def __init__(self, load: PolicyLoader, rows: int = 1) -> None:
        """Serve nothing until `update`.

        rows: most questions an inference. With 1 an answer has the same bits whoever else asks;
        above, whoever comes first infers for those who wait, and the last bits depend on them.
        """
        self._load = load
        self._rows = rows
        self._policy: Policy | None = None
        self._name = ''
        self._version = -1
        self._given_up = False
        self._changed = threading.Condition()
        self._busy = False
        self._waiting: list[_Question] = []

    def update(self, version: int, folder: Path, sha256: str) -> None:
        """Load the policy that answers from now on.  Raises UserError if its files changed."""
        require_unchanged(folder, version, sha256)
        self._policy = self._load(folder)
        self._name = f'policy {folder}'
        self._policy.module.eval()
        self._version = version
        self._given_up = False

    def check(self, request: EpisodeRequest) -> None:
        """Raise UserError if a request asks for another version than the one that is loaded."""
        require_version(request, self._version)

    def give_up(self) -> None:
        """Answer nobody until the next `update`: whoever waits gets a UserError, at once."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()
        if self._policy is not None:
            give_up(self._policy)

    def act(self, observation: Observation, temperature: float, seed: int) -> ActionChunks:
        """Return a batch of one chunk; whatever the policy raises is raised."""
        assert self._policy is not None
        question = _Question(observation, temperature, seed)
        with self._changed:
            self._waiting.append(question)
            self._changed.wait_for(lambda: self._may_go_on(question))
            if question.answer is not None:
                return question.answer
            self._waiting.remove(question)
            if self._given_up:
                raise UserError(f'{self._name} is not asked any more: the run has ended')
            alike = [q for q in self._waiting if q.temperature == temperature]
            batch = [question, *alike[: self._rows - 1]]
            self._busy = True
        answers: list[ActionChunks] = []
        try:
            answers = self._infer(self._policy, batch)
        finally:
            with self._changed:
                self._busy = False
                # Of an inference that failed there are none, and the others infer in their turn.
                for asked, answer in zip(batch, answers, strict=False):
                    asked.answer = answer
                self._waiting = [q for q in self._waiting if q.answer is None]
                self._changed.notify_all()
        return answers[0]

    def _may_go_on(self, question: _Question) -> bool:
        """Whether a question has its answer, for which it need not wait its turn, or it is that."""
        if question.answer is not None or self._given_up:
            return True
        return not self._busy and question is self._waiting[0]

    def _infer(self, policy: Policy, batch: Sequence[_Question]) -> list[ActionChunks]:
        """Answer questions of one temperature together."""
        chunks = policy.act(
            [question.observation for question in batch],
            temperature=batch[0].temperature,
            seeds=[question.seed for question in batch],
        )
        checked_answer(chunks, policy.spec, len(batch), self._name)
        rows = [np.s_[row : row + 1] for row in range(len(batch))]
        return [
            ActionChunks(chunks.actions[one], chunks.tokens[one], chunks.log_probs[one])
            for one in rows
        ]
