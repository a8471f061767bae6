"""The one split into training and held-out episodes; everything that picks episodes asks here.

An episode starts from an init state and a scene seed (the fixture poses). Both are split, and an
episode belongs to a split only if both of its parts do: a policy evaluated on held-out names has
seen neither the arrangement of the objects nor that of the fixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks

INIT_STATES = 50
_HELD_OUT_EVERY = 5
_TRAIN_SEEDS = range(100_000)
_HELD_OUT_SEEDS = range(100_000, 110_000)
DRAWING_SEEDS = range(110_000, 2**32)
"""Scene seeds of no split: those under which init states of suites of one's own are drawn."""


class Split(StrEnum):
    """Which episodes may be learned from, and which only measured on."""

    TRAIN = 'train'
    HELD_OUT = 'held_out'


class EvaluationSplit(StrEnum):
    """What an evaluation alone may choose: a split, or both of them together."""

    TRAIN = Split.TRAIN.value
    HELD_OUT = Split.HELD_OUT.value
    ALL = 'all'

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that its episodes belong to, each to one."""
        return tuple(Split) if self is EvaluationSplit.ALL else (Split(self.value),)


def init_state_indices(suite: str, split: Split) -> tuple[int, ...]:
    """Return the init states of a split: 40 of each task's 50 for training, every fifth held out.

    LIBERO-PRO variants are split like their base suite.  Raises UserError for an unknown suite.
    """
    tasks.base_suite(suite)
    held_out = Split(split) is Split.HELD_OUT
    return tuple(i for i in range(INIT_STATES) if _is_held_out(i) == held_out)


def scene_seeds(split: Split) -> range:
    """Return the scene seeds of a split."""
    return _HELD_OUT_SEEDS if Split(split) is Split.HELD_OUT else _TRAIN_SEEDS


def split_of(name: EpisodeName) -> Split:
    """Return the split that an episode belongs to.

    Raises UserError if the init state or the seed is in no split, or they are in different ones.
    """
    if not 0 <= name.init_state < INIT_STATES:
        raise UserError(
            f'init state {name.init_state} of {name.suite} task {name.task} is unknown; '
            f'choose from 0 to {INIT_STATES - 1}'
        )
    state_split = Split.HELD_OUT if _is_held_out(name.init_state) else Split.TRAIN
    for split in Split:
        if name.scene_seed in scene_seeds(split):
            if split is not state_split:
                raise UserError(
                    f'{name}: init state {name.init_state} is {state_split} but scene seed '
                    f'{name.scene_seed} is {split}; take both from one split'
                )
            return split
    raise UserError(
        f'scene seed {name.scene_seed} is in no split; choose from {_TRAIN_SEEDS.start} to '
        f'{_TRAIN_SEEDS.stop - 1} ({Split.TRAIN}) or {_HELD_OUT_SEEDS.start} to '
        f'{_HELD_OUT_SEEDS.stop - 1} ({Split.HELD_OUT})'
    )


def require_train(name: EpisodeName) -> None:
    """Raise UserError if learning from this episode would touch a held-out one."""
    if split_of(name) is not Split.TRAIN:
        raise UserError(f'{name} is held out; training may only use init states and seeds of train')


def episode_names(suite: str, task: int, split: Split, count: int, seed: int) -> list[EpisodeName]:
    """Return `count` distinct episodes of a task, the same for the same arguments.

    Every init state of the split is used once before one is used again, in an order drawn from
    `seed`; each episode has a scene seed of its own.  The first names do not depend on `count`.
    Raises UserError for an unknown suite or task, or a count outside of 1 to the seeds there are.
    """
    tasks.task(suite, task)
    seeds = scene_seeds(split)
    if not 1 <= count <= len(seeds):
        raise UserError(f'{count} episodes of {suite} task {task}: choose from 1 to {len(seeds)}')
    if seed < 0:
        raise UserError(f'episode seed {seed} is negative; give 0 or more')
    generator = np.random.default_rng([seed, tasks.seed_number(suite), task])
    states = generator.permutation(init_state_indices(suite, split))
    drawn = _distinct(generator, seeds, count)
    return [
        EpisodeName(suite, task, int(states[i % len(states)]), scene_seed)
        for i, scene_seed in enumerate(drawn)
    ]


def evaluation_names(
    suite: str, task: int, split: EvaluationSplit, count: int, seed: int
) -> list[EpisodeName]:
    """Return `count` distinct episodes of a task to be measured on, never to be learned from.

    Those of one split are `episode_names`.  Of all, each of the 50 init states is used once before
    one is used again, with scene seeds of the split that the init state belongs to: so each episode
    is of one split, and whoever trains refuses the held-out ones as ever.  Raises UserError as
    `episode_names` does.
    """
    if split is not EvaluationSplit.ALL:
        return episode_names(suite, task, Split(split.value), count, seed)
    tasks.task(suite, task)
    most = min(len(scene_seeds(part)) for part in Split)
    if not 1 <= count <= most:
        raise UserError(f'{count} episodes of {suite} task {task}: choose from 1 to {most}')
    if seed < 0:
        raise UserError(f'episode seed {seed} is negative; give 0 or more')
    generator = np.random.default_rng([seed, tasks.seed_number(suite), task])
    states = [int(state) for state in generator.permutation(INIT_STATES)]
    seeds = {part: iter(_distinct(generator, scene_seeds(part), count)) for part in Split}
    names = []
    for index in range(count):
        state = states[index % INIT_STATES]
        part = Split.HELD_OUT if _is_held_out(state) else Split.TRAIN
        names.append(EpisodeName(suite, task, state, next(seeds[part])))
    return names


def _is_held_out(init_state: int) -> bool:
    return init_state % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1


def _distinct(generator: np.random.Generator, values: Sequence[int], count: int) -> list[int]:
    order = generator.permutation(len(values))
    return [values[int(i)] for i in order[:count]]
