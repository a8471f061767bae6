"""The policy of one version, asked by many robots at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
        self._inference = threading.Lock()
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
        self._given_up = True
        if self._policy is not None:
            give_up(self._policy)

    def act(self, observation: Observation, temperature: float, seed: int) -> ActionChunks:
        """Return a batch of one chunk; whatever the policy raises is raised."""
        assert self._policy is not None
        question = _Question(observation, temperature, seed)
        self._waiting.append(question)
        with self._inference:
            if self._given_up:
                self._waiting.remove(question)
                raise UserError(f'{self._name} is not asked any more: the run has ended')
            if question.answer is None:
                self._infer(self._policy, question)
        assert question.answer is not None
        return question.answer

    def _infer(self, policy: Policy, first: _Question) -> None:
        """Answer one question and, where there is room, those of its temperature that wait."""
        self._waiting.remove(first)
        alike = [q for q in tuple(self._waiting) if q.temperature == first.temperature]
        batch = [first, *alike[: self._rows - 1]]
        chunks = policy.act(
            [question.observation for question in batch],
            temperature=first.temperature,
            seeds=[question.seed for question in batch],
        )
        checked_answer(chunks, policy.spec, len(batch), self._name)
        for row, question in enumerate(batch):
            one = np.s_[row : row + 1]
            question.answer = ActionChunks(
                chunks.actions[one], chunks.tokens[one], chunks.log_probs[one]
            )
            if question is not first:
                self._waiting.remove(question)
