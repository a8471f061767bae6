"""The bars that the benchmark is held to, each met, missed, or not yet measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smoothvla_ros.evaluation.benchmark.results import POOLED_SUITES, REWARDS
from smoothvla_ros.records.reward_names import DECOUPLED

LEAST_EPISODES = 300
"""Paired episodes a suite, over the seeds, that the bar of success asks for."""

_JERK_MEAN, _JERK_HIGH = -30.0, -20.0
_SUCCESS_MEAN, _SUCCESS_LOW = -2.0, -5.0
_GAIN_POINTS, _ENOUGH_SUCCESS = 5.0, 0.95
_FEWEST_SEEDS = 3


class BarVerdict(StrEnum):
    """Where a bar stands."""

    MET = 'met'
    MISSED = 'missed'
    OPEN = 'not yet measured'


@dataclass(frozen=True)
class Bar:
    """One line of the table of bars.

    asked: what it says.  measured: the figures, those so far where it is still open.
    """

    figure: str
    asked: str
    measured: str
    verdict: BarVerdict


def bars(content: Mapping[str, Any]) -> list[Bar]:
    """Judge the content of results.json."""
    return [
        _jerk(content['decoupled_vs_binary']),
        _success(content['decoupled_vs_binary']),
        *(_gain(reward, content['rl_vs_sft'][reward]) for reward in REWARDS),
        _perturbed(content['libero_pro'][DECOUPLED]),
        _both_samplings(content),
        _seeds(content['seeds']),
    ]


def with_interval(bounds: Mapping[str, Any] | None, unit: str, decimals: int = 1) -> str:
    """Write a figure with its interval, alone where it has none; a dash where there is neither."""
    if bounds is None or bounds['mean'] is None:
        return '–'
    text = f'{bounds["mean"]:+.{decimals}f}{unit}'
    if bounds['low'] is not None:
        text += f' [{bounds["low"]:+.{decimals}f}, {bounds["high"]:+.{decimals}f}]'
    return text.replace('-', '−')


def _verdict(complete: bool, met: bool) -> BarVerdict:
    if not complete:
        return BarVerdict.OPEN
    return BarVerdict.MET if met else BarVerdict.MISSED


def _ends_below(change: Mapping[str, Any], limit: float) -> bool:
    """Say whether an interval lies below a limit; one that nobody knows does not."""
    return change['high'] is not None and bool(change['high'] < limit)


def _so_far(complete: bool, text: str, known: bool) -> str:
    if not known:
        return '–'
    return text if complete else f'so far {text}'


def _jerk(figures: Mapping[str, Any]) -> Bar:
    change, complete = figures['jerk_change_percent'], figures['complete']
    known = change is not None and change['mean'] is not None
    met = known and change['mean'] <= _JERK_MEAN and _ends_below(change, _JERK_HIGH)
    text = with_interval(change, ' %')
    if known:
        text += (
            f' on {figures["solved_by_both"]} of {figures["episodes"]} episodes that both solve '
            f'({100.0 * figures["share"]:.0f} %)'
        )
    return Bar(
        'mean jerk, `decoupled` against `binary`',
        f'at most −{-_JERK_MEAN:.0f} %, upper end below −{-_JERK_HIGH:.0f} %',
        _so_far(complete, text, known),
        _verdict(complete, met),
    )


def _success(figures: Mapping[str, Any]) -> Bar:
    change, complete = figures['success_change_points'], figures['complete']
    counts = [figures['suites'].get(suite, {}).get('episodes') or 0 for suite in POOLED_SUITES]
    enough = min(counts) >= LEAST_EPISODES
    known = change is not None
    met = known and change['mean'] >= _SUCCESS_MEAN and change['low'] >= _SUCCESS_LOW and enough
    text = f'{with_interval(change, " points")}, {" / ".join(map(str, counts))} episodes a suite'
    return Bar(
        'success, `decoupled` against `binary`',
        f'at least −{-_SUCCESS_MEAN:.0f} points, lower end at least −{-_SUCCESS_LOW:.0f}, '
        f'at least {LEAST_EPISODES} episodes a suite',
        _so_far(complete, text, known),
        _verdict(complete, met),
    )


def _gain(reward: str, figures: Mapping[str, Any]) -> Bar:
    """Judge every suite: a gain in one is no answer for another."""
    texts, each = [], []
    for suite in POOLED_SUITES:
        found = figures['suites'].get(suite)
        if not found or found['success_change_points'] is None or found['success'] is None:
            continue
        points, rate = found['success_change_points'], found['success']['mean']
        texts.append(f'{suite} {100.0 * rate:.1f} % ({with_interval(points, " points")})')
        each.append(points['mean'] >= _GAIN_POINTS or rate >= _ENOUGH_SUCCESS)
    return Bar(
        f'success, `{reward}` against SFT, each suite',
        f'at least +{_GAIN_POINTS:.0f} points, or at least {100.0 * _ENOUGH_SUCCESS:.0f} %',
        _so_far(figures['complete'], '; '.join(texts), bool(texts)),
        _verdict(figures['complete'], all(each)),
    )


def _perturbed(figures: Mapping[str, Any]) -> Bar:
    success, jerk = figures['success_change_points'], figures['jerk_change_percent']
    known = success is not None
    met = (
        known
        and jerk['mean'] is not None
        and success['mean'] >= _GAIN_POINTS
        and jerk['mean'] <= 0.0
    )
    text = f'success {with_interval(success, " points")}, jerk {with_interval(jerk, " %")}'
    return Bar(
        '`decoupled` against SFT, LIBERO-PRO kinds pooled',
        f'success at least +{_GAIN_POINTS:.0f} points, jerk not higher',
        _so_far(figures['complete'], text, known),
        _verdict(figures['complete'], met),
    )


def _both_samplings(content: Mapping[str, Any]) -> Bar:
    """Judge against both baselines: a fall that only one of them shows is no fall."""
    figures = {
        'greedy, against SFT': content['rl_vs_sft'][DECOUPLED],
        'greedy, against `binary`': content['decoupled_vs_binary'],
        'sampled, against SFT': content['sampled_vs_sft'],
        'sampled, against `binary`': content['sampled_vs_binary'],
    }
    known = {
        name: item['jerk_change_percent']
        for name, item in figures.items()
        if item['jerk_change_percent'] is not None
        and item['jerk_change_percent']['mean'] is not None
    }
    complete = all(item['complete'] for item in figures.values())
    text = '; '.join(f'{name}: {with_interval(change, " %")}' for name, change in known.items())
    met = len(known) == len(figures) and all(_ends_below(change, 0.0) for change in known.values())
    return Bar(
        'jerk of `decoupled`, greedy and sampled',
        'both fall, the intervals below 0',
        _so_far(complete, text, bool(known)),
        _verdict(complete, met),
    )


def _seeds(figures: Mapping[str, Any]) -> Bar:
    changes = [
        (seed, suite, change['mean'])
        for seed, suites in figures['jerk_change_percent'].items()
        for suite, change in suites.items()
        if change is not None and change['mean'] is not None
    ]
    complete = figures['complete'] and len(figures['jerk_change_percent']) >= _FEWEST_SEEDS
    text = '; '.join(f'{suite} seed {seed}: {mean:+.1f} %' for seed, suite, mean in changes)
    return Bar(
        'jerk of `decoupled` against `binary`, seed by seed',
        'three seeds, the same sign on every suite',
        _so_far(complete, text.replace('-', '−'), bool(changes)),
        _verdict(complete, bool(changes) and all(mean < 0.0 for _, _, mean in changes)),
    )
