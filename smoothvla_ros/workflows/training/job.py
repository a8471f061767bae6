"""A training job: measure a policy, fine-tune it with GRPO, measure it again."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.evaluation.episodes.archive import TABLE, TRAJECTORIES, EpisodeArchive
from smoothvla_ros.evaluation.episodes.policy_labels import AFTER, BEFORE
from smoothvla_ros.evaluation.episodes.running_figures import RunningFigures
from smoothvla_ros.evaluation.report.comparison_table import print_comparison
from smoothvla_ros.evaluation.report.run_report import (
    ANIMATION,
    FIGURES,
    FILM,
    REPORT,
    STILL,
    write_report,
)
from smoothvla_ros.evaluation.report.summary import SUMMARY, RunContext, read_summary
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.installed_kinds import require_same_kind
from smoothvla_ros.policies.loading import Loader
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import Episode
from smoothvla_ros.records.run_files import METRICS
from smoothvla_ros.simulation.tasks import task
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.checkpoints import (
    Checkpoint,
    CheckpointStore,
    DamagedCheckpoint,
)
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.grpo_trainer import GrpoTrainer, TrainerState
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.learning.learner_group import LearnerGroup
from smoothvla_ros.training.metrics_log import TASK_METRICS, TENSORBOARD, MetricsLog
from smoothvla_ros.training.progress import Phase, Report, TrainStatus
from smoothvla_ros.training.rewards.checked import try_reward
from smoothvla_ros.training.rewards.motion import rollout_outcome
from smoothvla_ros.training.rollout_progress import MeasureEpisode
from smoothvla_ros.training.rollouts.schedule import RolloutSchedule
from smoothvla_ros.training.rollouts.source import RolloutSource
from smoothvla_ros.training.run_folder import RunFolder
from smoothvla_ros.training.trainer_checkpoint import save_trainer
from smoothvla_ros.workflows.evaluation.episodes import Scenes, evaluate
from smoothvla_ros.workflows.training.learner_processes import (
    LearnerStart,
    deterministic_kernels,
    dismiss,
    start_learner,
)
from smoothvla_ros.workflows.training.progress import ProgressBar
from smoothvla_ros.workflows.training.train_scenes import SUCCESS, measure_on_train_scenes

log = logging.getLogger(__name__)

CHECKPOINTS = 'checkpoints'
POLICY = 'policy'
RUN_FILES = (
    SUMMARY,
    TABLE,
    TRAJECTORIES,
    METRICS,
    TASK_METRICS,
    TENSORBOARD,
    CHECKPOINTS,
    POLICY,
    REPORT,
    FIGURES,
)


def train(
    config: TrainConfig,
    source: RolloutSource,
    *,
    load: Loader = load_policy,
    report: Report | None = None,
    group: LearnerGroup | None = None,
) -> dict[str, Any]:
    """Run a training job, or go on where one with these settings stopped; return its summary.

    source: where every episode comes from, those of the evaluations included; not closed here.
    load: folder and device to a policy.  report: told of every change; the progress bar if None.
    group: the processes that learn together, of which this is rank 0; the others `follow_training`.
    Without evaluation episodes the rollouts of the first and the last iteration are the report.
    A finished job is not run again. Everything is written below `config.output`.
    Raises UserError for settings, files or folders that cannot be used; nothing is overwritten.
    """
    with (
        disk_errors(f'output={config.output}'),
        RunFolder(config, RUN_FILES) as folder,
        deterministic_kernels(config.deterministic),
    ):
        group = group or LearnerGroup()
        if folder.finished:
            dismiss(group)
            log.warning(
                'output=%s holds this very run, finished: nothing is run or recorded again; '
                'another output begins anew',
                config.output,
            )
            return read_summary(folder.path)
        job = _Job(config, source, load, report or ProgressBar(), group)
        folder.claim()
        summary = job.run()
        folder.finish()
    return summary


class _Job:
    """One training job from its first episode to its report."""

    def __init__(
        self,
        config: TrainConfig,
        source: RolloutSource,
        load: Loader,
        report: Report,
        group: LearnerGroup,
    ) -> None:
        """Load what is to learn; nothing is written before `run`."""
        try_reward(config)
        self._group = group
        self._started = time.monotonic()
        self._config = config
        self._tasks = config.task_indices
        self._source = source
        self._load = load
        self._report = report
        self._arm = Arm.panda()
        self._estimator = EstimatorSettings()
        self._store = CheckpointStore(config.output / CHECKPOINTS, config.keep_checkpoints)
        self._earlier_seconds = 0.0
        self._latest = self._store.latest()
        self._state, self._learner = self._begin(self._latest)

    def run(self) -> dict[str, Any]:
        """Evaluate, train, evaluate, report."""
        self._archive = EpisodeArchive(self._config.output, self._arm, self._estimator)
        self._forget_former_end()
        # The starting policy is the first checkpoint.
        self._checkpoint = self._latest or self._save(self._state, self._learner)
        require_same_kind(self._checkpoint.policy_folder, policy_folder(self._config.policy))
        if self._state.iteration == 0:
            self._serve()
            self._evaluate(BEFORE, Phase.EVALUATE_BEFORE, 0)
        self._train()
        self._learner.end()
        policy = self._config.output / POLICY
        with self._learner.average.applied():
            self._learner.policy.save(policy)
        if self._config.averaged_updates > 1:
            # Other weights than those that the last rollouts were drawn from: another version.
            self._source.update_policy(self._state.iteration + 1, policy, folder_sha256(policy))
            self._evaluate(AFTER, Phase.EVALUATE_AFTER, self._state.iteration + 1)
        else:
            self._serve()
            self._evaluate(AFTER, Phase.EVALUATE_AFTER, self._state.iteration)
        self._tell(Phase.REPORT)
        context = RunContext(
            suite=self._config.suite,
            seed=self._config.seed,
            reward=self._config.reward,
            iterations=self._config.iterations,
            wall_seconds=self._wall_seconds(),
            before=BEFORE,
            after=AFTER,
            languages={index: task(self._config.suite, index).language for index in self._tasks},
        )
        summary = write_report(self._archive, context, video=self._config.video)
        self._tell(Phase.FINISHED)
        return summary

    def _begin(self, checkpoint: Checkpoint | None) -> tuple[TrainerState, GrpoLearner]:
        """Load the newest intact checkpoint, or the starting policy where there is none."""
        config = self._config
        reference: Path | str | None = None
        if config.needs_reference:
            reference = config.policy
            if checkpoint is not None:
                _verify_first(self._store.at(0))
                reference = self._store.at(0).policy_folder
        start = LearnerStart(config, checkpoint, reference)
        state, learner, self._earlier_seconds = start_learner(start, self._load, self._group)
        return state, learner

    def _train(self) -> None:
        config, state = self._config, self._state
        measure = partial(
            rollout_outcome,
            jacobian=self._arm.jacobian,
            estimator=self._estimator,
            source=config.jerk_source,
        )
        trainer = GrpoTrainer(
            config,
            self._tasks,
            RolloutSchedule(config, self._tasks),
            self._source,
            self._learner,
            measure,
            state,
            self._estimator,
            self._report,
            self._keep_sampled,
        )
        with MetricsLog(config.output, state.history, state.task_history) as metrics:
            while state.iteration < config.iterations:
                self._serve()
                self._measure_between(measure, metrics)
                figures = trainer.iterate()
                self._checkpoint = self._save(state, self._learner)
                metrics.add([figures], self._task_rows())
            if self._is_to_measure:
                self._serve()
                self._measure_between(measure, metrics)

    @property
    def _is_to_measure(self) -> bool:
        """Whether greedy episodes are due now that have not been played before a restart."""
        every, done = self._config.evaluate_every, self._state.iteration
        return every > 0 and done > 0 and done % every == 0 and SUCCESS not in self._last_row

    @property
    def _last_row(self) -> dict[str, Any]:
        return self._state.history[-1]

    def _task_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the tasks of the last iteration."""
        return [r for r in self._state.task_history if r['iteration'] == self._state.iteration]

    def _measure_between(self, measure: MeasureEpisode, metrics: MetricsLog) -> None:
        """Add the greedy figures of the policy that is served to the iteration it came out of.

        They are in the next checkpoint: an iteration that is cut short begins with them again.
        """
        if not self._is_to_measure:
            return
        done = self._state.iteration
        whole, of_tasks = measure_on_train_scenes(
            self._config, done, self._source, measure, self._report
        )
        self._last_row.update(whole)
        rows = {row['task']: row for row in self._task_rows()}
        for task_index, figures in of_tasks.items():
            if task_index not in rows:
                rows[task_index] = {'iteration': done, 'task': task_index}
                self._state.task_history.append(rows[task_index])
            rows[task_index].update(figures)
        at = {'iteration': done}
        metrics.add([at | whole], [at | {'task': t} | f for t, f in of_tasks.items()])

    def _forget_former_end(self) -> None:
        """Drop what was kept as the end of a run that is longer now."""
        last = self._config.iterations
        if self._state.iteration == last:
            return
        former = [
            row
            for row in self._archive.rows
            if row.policy == AFTER and not row.episode_id.startswith(f'i{last:04d}-')
        ]
        if former:
            for name in (FILM, STILL, ANIMATION):
                (self._config.output / name).unlink(missing_ok=True)
        for row in former:
            self._archive.forget(row)

    def _evaluate(self, label: str, phase: Phase, version: int) -> None:
        """Run the greedy held-out episodes that are not on disk yet."""
        config = self._config
        if config.evaluation_episodes == 0:
            return
        status = TrainStatus(
            phase,
            self._state.iteration,
            config.iterations,
            episodes_planned=config.evaluation_episodes * len(self._tasks),
        )
        self._report(status)

        def tell(figures: RunningFigures) -> None:
            self._report(
                dataclasses.replace(
                    status,
                    episodes_done=figures.done,
                    success=figures.success,
                    jerk=figures.jerk,
                )
            )

        evaluate(
            self._source,
            label,
            Scenes(config.suite, self._tasks, config.evaluation_episodes, config.evaluation_seed),
            0.0,
            archive=self._archive,
            policy_version=version,
            on_episode=tell,
        )

    def _serve(self) -> None:
        """Let the source answer with the policy of the latest checkpoint."""
        folder = self._checkpoint.policy_folder
        self._source.update_policy(self._state.iteration, folder, folder_sha256(folder))

    def _keep_sampled(self, iteration: int, episodes: Sequence[Episode]) -> None:
        """Keep the sampled rollouts of the first and the last iteration for the report."""
        if iteration not in (1, self._config.iterations):
            return
        label = BEFORE if iteration == 1 else AFTER
        for episode in episodes:
            if self._archive.row(label, episode.request.episode_id) is None:
                self._archive.add(episode, label)

    def _save(self, state: TrainerState, learner: GrpoLearner) -> Checkpoint:
        return save_trainer(
            self._store, state, learner, to_mapping(self._config), self._wall_seconds()
        )

    def _wall_seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started

    def _tell(self, phase: Phase) -> None:
        self._report(TrainStatus(phase, self._state.iteration, self._config.iterations))


def print_result(summary: Mapping[str, Any], config: TrainConfig) -> None:
    """Print the tables before and after, and where everything lies."""
    print_comparison(summary)
    print(f'\nreport: {config.output / REPORT}\npolicy: {config.output / POLICY}')


def _verify_first(checkpoint: Checkpoint) -> None:
    try:
        checkpoint.verify()
    except DamagedCheckpoint as error:
        raise UserError(
            f'{error}; kl_coefficient and course_coefficient compare with this policy, so put the '
            'file back or start in another folder'
        ) from error
