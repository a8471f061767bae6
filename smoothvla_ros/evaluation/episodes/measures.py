"""The columns of the episode table that are averaged, with their names and units in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
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


JERK = Measure(
    'jerk',
    'mean jerk',
    'm/s^3',
    2,
    headline=True,
    note='mean norm of the tool jerk; what the rewards use',
)

MEASURES: tuple[Measure, ...] = (
    JERK,
    Measure('rms_jerk', 'RMS jerk', 'm/s^3', 2, headline=True, note='weighs the peaks'),
    Measure('peak_jerk', 'peak jerk', 'm/s^3', 2),
    Measure(
        'angular_jerk',
        'mean angular jerk',
        'rad/s^3',
        2,
        headline=True,
        note='never added to metres',
    ),
    Measure('rms_angular_jerk', 'RMS angular jerk', 'rad/s^3', 2),
    Measure('commanded_jerk', 'commanded jerk', 'm/s^3', 2, note='of the commands, before the arm'),
    Measure(
        'substep_jerk',
        'mean jerk, simulator step',
        'm/s^3',
        2,
        note='joints at 500 Hz over 0.05 s: not aliased, compares only with itself',
    ),
    Measure('seam_jerk', 'jerk at chunk seams', 'm/s^3', 2, note='where two action chunks meet'),
    Measure('seam_action_change', 'action change at seams', '', 3, note='step in the action there'),
    Measure('action_total_variation', 'action total variation', '', 3, note='a step'),
    Measure(
        'ldlj',
        'log dimensionless jerk',
        '',
        2,
        headline=True,
        relative=False,
        note='higher is smoother, any speed',
    ),
    Measure(
        'sparc', 'spectral arc length', '', 2, relative=False, note='higher is smoother, any speed'
    ),
    Measure(
        'pace_free_jerk',
        'jerk at equal pace',
        '',
        0,
        headline=True,
        note='mean jerk times duration cubed over path length: slowness changes nothing',
    ),
    Measure(
        'mean_speed',
        'mean speed',
        'm/s',
        3,
        headline=True,
        note='slowness alone lowers jerk: read beside it',
    ),
    Measure('path_length', 'path length', 'm', 3),
    Measure('steps', 'episode length', 'steps', 1, headline=True),
    Measure(
        'negative_log_prob',
        'negative log-probability',
        'nat',
        3,
        headline=True,
        relative=False,
        note='a token; over sampled episodes it estimates the entropy',
    ),
)
