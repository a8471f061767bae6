"""One policy through its scenes: every episode kept as it finishes, none run twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.archive import EpisodeArchive
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.evaluation.episodes.running_figures import RunningFigures
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.splits import (
    EvaluationSplit,
    evaluation_names,
    init_state_indices,
)
from smoothvla_ros.training.rollouts.group_sampling import collect_episodes
from smoothvla_ros.training.rollouts.source import RolloutSource

# How often an episode is begun before it counts as lost.
ATTEMPTS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scenes:
    """Where policies are measured: what is equal here is the same scenes for each of them.

    per_task: scenes of each of the tasks.  seed: which ones of the split, and of the sampling.
    horizon: most control steps; None is the suite's own.
    """

    suite: str
    tasks: Sequence[int]
    per_task: int
    seed: int
    split: EvaluationSplit = EvaluationSplit.HELD_OUT
    horizon: int | None = None


def tell_of_repeated_init_states(scenes: Scenes) -> None:
    """Say in one line where init states come several times, which narrows intervals little."""
    states = sum(len(init_state_indices(scenes.suite, part)) for part in scenes.split.splits)
    if scenes.per_task > states:
        log.warning(
            '%d episodes a task, but %d init states (%s): several share one and are alike, '
            'so intervals count init states',
            scenes.per_task,
            states,
            scenes.split,
        )


def evaluate(
    source: RolloutSource,
    policy_label: str,
    scenes: Scenes,
    temperature: float,
    *,
    archive: EpisodeArchive,
    policy_version: int = 0,
    on_episode: Callable[[RunningFigures], None] | None = None,
) -> list[EpisodeRow]:
    """Run a policy on every scene and return the rows, in order of scenes.

    source: must already serve `policy_version`.  policy_label: a plain name, 'before' for example.
    temperature: 0 is greedy.
    archive: keeps each episode as it finishes; those that it holds already are not run again.
    on_episode: called after every new episode, instead of a progress bar, with the figures of all
    that there are, those of before included.
    An episode that stays lost after `ATTEMPTS` is logged and has no row. Raises UserError if none
    came, or if the archive holds them from another scene.
    """
    requests = _requests(policy_label, scenes, temperature, policy_version)
    missing = [request for request in requests if not _finished(archive, policy_label, request)]
    figures = RunningFigures()
    for request in requests:
        if (row := archive.row(policy_label, request.episode_id)) is not None:
            figures.add(row)
    with tqdm(
        total=len(requests),
        initial=figures.done,
        desc=f'{policy_label}, {_sampling(temperature)}',
        unit='episode',
        # A caller that is told of every episode shows them itself.
        disable=None if on_episode is None else True,
    ) as bar:

        def keep(episode: Episode) -> None:
            figures.add(archive.add(episode, policy_label))
            bar.update()
            bar.set_postfix_str(f'success {figures.success:.0%}, jerk {figures.jerk:.2f} m/s^3')
            if on_episode is not None:
                on_episode(figures)

        collect_episodes(source, missing, ATTEMPTS, keep)
    return _rows(archive, policy_label, requests)


def _requests(
    label: str, scenes: Scenes, temperature: float, policy_version: int
) -> list[EpisodeRequest]:
    return [
        EpisodeRequest(
            episode_id=f'{label}-t{temperature:g}-task{task:02d}-{index:04d}',
            name=name,
            group=index,
            temperature=temperature,
            seed=scenes.seed,
            policy_version=policy_version,
            horizon=scenes.horizon,
        )
        for task in scenes.tasks
        for index, name in enumerate(
            evaluation_names(scenes.suite, task, scenes.split, scenes.per_task, scenes.seed)
        )
    ]


def _finished(archive: EpisodeArchive, label: str, request: EpisodeRequest) -> bool:
    """Say whether an episode is there.  Raises UserError if another one has its id."""
    row = archive.row(label, request.episode_id)
    if row is None:
        return False
    if (row.name, row.temperature, row.seed) != (request.name, request.temperature, request.seed):
        raise UserError(
            f'{archive.folder} holds {request.episode_id} of other settings; choose another output'
        )
    return True


def _rows(
    archive: EpisodeArchive, label: str, requests: Sequence[EpisodeRequest]
) -> list[EpisodeRow]:
    """Return the rows of what came; logs what is lost, and raises UserError if all is."""
    found = {request: archive.row(label, request.episode_id) for request in requests}
    lost = [request.episode_id for request, row in found.items() if row is None]
    if lost:
        log.warning('%d of %d episodes are lost: %s', len(lost), len(found), ', '.join(lost))
    rows = [row for row in found.values() if row is not None]
    if not rows:
        raise UserError(f'{label}: all {len(requests)} episodes are lost; see the log above')
    return rows


def _sampling(temperature: float) -> str:
    return 'greedy' if temperature == 0.0 else f'temperature {temperature:g}'
