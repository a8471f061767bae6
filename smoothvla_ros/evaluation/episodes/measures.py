"""The columns of the episode table that are averaged, with their names and units in one place."""

from __future__ import annotations

from dataclasses import dataclass

# Of the entropy that the sampled tokens show; with less left a policy hardly explores any more.
NARROWED_SHARE = 0.5


@dataclass(frozen=True)
class EpisodeMeasure:
    """One number of an episode.

    column: its name in `EpisodeRow` and in the files.  unit: '' for a pure number.
    relative: whether a change in percent of the mean says something (it does not for a logarithm).
    headline: whether a short table shows it.
    note: what fools it or how it is read, for the report.
    """

    column: str
    label: str
    unit: str
    decimals: int
    relative: bool = True
    headline: bool = False
    note: str = ''


JERK = EpisodeMeasure(
    'jerk',
    'mean jerk',
    'm/s^3',
    2,
    headline=True,
    note='mean norm of the tool jerk; what the rewards use',
)

MEASURES: tuple[EpisodeMeasure, ...] = (
    JERK,
    EpisodeMeasure('rms_jerk', 'RMS jerk', 'm/s^3', 2, headline=True, note='weighs the peaks'),
    EpisodeMeasure('peak_jerk', 'peak jerk', 'm/s^3', 2),
    EpisodeMeasure(
        'angular_jerk',
        'mean angular jerk',
        'rad/s^3',
        2,
        headline=True,
        note='never added to metres',
    ),
    EpisodeMeasure('rms_angular_jerk', 'RMS angular jerk', 'rad/s^3', 2),
    EpisodeMeasure(
        'commanded_jerk', 'commanded jerk', 'm/s^3', 2, note='of the commands, before the arm'
    ),
    EpisodeMeasure(
        'substep_jerk',
        'mean jerk, simulator step',
        'm/s^3',
        2,
        note='joints at 500 Hz over 0.05 s: not aliased, compares only with itself',
    ),
    EpisodeMeasure(
        'seam_jerk', 'jerk at chunk seams', 'm/s^3', 2, note='where two action chunks meet'
    ),
    EpisodeMeasure(
        'seam_action_change', 'action change at seams', '', 3, note='step in the action there'
    ),
    EpisodeMeasure('action_total_variation', 'action total variation', '', 3, note='a step'),
    EpisodeMeasure(
        'ldlj',
        'log dimensionless jerk',
        '',
        2,
        headline=True,
        relative=False,
        note='higher is smoother, any speed',
    ),
    EpisodeMeasure(
        'sparc', 'spectral arc length', '', 2, relative=False, note='higher is smoother, any speed'
    ),
    EpisodeMeasure(
        'pace_free_jerk',
        'jerk at equal pace',
        '',
        0,
        headline=True,
        note='mean jerk times duration cubed over path length: slowness changes nothing',
    ),
    EpisodeMeasure(
        'mean_speed',
        'mean speed',
        'm/s',
        3,
        headline=True,
        note='slowness alone lowers jerk: read beside it',
    ),
    EpisodeMeasure('path_length', 'path length', 'm', 3),
    EpisodeMeasure('steps', 'episode length', 'steps', 1, headline=True),
    EpisodeMeasure(
        'negative_log_prob',
        'negative log-probability',
        'nat',
        3,
        headline=True,
        relative=False,
        note='a token; over sampled episodes it estimates the entropy',
    ),
)
