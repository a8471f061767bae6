"""Which scenes each iteration rolls out: fixed by the settings alone, never by what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.splits import Split, episode_names, require_train
from smoothvla_ros.training.config import TrainConfig


@dataclass(frozen=True)
class GroupPlan:
    """One group of an iteration: the requests for its rollouts."""

    requests: tuple[EpisodeRequest, ...]

    @property
    def name(self) -> EpisodeName:
        """The scene that all its rollouts start from."""
        return self.requests[0].name

    @property
    def number(self) -> int:
        """The group's number, unique within the run."""
        return self.requests[0].group


class Plans(Protocol):
    """What a trainer asks for."""

    def groups(self, iteration: int) -> list[GroupPlan]:
        """Return the groups of an iteration (from 1), then those that may replace some."""
        ...

    def reference_requests(self, task: int, count: int) -> list[EpisodeRequest]:
        """Return at most `count` more episodes of a task for the starting policy."""
        ...


class RolloutSchedule:
    """The groups of every iteration, and episodes for the reference, all from the train split."""

    def __init__(self, config: TrainConfig, tasks: Sequence[int]) -> None:
        """Rotate through `tasks`, each with scenes of its own."""
        self._config = config
        self._tasks = tuple(tasks)

    def groups(self, iteration: int) -> list[GroupPlan]:
        """Return the groups of an iteration (from 1), then those that may replace some.

        A resumed run and one that lost episodes ask for the same scenes as any other. The last
        iteration returns to the scenes of the first, so that sampled motion can be compared, scene
        by scene, at no extra cost.
        """
        config = self._config
        slots = config.groups + config.refill_groups
        plans = []
        for slot, (task, index) in enumerate(self._slots(self._scenes_of(iteration))):
            name = self._name(task, index)
            requests = tuple(
                EpisodeRequest(
                    episode_id=f'i{iteration:04d}-g{slot:03d}-r{member:03d}',
                    name=name,
                    group=(iteration - 1) * slots + slot,
                    temperature=config.temperature,
                    seed=config.seed,
                    policy_version=iteration - 1,
                )
                for member in range(config.group_size)
            )
            plans.append(GroupPlan(requests))
        return plans

    def reference_requests(self, task: int, count: int) -> list[EpisodeRequest]:
        """Return single episodes of a task for the starting policy."""
        config = self._config
        names = episode_names(config.suite, task, Split.TRAIN, count, config.seed + 1)
        return [
            EpisodeRequest(
                episode_id=f'reference-t{task:03d}-r{index:03d}',
                name=_checked(name),
                group=-1,
                temperature=config.temperature,
                seed=config.seed,
                policy_version=0,
            )
            for index, name in enumerate(names)
        ]

    def _scenes_of(self, iteration: int) -> int:
        return 1 if iteration == self._config.iterations else iteration

    def _slots(self, iteration: int) -> list[tuple[int, int]]:
        """Return (task, how many earlier slots had this task) of every slot of an iteration."""
        config, used = self._config, Counter[int]()
        slots: list[tuple[int, int]] = []
        for earlier in range(1, iteration + 1):
            slots = []
            first = (earlier - 1) * config.groups
            spare = (earlier - 1) * config.refill_groups
            turns = [*range(first, first + config.groups)]
            turns += range(spare, spare + config.refill_groups)
            for turn in turns:
                task = self._tasks[turn % len(self._tasks)]
                slots.append((task, used[task]))
                used[task] += 1
        return slots

    def _name(self, task: int, index: int) -> EpisodeName:
        config = self._config
        names = episode_names(config.suite, task, Split.TRAIN, index + 1, config.seed)
        return _checked(names[index])


def _checked(name: EpisodeName) -> EpisodeName:
    require_train(name)
    return name
