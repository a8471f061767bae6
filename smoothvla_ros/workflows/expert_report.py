"""What the expert achieved, a row a task: success, length and jerk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.expert.recorder import RecordingResult
from smoothvla_ros.smoothness import EstimatorSettings, summarise


@dataclass(frozen=True)
class ExpertEpisode:
    """One row of the report; jerk in m/s^3, seconds of wall time."""

    task: int
    init_state: int
    scene_seed: int
    success: bool
    attempts: int
    clean: bool
    steps: int
    mean_jerk: float
    rms_jerk: float
    seconds: float


class ExpertReport:
    """Gathers results and writes them to ``expert_<suite>.json``, with those of earlier runs."""

    def __init__(self, out: Path, suite: str, already_recorded: int, *, measured: bool) -> None:
        """measured: without noise; results of the other kind are not kept.

        Raises UserError if an earlier report cannot be read.
        """
        self.path = Path(out) / f'expert_{suite}.json'
        self._suite = suite
        self._already_recorded = already_recorded
        self._measured = measured
        self._arm = Arm.panda()
        self._estimator = EstimatorSettings()
        self._earlier = self._read() if self.path.exists() else []
        self._episodes: list[ExpertEpisode] = []

    def add(self, result: RecordingResult) -> None:
        """Take in one finished episode."""
        rate = self._estimator.rate_hz
        smoothness = summarise(
            result.joint_positions, self._arm.jacobian, result.actions, 1.0 / rate, self._estimator
        )
        self._episodes.append(
            ExpertEpisode(
                task=result.name.task,
                init_state=result.name.init_state,
                scene_seed=result.name.scene_seed,
                success=result.success,
                attempts=result.attempts,
                clean=result.clean,
                steps=result.steps,
                mean_jerk=smoothness.mean_jerk,
                rms_jerk=smoothness.rms_jerk,
                seconds=result.seconds,
            )
        )

    def progress(self) -> str:
        """Return the figures of a progress bar."""
        solved = [episode for episode in self._episodes if episode.success]
        steps = _mean([episode.steps for episode in solved])
        return f'solved {len(solved)}/{len(self._episodes)}, {steps:.0f} steps'

    def rows(self) -> list[dict[str, str | float]]:
        """Return one row a task and one for the suite; steps and jerk of clean solved episodes."""
        every = self._every()
        rows = []
        for number in sorted({episode.task for episode in every}):
            episodes = [episode for episode in every if episode.task == number]
            rows.append(_row(str(number), tasks.task(self._suite, number).language, episodes))
        return [*rows, _row('all', self._suite, every)]

    def table(self) -> str:
        """Return the rows as text."""
        lines = [
            f'{"task":>4}  {"solved":>9}  {"steps":>5}  {"jerk mean":>9}  {"rms":>5}  {"s":>4}'
        ]
        for row in self.rows():
            solved = f'{row["solved"]}/{row["episodes"]}'
            lines.append(
                f'{row["task"]:>4}  {solved:>9}  {row["steps"]:5.0f}  {row["mean_jerk"]:9.2f}  '
                f'{row["rms_jerk"]:5.2f}  {row["seconds"]:4.1f}  {row["language"]}'
            )
        return '\n'.join(lines)

    def write(self) -> None:
        """Write the report; raises UserError if the folder cannot be written."""
        every = self._every()
        content = {
            'suite': self._suite,
            'measured': self._measured,
            'jerk_unit': 'm/s^3',
            'already_recorded': self._already_recorded,
            'tasks': self.rows() if every else [],
            'episodes': [dataclasses.asdict(episode) for episode in every],
        }
        try:
            write_file(self.path, json.dumps(content, indent=1) + '\n')
        except OSError as error:
            raise UserError(f'{self.path}: {error.strerror}; give a writable --out') from error

    def _every(self) -> list[ExpertEpisode]:
        """Return all episodes; what was done again counts once."""
        newest = {
            (episode.task, episode.init_state, episode.scene_seed): episode
            for episode in (*self._earlier, *self._episodes)
        }
        return list(newest.values())

    def _read(self) -> list[ExpertEpisode]:
        try:
            content = json.loads(self.path.read_text())
            if content.get('measured', self._measured) != self._measured:
                return []
            return [ExpertEpisode(**episode) for episode in content['episodes']]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(
                f'{self.path} cannot be read ({error}); remove it, or choose another --out'
            ) from error


def _row(label: str, language: str, episodes: list[ExpertEpisode]) -> dict[str, str | float]:
    solved = [episode for episode in episodes if episode.success]
    clean = [episode for episode in solved if episode.clean]
    return {
        'task': label,
        'language': language,
        'episodes': len(episodes),
        'solved': len(solved),
        'solved_at_first_attempt': sum(episode.attempts == 1 for episode in solved),
        'discarded_attempts': sum(episode.attempts - episode.success for episode in episodes),
        'steps': _mean([episode.steps for episode in clean]),
        'mean_jerk': _mean([episode.mean_jerk for episode in clean]),
        'rms_jerk': _mean([episode.rms_jerk for episode in clean]),
        'seconds': _mean([episode.seconds for episode in episodes]),
    }


def _mean(values: Sequence[float]) -> float:
    """Mean; 0 where there is nothing to average (JSON has no NaN)."""
    return float(np.mean(values)) if values else 0.0
