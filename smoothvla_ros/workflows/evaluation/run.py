"""Success and smoothness of one policy, or of two on the same episodes, as a job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from smoothvla_ros.errors import disk_errors
from smoothvla_ros.evaluation.episodes.archive import EpisodeArchive
from smoothvla_ros.evaluation.report.run_report import write_report
from smoothvla_ros.evaluation.report.summary import RunContext
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.simulation.splits import EvaluationSplit
from smoothvla_ros.simulation.tasks import tasks as tasks_of
from smoothvla_ros.training.rollouts.source import RolloutSource
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.contestants import (
    Contestant,
    OpenSource,
    contestants_of,
    serving,
)
from smoothvla_ros.workflows.evaluation.episodes import (
    Scenes,
    evaluate,
    tell_of_repeated_init_states,
)
from smoothvla_ros.workflows.evaluation.output_folder import check_output_folder, claim


def run_evaluation(
    config: EvaluationConfig,
    source: RolloutSource | None = None,
    open_source: OpenSource | None = None,
) -> dict[str, Any]:
    """Evaluate as configured, write everything into `config.out` and return the summary.

    source: where the episodes come from, not closed here; None opens one for every policy.
    open_source: opens it; None is this process's own workers.
    A run that was killed goes on where it stopped. Raises UserError if `config.out` holds another
    evaluation, and for everything a user can put right.
    """
    with disk_errors(f'output {config.out}'):
        # Where another process answers, its GPU has no room to spare for this one.
        contestants = contestants_of(config, config.device if source is None else 'cpu')
        check_output_folder(config, contestants)
        with FolderLock(config.out, 'output '):
            return _evaluation(config, contestants, source, open_source)


def _evaluation(
    config: EvaluationConfig,
    contestants: Sequence[Contestant],
    source: RolloutSource | None,
    open_source: OpenSource | None,
) -> dict[str, Any]:
    started = time.monotonic()
    earlier_seconds = claim(config, contestants)
    archive = EpisodeArchive(config.out, Arm.panda())
    scenes = Scenes(
        config.suite,
        config.task_indices,
        config.episodes,
        config.seed,
        EvaluationSplit(config.split),
        config.horizon or None,
    )
    tell_of_repeated_init_states(scenes)
    for version, contestant in enumerate(contestants):
        with serving(config, version, contestant, source, open_source) as episodes:
            for temperature in config.temperatures:
                evaluate(
                    episodes,
                    contestant.label,
                    scenes,
                    temperature,
                    archive=archive,
                    policy_version=version,
                )
    context = RunContext(
        suite=config.suite,
        seed=config.seed,
        horizon=config.horizon or None,
        wall_seconds=earlier_seconds + time.monotonic() - started,
        before=contestants[0].label if len(contestants) == 2 else None,
        after=contestants[-1].label,
        languages={task.index: task.language for task in tasks_of(config.suite)},
    )
    return write_report(archive, context, video=config.video)
