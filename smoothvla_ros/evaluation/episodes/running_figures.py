"""Success and jerk of the episodes so far, for a progress bar."""

from __future__ import annotations

import math

from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow


class RunningFigures:
    """Counts episodes as they come."""

    def __init__(self) -> None:
        self.done = 0
        self._solved = 0
        self._jerks: list[float] = []

    def add(self, row: EpisodeRow) -> None:
        """Count an episode; a success that is too short to have a jerk has none here either."""
        self.done += 1
        self._solved += row.success
        if row.success and math.isfinite(row.jerk):
            self._jerks.append(row.jerk)

    @property
    def success(self) -> float:
        """Share of the episodes that were solved; NaN of none."""
        return self._solved / self.done if self.done else math.nan

    @property
    def jerk(self) -> float:
        """Mean jerk of the solved ones, m/s^3; NaN of none."""
        return sum(self._jerks) / len(self._jerks) if self._jerks else math.nan
