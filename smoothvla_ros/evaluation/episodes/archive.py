"""The episodes of one run on disk: every trajectory, and the table computed from them."""

from __future__ import annotations

import re
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes import stored_episode
from smoothvla_ros.evaluation.episodes.episode_table import (
    EpisodeRow,
    append_row,
    read_rows,
    row_from_stored,
    write_rows,
)
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Episode
from smoothvla_ros.smoothness import EstimatorSettings

TABLE = 'episodes.csv'
TRAJECTORIES = 'trajectories'

_PLAIN_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')


class EpisodeArchive:
    """Episodes as they finish: the trajectory first, then its row, so a kill loses neither.

    Files: `folder`/episodes.csv and `folder`/trajectories/POLICY/EPISODE_ID.npz. One writer.
    """

    def __init__(self, folder: Path, arm: Arm, estimator: EstimatorSettings | None = None) -> None:
        """Open the archive of a run, with what an earlier, perhaps killed, run left in it.

        Raises UserError if the folder cannot be written or its table was made otherwise.
        """
        self.folder = Path(folder)
        self.arm = arm
        self.estimator = estimator or EstimatorSettings()
        self._table = self.folder / TABLE
        self._rows: dict[tuple[str, str], EpisodeRow] = {}
        for row in read_rows(self._table) if self._table.exists() else []:
            if row.estimator != self.estimator:
                raise UserError(
                    f'{self._table} was measured with {row.estimator}, not {self.estimator}; '
                    'use `smoothvla report` on it first'
                )
            self._rows[row.policy, row.episode_id] = row
        try:
            write_rows(self._table, self._rows.values())
        except OSError as error:
            raise UserError(
                f'output {self.folder}: {error.strerror}; choose a folder that can be written'
            ) from error

    @property
    def rows(self) -> list[EpisodeRow]:
        """All rows so far, in the order they came."""
        return list(self._rows.values())

    def row(self, policy: str, episode_id: str) -> EpisodeRow | None:
        """Return the row of a finished episode, if there is one."""
        return self._rows.get((policy, episode_id))

    def add(self, episode: Episode, policy: str) -> EpisodeRow:
        """Keep a finished episode and return its row. A second one of the same id is an error."""
        stored = StoredEpisode.of(episode, policy)
        key = (policy, episode.request.episode_id)
        if key in self._rows:
            raise ValueError(f'episode {key[1]} of {policy!r} is already in {self.folder}')
        row = row_from_stored(stored, self.arm, self.estimator)
        stored_episode.save(self.path(*key), stored)
        append_row(self._table, row)
        self._rows[key] = row
        return row

    def forget(self, row: EpisodeRow) -> None:
        """Remove an episode, its row last: where this is cut short, it can be done again."""
        self.path(row.policy, row.episode_id).unlink(missing_ok=True)
        del self._rows[row.policy, row.episode_id]
        write_rows(self._table, self._rows.values())

    def trajectory(self, row: EpisodeRow) -> StoredEpisode:
        """Read the stored episode behind a row."""
        return stored_episode.load(self.path(row.policy, row.episode_id))

    def path(self, policy: str, episode_id: str) -> Path:
        """Where an episode is kept. Raises UserError for a label that is no plain file name."""
        for text in (policy, episode_id):
            if not _PLAIN_NAME.fullmatch(text):
                raise UserError(f'{text!r} is no name for a file; use letters, digits, ., _ and -')
        return self.folder / TRAJECTORIES / policy / f'{episode_id}.npz'

    def finish(self) -> None:
        """Write the table once more in its fixed order: the same episodes give the same bytes."""
        write_rows(self._table, self._rows.values())


def recompute(folder: Path, arm: Arm) -> list[EpisodeRow]:
    """Measure every stored episode of a run again; nothing is written.

    Raises UserError if the run kept no episodes, or names the file that is damaged.
    """
    paths = sorted((Path(folder) / TRAJECTORIES).glob('*/*.npz'))
    if not paths:
        raise UserError(f'{folder} holds no episodes; give the output folder of a run')
    return [row_from_stored(stored_episode.load(path), arm) for path in paths]
