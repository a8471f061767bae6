"""What a run shows, in sentences, and what would make its figures mislead."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smoothvla_ros.evaluation.episodes.measures import NARROWED_SHARE
from smoothvla_ros.evaluation.intervals.bootstrap import LEAST_OBSERVATIONS, NARROW_BELOW

# Below this share a motion is not called slower; what it does to jerk is said all the same.
_SAME_PACE_PERCENT = 3.0
_ROUGH_SEAM = 1.25
_NO_INTERVAL = 'too few init states for an interval'


class FindingVerdict(StrEnum):
    """How a finding is to be taken."""

    SHOWN = 'shown'
    OPEN = 'open'
    WARNING = 'warning'


@dataclass(frozen=True)
class Finding:
    """One sentence or two about the run."""

    verdict: FindingVerdict
    text: str


def findings(summary: Mapping[str, Any]) -> list[Finding]:
    """Return what may be said of a comparison; empty where only one policy ran."""
    found = []
    paired = summary['paired']
    if paired is not None:
        few = paired['init_states'] < NARROW_BELOW
        about_jerk = [_jerk(paired), *_pace(paired), *_shape(paired)]
        found += [_success(summary), *(_unproven(about_jerk) if few else about_jerk)]
        if few:
            verb = 'is' if paired['pairs'] == 1 else 'are'
            text = f'Only {_scenes(paired)} {verb} solved by both: too few to lean on'
            if paired['init_states'] >= LEAST_OBSERVATIONS:
                text += ', and the intervals of jerk are somewhat narrow'
            found.append(Finding(FindingVerdict.WARNING, f'{text}.'))
    sampled = summary['sampled']
    if sampled is not None and sampled['paired'] is not None:
        found += _sampled(paired, sampled)
    if summary['after'] is not None:
        found += _seams(summary['after'])
    return found


def _scenes(paired: Mapping[str, Any]) -> str:
    """Say how many scenes are compared, and of how many init states where these are fewer."""
    text, states = f'{paired["pairs"]} scenes', paired['init_states']
    if paired['pairs'] == 1:
        return text.removesuffix('s')
    if states == paired['pairs']:
        return text
    return f'{text} of {states} init state{"s" if states > 1 else ""}'


def _unproven(findings: Sequence[Finding]) -> list[Finding]:
    return [
        dataclasses.replace(finding, verdict=FindingVerdict.OPEN)
        if finding.verdict is FindingVerdict.SHOWN
        else finding
        for finding in findings
    ]


def _jerk(paired: Mapping[str, Any]) -> Finding:
    change, low, high = (paired[key] for key in ('jerk_change_percent', 'low', 'high'))
    if change is None:
        return Finding(
            FindingVerdict.WARNING, 'No scene is solved by both, so jerk cannot be compared.'
        )
    over = f'on the {paired["pairs"]} of {paired["common"]} scenes that both policies solve'
    if low is None:
        text = f'Mean jerk changed by {change:+.1f} % {over}: {_NO_INTERVAL}.'
        return Finding(FindingVerdict.OPEN, text)
    bounds = f'{change:+.1f} % (95 % interval {low:+.1f} to {high:+.1f})'
    if high < 0.0:
        return Finding(FindingVerdict.SHOWN, f'Mean jerk fell: {bounds} {over}.')
    if low > 0.0:
        return Finding(FindingVerdict.WARNING, f'Mean jerk rose: {bounds} {over}.')
    return Finding(
        FindingVerdict.OPEN,
        f'No change of mean jerk is shown: {bounds} {over}; the interval holds zero.',
    )


def _success(summary: Mapping[str, Any]) -> Finding:
    change = summary['paired']['success_change_points']
    before, after = (100.0 * summary[side]['success']['mean'] for side in ('before', 'after'))
    if change['mean'] is None:
        return Finding(
            FindingVerdict.WARNING,
            f'Success was {before:.1f} % and {after:.1f} %, on different scenes.',
        )
    text = f'Success went from {before:.1f} % to {after:.1f} %'
    bounds = f'{change["mean"]:+.1f} points ({change["low"]:+.1f} to {change["high"]:+.1f})'
    if change['low'] > 0.0:
        return Finding(FindingVerdict.SHOWN, f'{text}: a gain of {bounds}.')
    if change['high'] < 0.0:
        return Finding(FindingVerdict.WARNING, f'{text}: a loss, {bounds}.')
    return Finding(
        FindingVerdict.OPEN,
        f'{text}: {bounds}. The interval holds zero: neither a gain nor a loss is shown, and a '
        f'loss of up to {max(0.0, -change["low"]):.1f} points is not excluded.',
    )


def _pace(paired: Mapping[str, Any]) -> list[Finding]:
    """Slowness alone lowers jerk, as the cube of the pace: say what is left of it at equal pace."""
    speed = paired['changes']['mean_speed']['mean']
    length = paired['changes']['steps']['mean']
    equal = paired['changes']['pace_free_jerk']
    if speed is None or length is None or equal['mean'] is None:
        return []
    slower = speed < -_SAME_PACE_PERCENT or length > _SAME_PACE_PERCENT
    faster = not slower and speed > _SAME_PACE_PERCENT
    pace = 'The motion became slower' if slower else 'The pace is nearly the same'
    figures = f'mean speed {speed:+.1f} %, episode length {length:+.1f} %'
    if faster:
        # The estimator sees less than the cube of the pace: at equal pace a faster motion flatters.
        return [Finding(FindingVerdict.OPEN, f'The motion became faster ({figures}).')]
    text = f'{pace} ({figures}); at equal pace mean jerk changed by {equal["mean"]:+.1f} %'
    if equal['low'] is None:
        return [Finding(FindingVerdict.OPEN, f'{text}: {_NO_INTERVAL}.')]
    text += f' ({equal["low"]:+.1f} to {equal["high"]:+.1f})'
    if equal['high'] < 0.0:
        return [Finding(FindingVerdict.SHOWN, f'{text}: slowness alone does not explain its fall.')]
    if slower:
        return [Finding(FindingVerdict.WARNING, f'{text}: slowness alone lowers jerk.')]
    return [Finding(FindingVerdict.OPEN, f'{text}.')]


def _shape(paired: Mapping[str, Any]) -> list[Finding]:
    change = paired['changes']['ldlj']
    if change['mean'] is None:
        return []
    text = 'Log dimensionless jerk, which slowing down alone does not improve: '
    text += f'{change["mean"]:+.2f}'
    if change['low'] is None:
        return [Finding(FindingVerdict.OPEN, f'{text}, {_NO_INTERVAL}.')]
    text += f' ({change["low"]:+.2f} to {change["high"]:+.2f})'
    if change['low'] > 0.0:
        return [Finding(FindingVerdict.SHOWN, f'{text}, smoother.')]
    if change['high'] < 0.0:
        return [Finding(FindingVerdict.WARNING, f'{text}, less smooth.')]
    return [Finding(FindingVerdict.OPEN, f'{text}; the interval holds zero.')]


def _sampled(paired: Mapping[str, Any] | None, sampled: Mapping[str, Any]) -> list[Finding]:
    found = []
    change = sampled['paired']['jerk_change_percent']
    greedy = paired['jerk_change_percent'] if paired else None
    if change is not None:
        low, high = sampled['paired']['low'], sampled['paired']['high']
        known = low is not None
        opposite = known and greedy is not None and (change > 0.0) != (greedy > 0.0)
        few = sampled['paired']['init_states'] < NARROW_BELOW
        shown = known and high < 0.0 and not few
        bounds = f'{low:+.1f} to {high:+.1f}' if known else _NO_INTERVAL
        found.append(
            Finding(
                FindingVerdict.WARNING
                if opposite
                else FindingVerdict.SHOWN
                if shown
                else FindingVerdict.OPEN,
                f'Sampled jerk: {change:+.1f} % ({bounds})'
                + (f' over only {_scenes(sampled["paired"])}' if few else '')
                + (', against the greedy jerk.' if opposite else '.'),
            )
        )
    before, after = (sampled[side]['negative_log_prob']['mean'] for side in ('before', 'after'))
    if before is not None and after is not None and before > 0.0:
        narrowed = after < NARROWED_SHARE * before
        found.append(
            Finding(
                FindingVerdict.WARNING if narrowed else FindingVerdict.SHOWN,
                f'Entropy, estimated from the sampled tokens: {before:.2f} to {after:.2f} nat a '
                'token' + ('; the policy has nearly stopped exploring.' if narrowed else '.'),
            )
        )
    return found


def _seams(figures: Mapping[str, Any]) -> list[Finding]:
    seam, jerk = figures['seam_jerk']['mean'], figures['jerk']['mean']
    if not seam or not jerk or seam < _ROUGH_SEAM * jerk:
        return []
    return [
        Finding(
            FindingVerdict.WARNING,
            f'Where one chunk of actions follows another jerk is {seam / jerk:.1f} times the mean.',
        )
    ]
