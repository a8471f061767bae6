"""docs/results.json: every figure of the benchmark by name, from the cells that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from smoothvla_ros.evaluation.benchmark.figures import compared, described
from smoothvla_ros.evaluation.benchmark.matrix import (
    PERTURBATIONS,
    SFT,
    WRONG_INSTRUCTION,
    Kinds,
    Matrix,
    Role,
)
from smoothvla_ros.evaluation.intervals.pairing import common_estimator
from smoothvla_ros.evaluation.plain_json import plain
from smoothvla_ros.records.reward_names import BINARY, DECOUPLED, SMOOTH

REWARDS = (BINARY, SMOOTH, DECOUPLED)
POOLED_SUITES = ('libero_spatial', 'libero_object', 'libero_goal')
"""What the bars pool; libero_10 has rows of its own."""

DIGITS = 6
"""Of a number in results.json: another processor's last bit is none of it."""

GREEDY, SAMPLED = 'greedy', 'sampled'
_SURPRISE = 'negative_log_prob'
_BASELINES = (SFT, BINARY)


class Results:
    """Computes the figures of a matrix; what is not measured yet is None, never zero."""

    def __init__(self, matrix: Matrix, sampled_temperature: float) -> None:
        """sampled_temperature: that of the episodes that are not greedy."""
        self._matrix = matrix
        self._temperatures = {GREEDY: 0.0, SAMPLED: sampled_temperature}

    def content(self) -> dict[str, Any]:
        """Return everything, in JSON's own types, numbers to `DIGITS` digits."""
        return plain(
            {
                'sampled_temperature': self._temperatures[SAMPLED],
                'estimator': self._estimator(),
                'cells': self._cells(),
                'decoupled_vs_binary': self._against(DECOUPLED, BINARY),
                'rl_vs_sft': {reward: self._against(reward, SFT) for reward in REWARDS},
                'sampled_vs_sft': self._against(DECOUPLED, SFT, SAMPLED),
                'sampled_vs_binary': self._against(DECOUPLED, BINARY, SAMPLED),
                'libero_pro': self._perturbed(),
                'seeds': self._seeds(),
                'honesty': [item for suite in self._matrix.suites for item in self._honest(suite)],
                'rows': self._rows(),
            },
            DIGITS,
        )

    def _estimator(self) -> dict[str, Any] | None:
        """Return how all jerk was estimated.  Raises UserError for episodes that do not compare."""
        rows = [row for record in self._matrix.records.values() for row in record.rows]
        found = common_estimator(rows)
        return None if found is None else dataclasses.asdict(found)

    def _cells(self) -> dict[str, Any]:
        """Return how far each planned cell is, and the weights that it measured."""
        cells = {}
        for cell in self._matrix.planned:
            record = self._matrix.records.get(cell.name)
            planned = sum(cell.parts.values())
            cells[str(cell.name)] = {
                'role': cell.role.value,
                'episodes': planned - sum(cell.missing(record).values()),
                'planned': planned,
                'policy_sha256': record.policy_sha256 if record else None,
            }
        return cells

    def _rows(self) -> list[dict[str, Any]]:
        """Return a row a suite, method and seed, greedy and sampled; pooled ones once complete."""
        rows: list[dict[str, Any]] = []
        for role in Role:
            for method in self._matrix.methods(role):
                planned = [
                    suite for suite in self._matrix.suites if self._matrix.seeds(suite, method)
                ]
                groups: list[tuple[str, ...]] = [(suite,) for suite in planned]
                pooled = tuple(suite for suite in planned if suite in POOLED_SUITES)
                groups += [pooled] if role is Role.REWARD and len(pooled) > 1 else []
                for suites in groups:
                    seeds = self._seeds_of(suites, method)
                    singles: list[tuple[int, ...]] = [(seed,) for seed in seeds]
                    rows += [
                        self._row(role, method, suites, chosen, sampling)
                        for chosen in (singles if len(seeds) == 1 else [*singles, seeds])
                        for sampling in (GREEDY, SAMPLED)
                        if len(suites) == len(chosen) == 1
                        or self._complete(method, suites, sampling)
                    ]
        return rows

    def _complete(self, method: str, suites: Sequence[str], sampling: str) -> bool:
        return self._matrix.complete([method], suites, Kinds(self._temperatures[sampling]))

    def _row(
        self,
        role: Role,
        method: str,
        suites: Sequence[str],
        chosen: Sequence[int],
        sampling: str,
    ) -> dict[str, Any]:
        kinds = Kinds(self._temperatures[sampling])
        episodes = self._matrix.scenes(method, suites, chosen, kinds)
        single = len(suites) == len(chosen) == 1
        baselines = [
            baseline
            for baseline in _BASELINES
            if baseline != method
            and method != SFT
            and (single or self._complete(baseline, suites, sampling))
        ]
        return {
            'suite': suites[0] if len(suites) == 1 else 'pooled',
            'method': method,
            'role': role.value,
            'seed': chosen[0] if len(chosen) == 1 else 'pooled',
            'sampling': sampling,
            'figures': described(episodes),
            'against': {
                baseline: compared(self._matrix.scenes(baseline, suites, chosen, kinds), episodes)
                for baseline in baselines
            },
        }

    def _against(self, method: str, baseline: str, sampling: str = GREEDY) -> dict[str, Any]:
        """Compare two methods over the pooled suites and all seeds, and suite by suite."""
        kinds = Kinds(self._temperatures[sampling])
        return {
            **self._over(method, baseline, POOLED_SUITES, kinds),
            'suites': {
                suite: self._over(method, baseline, [suite], kinds) for suite in self._matrix.suites
            },
        }

    def _over(
        self, method: str, baseline: str, suites: Sequence[str], kinds: Kinds
    ) -> dict[str, Any]:
        seeds = self._seeds_of(suites, method)
        before, after = (
            self._matrix.scenes(name, suites, seeds, kinds) for name in (baseline, method)
        )
        figures = described(after)
        return {
            'complete': self._matrix.complete([method, baseline], suites, kinds),
            'success': figures and figures['success'],
            'jerk': figures and figures['jerk'],
            **(compared(before, after) or dict.fromkeys(_COMPARISON)),
        }

    def _perturbed(self) -> dict[str, Any]:
        """Compare each reward with SFT under LIBERO-PRO's perturbations, pooled and by kind."""

        return {
            method: {
                **self._over(method, SFT, POOLED_SUITES, Kinds(perturbed=PERTURBATIONS)),
                'kinds': {
                    suite: {
                        kind: self._over(method, SFT, [suite], Kinds(perturbed=(kind,)))
                        for kind in PERTURBATIONS
                    }
                    for suite in self._matrix.suites
                },
            }
            for method in (SFT, *REWARDS)
        }

    def _seeds(self) -> dict[str, Any]:
        """Return the change of jerk of `decoupled` against `binary`, seed by seed."""
        found: dict[str, Any] = {}
        for seed in self._seeds_of(POOLED_SUITES, DECOUPLED):
            by_suite = {}
            for suite in POOLED_SUITES:
                before, after = (
                    self._matrix.scenes(name, [suite], [seed], Kinds())
                    for name in (BINARY, DECOUPLED)
                )
                change = compared(before, after)
                by_suite[suite] = change and change['jerk_change_percent']
            found[str(seed)] = by_suite
        return {
            'complete': self._matrix.complete([BINARY, DECOUPLED], POOLED_SUITES, Kinds()),
            'jerk_change_percent': found,
        }

    def _honest(self, suite: str) -> list[dict[str, Any]]:
        """Return what would make a suite's figures mislead, method by method."""
        return [
            {
                'suite': suite,
                'method': method,
                'against_sft': self._over(method, SFT, [suite], Kinds())['changes'],
                'sampled_surprise': self._surprise(suite, method),
                'wrong_instruction': self._wrong(suite, method),
            }
            for method in REWARDS
            if self._matrix.seeds(suite, method)
        ]

    def _surprise(self, suite: str, method: str) -> dict[str, Any] | None:
        """Compare how improbable the sampled tokens were to SFT and to the method, same scenes.

        Its mean estimates the entropy at the temperature that both were sampled at.
        """
        seeds = self._matrix.seeds(suite, method)
        kinds = Kinds(self._temperatures[SAMPLED])
        before, after = (self._matrix.scenes(name, [suite], seeds, kinds) for name in (SFT, method))
        change = compared(before, after)
        if change is None:
            return None
        common = set(before) & set(after)
        figures = (
            described({scene: rows[scene] for scene in common}) or {} for rows in (before, after)
        )
        first, last = (found[_SURPRISE]['mean'] for found in figures)
        return {'sft': first, 'method': last, 'change': change['changes'][_SURPRISE]}

    def _wrong(self, suite: str, method: str) -> dict[str, Any] | None:
        """Compare right and wrong instruction on the same scenes; success alone means anything."""
        seeds = self._matrix.seeds(suite, method)
        right, wrong = (
            self._matrix.scenes(method, [suite], seeds, kinds)
            for kinds in (Kinds(), Kinds(label=WRONG_INSTRUCTION))
        )
        change = compared(right, wrong)
        return change and {
            'episodes': change['episodes'],
            'success_change_points': change['success_change_points'],
        }

    def _seeds_of(self, suites: Sequence[str], method: str) -> tuple[int, ...]:
        return tuple(
            sorted({seed for suite in suites for seed in self._matrix.seeds(suite, method)})
        )


_COMPARISON = (
    'episodes',
    'solved_by_both',
    'share',
    'success_change_points',
    'jerk_change_percent',
    'changes',
)
