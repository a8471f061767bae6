"""Rows, the table on disk and the archive that computes everything again."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes import stored_episode
from smoothvla_ros.evaluation.episodes.archive import TABLE, EpisodeArchive, recompute
from smoothvla_ros.evaluation.episodes.episode_table import (
    COLUMNS,
    EpisodeRow,
    read_rows,
    row_from_stored,
    write_rows,
)
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Episode
from smoothvla_ros.smoothness import EstimatorSettings, mean_jerk, tool_jerk

Make = Callable[..., Episode]


def row_from_episode(
    episode: Episode, policy: str, arm: Arm, estimator: EstimatorSettings | None = None
) -> EpisodeRow:
    """Return the row of an episode that is not stored."""
    return row_from_stored(StoredEpisode.of(episode, policy), arm, estimator)


def same(first: object, second: object) -> bool:
    """Compare two rows field by field; NaN equals NaN."""
    return repr(first) == repr(second)


def test_row_holds_the_figures_of_its_episode(arm: Arm, make_episode: Make) -> None:
    """Columns that have a definition of their own equal it, computed here from the raw episode."""
    episode = make_episode(steps=61, temperature=0.7, task=3, init_state=9)
    row = row_from_episode(episode, 'before', arm)
    trajectory, settings = episode.trajectory, EstimatorSettings()
    jerk = tool_jerk(trajectory.joint_positions, arm.jacobian, 0.05, settings)
    assert row.jerk == mean_jerk(jerk)
    assert row.seam_jerk == pytest.approx(np.mean(np.linalg.norm(jerk[8:57:8, :3], axis=1)))
    assert (row.steps, row.chunks, row.greedy, row.task, row.init_state) == (61, 8, False, 3, 9)
    assert row.duration_s == pytest.approx(3.05)
    travelled = np.linalg.norm(np.diff(trajectory.tool_positions, axis=0), axis=1).sum()
    assert row.path_length == pytest.approx(travelled, rel=0.02)
    motion = trajectory.actions[:, :6]
    jumps = [np.linalg.norm(motion[t] - motion[t - 1]) for t in range(8, 61, 8)]
    assert row.seam_action_change == pytest.approx(np.mean(jumps))
    assert (row.rate_hz, row.window_s, row.order) == (
        settings.rate_hz,
        settings.window_s,
        settings.order,
    )


def test_jerk_at_equal_pace_knows_no_pace(arm: Arm, make_episode: Make) -> None:
    """Half the pace has an eighth of the jerk, and twice the size twice: neither changes it."""
    row = row_from_episode(make_episode(steps=61), 'before', arm)
    slower = dataclasses.replace(row, jerk=row.jerk / 8.0, duration_s=2.0 * row.duration_s)
    larger = dataclasses.replace(row, jerk=2.0 * row.jerk, path_length=2.0 * row.path_length)
    assert slower.pace_free_jerk == pytest.approx(row.pace_free_jerk)
    assert larger.pace_free_jerk == pytest.approx(row.pace_free_jerk)
    assert math.isnan(dataclasses.replace(row, path_length=0.0).pace_free_jerk)


def test_only_executed_tokens_count(arm: Arm, make_episode: Make) -> None:
    """The tail of a chunk that success cut off does not enter the mean log-probability."""
    episode = make_episode(steps=61)
    last = episode.chunks[-1]
    assert last.executed == 5
    spoilt = last.log_probs.copy()
    spoilt[5:] = -1e6
    spoilt_episode = dataclasses.replace(
        episode, chunks=[*episode.chunks[:-1], dataclasses.replace(last, log_probs=spoilt)]
    )
    row = row_from_episode(episode, 'p', arm)
    assert row_from_episode(spoilt_episode, 'p', arm).negative_log_prob == row.negative_log_prob
    executed = np.concatenate([c.log_probs[: c.executed] for c in episode.chunks])
    assert row.negative_log_prob == pytest.approx(-executed.mean(), rel=1e-6)


def test_an_episode_without_jerk_still_counts(arm: Arm, make_episode: Make) -> None:
    """An episode shorter than one window of the estimator has a row, without a jerk."""
    row = row_from_episode(make_episode(steps=3), 'p', arm)
    assert (row.success, row.steps) == (True, 3)
    assert math.isnan(row.jerk)
    assert math.isnan(row.seam_jerk)


def test_recomputed_rows_are_the_same_bits(arm: Arm, make_episode: Make, tmp_path: Path) -> None:
    """Rows measured from the stored files equal those measured as the episodes finished."""
    archive = EpisodeArchive(tmp_path, arm)
    for index, steps in enumerate((60, 61, 3)):
        archive.add(make_episode(episode_id=f'e{index}', steps=steps, temperature=0.5), 'after')
    again = recompute(tmp_path, arm)
    assert len(again) == 3
    assert all(same(a, b) for a, b in zip(archive.rows, again, strict=True))
    assert all(same(a, b) for a, b in zip(archive.rows, read_rows(tmp_path / TABLE), strict=True))


def test_a_killed_run_keeps_its_finished_rows(arm: Arm, make_episode: Make, tmp_path: Path) -> None:
    """A row cut short by a kill is dropped on reopening, the rest stays, new rows follow."""
    archive = EpisodeArchive(tmp_path, arm)
    archive.add(make_episode(episode_id='e0'), 'before')
    archive.add(make_episode(episode_id='e1'), 'before')
    table = tmp_path / TABLE
    table.write_text(table.read_text()[:-40])
    reopened = EpisodeArchive(tmp_path, arm)
    assert [row.episode_id for row in reopened.rows] == ['e0']
    assert reopened.row('before', 'e1') is None
    reopened.add(make_episode(episode_id='e1'), 'before')
    assert [row.episode_id for row in read_rows(table)] == ['e0', 'e1']
    with pytest.raises(ValueError, match='already'):
        reopened.add(make_episode(episode_id='e1'), 'before')


def test_the_finished_table_does_not_depend_on_the_order(
    arm: Arm, make_episode: Make, tmp_path: Path
) -> None:
    """Episodes finish in any order; the finished table has the same bytes."""
    episodes = [make_episode(episode_id=f'e{i}', init_state=4 + 5 * i) for i in range(3)]
    for folder, order in ((tmp_path / 'a', episodes), (tmp_path / 'b', episodes[::-1])):
        archive = EpisodeArchive(folder, arm)
        for episode in order:
            archive.add(episode, 'p')
        archive.finish()
    assert (tmp_path / 'a' / TABLE).read_bytes() == (tmp_path / 'b' / TABLE).read_bytes()


def test_damage_is_named(arm: Arm, make_episode: Make, tmp_path: Path) -> None:
    """A damaged trajectory, table or label is one line that names it, and nothing is written."""
    archive = EpisodeArchive(tmp_path, arm)
    archive.add(make_episode(), 'p')
    path = archive.path('p', 'e0')
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(UserError, match=r'e0\.npz cannot be read'):
        stored_episode.load(path)
    # A header with the beginning of a compressed stream, and the index: the libraries below have
    # many errors, of which none may pass.
    for place in (*range(80), *range(len(whole) - 80, len(whole))):
        flipped = whole[place] ^ (1 << place % 8)
        path.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        with contextlib.suppress(UserError):
            stored_episode.load(path)
    with pytest.raises(UserError, match='no name for a file'):
        archive.path('../p', 'e0')
    table = tmp_path / TABLE
    table.write_text(table.read_text().replace('True', 'maybe'))
    with pytest.raises(UserError, match='line 2'):
        read_rows(table)
    table.write_bytes(b'\xff\xfe')
    with pytest.raises(UserError, match='is damaged'):
        read_rows(table)
    with pytest.raises(UserError, match='holds no episodes'):
        recompute(tmp_path / 'nothing', arm)


def test_another_estimator_is_not_mixed_in(arm: Arm, make_episode: Make, tmp_path: Path) -> None:
    """A table measured with other settings is refused instead of continued."""
    row = row_from_episode(make_episode(), 'p', arm, EstimatorSettings(window_s=0.4))
    write_rows(tmp_path / TABLE, [row])
    with pytest.raises(UserError, match='smoothvla report'):
        EpisodeArchive(tmp_path, arm)
    assert COLUMNS[:3] == ('policy', 'episode_id', 'suite')
