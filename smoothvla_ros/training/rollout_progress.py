"""How far an iteration's rollouts are: each is measured once, as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from smoothvla_ros.records import Episode
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.progress import Phase, Report, TrainStatus
from smoothvla_ros.training.rewards.outcomes import RolloutOutcome

MeasureEpisode = Callable[[Episode], RolloutOutcome]


class RolloutProgress:
    """Measure each episode once, as it comes, and keep the status of the job up to date."""

    def __init__(
        self,
        measure: MeasureEpisode,
        iteration: int,
        config: GrpoConfig,
        status: TrainStatus,
        report: Report,
    ) -> None:
        self._measure = measure
        self._outcomes: dict[str, RolloutOutcome] = {}
        self._started = time.monotonic()
        self._report = report
        self._status = replace(
            status,
            phase=Phase.ROLLOUTS,
            iteration=iteration,
            iterations=config.iterations,
            episodes_done=0,
            episodes_planned=0,
        )

    @property
    def done(self) -> int:
        """Number of episodes that have come."""
        return len(self._outcomes)

    def outcome(self, episode: Episode) -> RolloutOutcome:
        """Return the measured motion of an episode that has come."""
        return self._outcomes[episode.request.episode_id]

    def plan(self, episodes: int) -> None:
        """Expect more episodes."""
        planned = self._status.episodes_planned + episodes
        self._set(episodes_planned=planned)

    def add(self, episode: Episode) -> None:
        """Take in a finished episode."""
        self._outcomes[episode.request.episode_id] = self._measure(episode)
        outcomes = list(self._outcomes.values())
        minutes = max(time.monotonic() - self._started, 1e-9) / 60.0
        self._set(
            episodes_done=self.done,
            success=success_share(outcomes),
            jerk=jerk_of_successes(outcomes),
            episodes_per_minute=self.done / minutes,
        )

    def enter(self, phase: Phase) -> None:
        """Say that another phase begins."""
        self._set(phase=phase)

    def finish(self, figures: Mapping[str, Any]) -> TrainStatus:
        """Report the iteration's own figures and return the status."""
        self._set(
            success=figures['success'],
            jerk=figures['jerk'],
            entropy=figures.get('entropy', self._status.entropy),
        )
        return self._status

    def _set(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        self._report(self._status)


def success_share(outcomes: Sequence[RolloutOutcome]) -> float:
    """Return the share of the rollouts that succeeded; NaN of none."""
    return float(np.mean([o.success for o in outcomes])) if outcomes else float('nan')


def jerk_of_successes(outcomes: Sequence[RolloutOutcome]) -> float:
    """Return the mean jerk of the sampled successes that have one, m/s^3; NaN of none."""
    jerk = [outcome.mean_jerk for outcome in outcomes if outcome.success and outcome.measured]
    return float(np.mean(jerk)) if jerk else float('nan')
