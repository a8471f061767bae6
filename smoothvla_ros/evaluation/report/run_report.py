"""Everything a run leaves to be read: summary.json, figures, the video and report.html."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.archive import EpisodeArchive
from smoothvla_ros.evaluation.episodes.measures import JERK
from smoothvla_ros.evaluation.episodes.motion import MotionPair, motion_of
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.evaluation.intervals.pairing import Pair, Pairing, pair_rows
from smoothvla_ros.evaluation.pictures import plots
from smoothvla_ros.evaluation.pictures.replay import frame_count, replay
from smoothvla_ros.evaluation.pictures.video import (
    PICTURE,
    BeforeAfterFilm,
    write_animation,
    write_film,
    write_still,
)
from smoothvla_ros.evaluation.report.report_page import page
from smoothvla_ros.evaluation.report.summary import RunContext, summarise_run, write_summary
from smoothvla_ros.records.run_files import METRICS

REPORT = 'report.html'
FIGURES = 'figures'
FILM = 'before_after.mp4'
STILL = 'before_after.png'
ANIMATION = 'before_after.gif'

_LEARNING_PANELS = (
    ('success', 'success of the sampled rollouts, %', 100.0),
    ('jerk', 'mean jerk of their successes, m/s³', 1.0),
    ('steps', 'length of their successes, steps', 1.0),
    ('entropy', 'entropy, nat a token', 1.0),
)
_MOST_TASKS_DRAWN = 4
_FRAME_EVERY_STEPS = 2

log = logging.getLogger(__name__)


def write_report(
    archive: EpisodeArchive, context: RunContext, *, video: bool = True
) -> dict[str, Any]:
    """Write summary.json, the figures, the video and report.html of a run; return the summary.

    Learning curves are drawn where the folder holds metrics.csv. video: replay the median pair
    in the simulator (half a minute) unless its video is there already. Without a pair that both
    policies solve there is nothing to compare, and neither paths nor video are made.
    Raises UserError if the archive is empty or cannot be compared.
    """
    archive.finish()
    summary = summarise_run(archive.rows, context)
    folder = archive.folder
    write_summary(folder, summary)
    pairing = _greedy_pairing(archive, context)
    labels = _labels(context)
    figures = _figures(archive, pairing, summary, context, labels)
    for name, content in figures.items():
        write_file(folder / FIGURES / f'{name}.png', content)
    typical = pairing.representative(JERK.column)
    if video and typical is not None:
        _write_video(archive, typical, context, labels)
    text = page(summary, figures, folder / FILM, folder / STILL, labels)
    write_file(folder / REPORT, text)
    return summary


def read_metrics(path: Path) -> dict[str, np.ndarray]:
    """Read metrics.csv into columns of float64 [iterations]; NaN where a cell is empty.

    Raises UserError if it is damaged.
    """
    with path.open(newline='') as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    try:
        return {
            name: np.array([float(row[name] or math.nan) for row in rows])
            for name in reader.fieldnames or ()
        }
    except (TypeError, ValueError) as error:
        raise UserError(f'{path} is damaged ({error}); delete it to report without it') from error


def _labels(context: RunContext) -> tuple[str, str]:
    return (context.before or '').replace('_', ' '), context.after.replace('_', ' ')


def _greedy_pairing(archive: EpisodeArchive, context: RunContext) -> Pairing:
    greedy = [row for row in archive.rows if row.greedy]
    return pair_rows(
        [row for row in greedy if row.policy == context.before],
        [row for row in greedy if row.policy == context.after],
    )


def _figures(
    archive: EpisodeArchive,
    pairing: Pairing,
    summary: Mapping[str, Any],
    context: RunContext,
    labels: tuple[str, str],
) -> dict[str, bytes]:
    """Draw what the run has data for: name -> PNG."""
    drawn = {}
    metrics_file = archive.folder / METRICS
    if metrics_file.exists():
        metrics = read_metrics(metrics_file)
        if len(metrics.get('iteration', ())) > 1:
            drawn['learning'] = plots.learning_curves(metrics, _LEARNING_PANELS)
    if summary['tasks']:
        drawn['tasks'] = plots.task_figures(summary['tasks'], labels)
    of_tasks = [
        pairing.of_task(task).representative(JERK.column)
        for task in sorted({pair.name.task for pair in pairing.solved})
    ]
    chosen = [pair for pair in of_tasks if pair is not None][:_MOST_TASKS_DRAWN]
    if chosen:
        drawn['jerk'] = plots.jerk_over_time(
            [_motions(archive, pair, context) for pair in chosen], labels
        )
    typical = pairing.representative(JERK.column)
    if typical is not None:
        drawn['paths'] = plots.tool_paths(_motions(archive, typical, context), labels)
    return drawn


def _motions(archive: EpisodeArchive, pair: Pair, context: RunContext) -> MotionPair:
    before, after = _stored(archive, pair)
    language = (context.languages or {}).get(pair.name.task)
    return MotionPair(
        language or f'task {pair.name.task}',
        motion_of(before, archive.arm, archive.estimator),
        motion_of(after, archive.arm, archive.estimator),
    )


def _stored(archive: EpisodeArchive, pair: Pair) -> tuple[StoredEpisode, StoredEpisode]:
    """Read the two solved episodes of a pair."""
    before = next(row for row in pair.before if row.success)
    after = next(row for row in pair.after if row.success)
    return archive.trajectory(before), archive.trajectory(after)


def _write_video(
    archive: EpisodeArchive, pair: Pair, context: RunContext, labels: tuple[str, str]
) -> None:
    """Replay a pair and write film, still and animation; nothing if they are there already."""
    paths = [archive.folder / name for name in (FILM, STILL, ANIMATION)]
    if all(path.exists() for path in paths):
        return
    episodes = _stored(archive, pair)
    frames = sum(frame_count(item, _FRAME_EVERY_STEPS) for item in episodes)
    with tqdm(total=frames, desc='video', unit='frame', disable=None) as bar:
        replays = replay(episodes, size=PICTURE, every=_FRAME_EVERY_STEPS, progress=bar.update)
    for label, shown in zip(labels, replays, strict=True):
        if not shown.success:
            log.warning(
                'video: the replay of %r did not succeed as recorded (joints differ by up to '
                '%.2g rad); other versions of the simulator move differently',
                label,
                shown.deviation,
            )
    film = BeforeAfterFilm(_motions(archive, pair, context), (replays[0], replays[1]), labels)
    write_film(paths[0], film)
    write_still(paths[1], film)
    write_animation(paths[2], film)
