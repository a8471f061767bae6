"""A policy that is told something else than the task: does it listen to the instruction?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.policy import (
    ActionChunks,
    Policy,
    PolicySpec,
    TokenStatistics,
    give_up,
)
from smoothvla_ros.records import Observation
from smoothvla_ros.simulation.tasks import tasks


class RewordedPolicy:
    """Wraps a policy and replaces the instruction of every observation; all else is the same."""

    def __init__(self, policy: Policy, rewording: Mapping[str, str]) -> None:
        """rewording: instruction of the task -> what the policy is told instead."""
        self._policy = policy
        self._rewording = dict(rewording)

    @property
    def spec(self) -> PolicySpec:
        """That of the wrapped policy."""
        return self._policy.spec

    @property
    def module(self) -> torch.nn.Module:
        """That of the wrapped policy."""
        return self._policy.module

    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Decide as the wrapped policy does under the other instruction."""
        return self._policy.act(self._reworded(observations), temperature=temperature, seeds=seeds)

    def evaluate(
        self, observations: Sequence[Observation], tokens: np.ndarray, *, temperature: float
    ) -> TokenStatistics:
        """Judge tokens as the wrapped policy does under the other instruction."""
        return self._policy.evaluate(self._reworded(observations), tokens, temperature=temperature)

    def prepare_training(self) -> None:
        """Prepare the wrapped policy."""
        self._policy.prepare_training()

    def save(self, folder: Path) -> None:
        """Save the wrapped policy, which does not know of the rewording."""
        self._policy.save(folder)

    def give_up(self) -> None:
        """Tell the wrapped policy that nobody waits for its answer."""
        give_up(self._policy)

    def _reworded(self, observations: Sequence[Observation]) -> list[Observation]:
        try:
            return [
                dataclasses.replace(
                    observation, instruction=self._rewording[observation.instruction]
                )
                for observation in observations
            ]
        except KeyError as error:
            raise UserError(f'no other wording is known for the instruction {error}') from error


def one_instruction(suite: str, instruction: str) -> dict[str, str]:
    """Tell the policy `instruction` in every task of a suite."""
    return {task.language: instruction for task in tasks(suite)}


def wrong_instructions(suite: str) -> dict[str, str]:
    """Tell the policy the instruction of the suite's next task, in a ring: always a wrong one.

    Raises UserError if two neighbours share their wording, as in suites of rewordings.
    """
    languages = [task.language for task in tasks(suite)]
    told = dict(zip(languages, [*languages[1:], languages[0]], strict=True))
    if len(told) != len(languages) or any(right == wrong for right, wrong in told.items()):
        raise UserError(
            f'{suite}: instructions repeat, or there is one alone, so none is surely wrong; use '
            'libero_goal'
        )
    return told
