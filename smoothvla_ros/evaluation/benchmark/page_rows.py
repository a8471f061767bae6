"""The rows of the tables in docs/results.md, as text; a table without rows is not measured yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from smoothvla_ros.evaluation.benchmark import paper_numbers as paper
from smoothvla_ros.evaluation.benchmark.bars import with_interval
from smoothvla_ros.evaluation.benchmark.matrix import SFT
from smoothvla_ros.evaluation.benchmark.results import GREEDY
from smoothvla_ros.evaluation.episodes.measures import NARROWED_SHARE
from smoothvla_ros.records.reward_names import BINARY, DECOUPLED, SMOOTH

NOT_YET = 'not yet measured'
PAPERS_METHODS = (SFT, BINARY, SMOOTH, DECOUPLED)
SAME_SPEED_PERCENT = 10.0

KEY = ('suite', 'method', 'seed')
CHANGES = (
    ('jerk', 'jerk', ' %', 1),
    ('angular_jerk', 'angular jerk', ' %', 1),
    ('substep_jerk', 'jerk at 500 Hz', ' %', 1),
    ('pace_free_jerk', 'jerk at equal pace', ' %', 1),
    ('ldlj', 'LDLJ', '', 2),
    ('steps', 'length', ' %', 1),
    ('mean_speed', 'speed', ' %', 1),
)
_MEANS = (
    ('rms_jerk', 2),
    ('angular_jerk', 2),
    ('ldlj', 2),
    ('sparc', 2),
    ('steps', 1),
    ('mean_speed', 3),
)

Row = tuple[str, ...]


def missing_cells(cells: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line a suite of the cells that are not complete, with how far the begun ones are."""
    suites: dict[str, dict[str, list[str]]] = {}
    for name, cell in cells.items():
        if cell['episodes'] >= cell['planned']:
            continue
        suite, method, seed = name.split('/')
        begun = f' ({cell["episodes"]} of {cell["planned"]})' if cell['episodes'] else ''
        of_suite = suites.setdefault(suite, {})
        of_suite.setdefault(method, []).append(seed.removeprefix('seed') + begun)
    return [
        f'{suite}: ' + '; '.join(f'`{name}` {", ".join(seeds)}' for name, seeds in missing.items())
        for suite, missing in suites.items()
    ]


def beside_the_paper(content: Mapping[str, Any]) -> list[Row]:
    """Return the paper's jerk of each suite and ours."""

    def ours(suite: str, method: str) -> str:
        for row in of_sampling(content, GREEDY):
            if (row['suite'], row['method'], row['seed']) == (suite, method, 'pooled'):
                return _with_bounds(row['figures'], 'jerk', 2)
        return NOT_YET

    lines: list[Row] = [
        (suite, f'{sft:.3f}', f'{rl:.3f}', *(ours(suite, name) for name in PAPERS_METHODS))
        for suite, (sft, rl) in paper.JERK.items()
    ]
    means = (f'{value:.3f}' for value in paper.MEAN_JERK)
    lines.append(('mean / pooled', *means, *(ours('pooled', name) for name in PAPERS_METHODS)))
    return lines


def episodes(content: Mapping[str, Any], sampling: str) -> list[Row]:
    """Return success and measures, a suite, method and seed."""
    return [
        (
            *_key(row),
            f'{found["solved"]} of {found["episodes"]}',
            _percent(found['success']),
            _with_bounds(found, 'jerk', 2),
            *(_mean(found, column, decimals) for column, decimals in _MEANS),
        )
        for row in of_sampling(content, sampling)
        if (found := row['figures']) is not None
    ]


def changes(content: Mapping[str, Any], sampling: str) -> list[Row]:
    """Return the paired changes against each baseline."""
    return [
        (
            *_key(row),
            baseline,
            str(change['episodes']),
            f'{change["solved_by_both"]} ({100.0 * change["share"]:.0f} %)',
            with_interval(change['success_change_points'], ''),
            *(
                with_interval(change['changes'][column], unit, decimals)
                for column, _, unit, decimals in CHANGES
            ),
        )
        for row in of_sampling(content, sampling)
        for baseline, change in row['against'].items()
        if change is not None
    ]


def perturbed(content: Mapping[str, Any]) -> list[Row]:
    """Return success and jerk under LIBERO-PRO's perturbations, pooled and by kind."""
    return [
        (
            suite,
            kind,
            method,
            ('' if found['complete'] else 'so far ') + _percent(found['success']),
            _with_bounds(found, 'jerk', 2),
            '' if method == 'sft' else with_interval(found['success_change_points'], ''),
            '' if method == 'sft' else with_interval(found['jerk_change_percent'], ' %'),
        )
        for method, figures in content.items()
        for suite, kind, found in _places(figures)
        if found['success'] is not None
    ]


def honesty(items: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return what would make a method's figures mislead."""
    lines: list[Row] = []
    for item in items:
        against, surprise = item['against_sft'], item['sampled_surprise']
        wrong = item['wrong_instruction']
        if against is None and surprise is None and wrong is None:
            continue
        lines.append(
            (
                item['suite'],
                item['method'],
                with_interval(against and against['mean_speed'], ' %'),
                with_interval(against and against['steps'], ' %'),
                _pace(against),
                with_interval(against and against['pace_free_jerk'], ' %'),
                _narrowing(surprise),
                with_interval(wrong and wrong['success_change_points'], ''),
            )
        )
    return lines


def erasing(items: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return what each lambda changes of the advantages."""
    return [
        (
            f'{item["lambda"]:g}',
            _number(item['all_success'], 6),
            _number(item['mixed'], 3),
            _number(item['successes_without_reward'], 3),
        )
        for item in items
    ]


def of_sampling(content: Mapping[str, Any], sampling: str) -> list[Mapping[str, Any]]:
    """Return a sampling's rows, pooled suites last."""
    rows = [row for row in content['rows'] if row['sampling'] == sampling]
    order = [*dict.fromkeys(row['suite'] for row in rows if row['suite'] != 'pooled'), 'pooled']
    return sorted(rows, key=lambda row: order.index(row['suite']))


def _places(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    yield 'pooled', 'all', figures
    for suite, kinds in figures['kinds'].items():
        for kind, found in kinds.items():
            yield suite, kind, found


def _pace(changes: Mapping[str, Any] | None) -> str:
    if changes is None or changes['mean_speed']['mean'] is None:
        return NOT_YET
    longer = changes['steps']['low']
    if changes['mean_speed']['mean'] < -SAME_SPEED_PERCENT or (longer is not None and longer > 0.0):
        return '**slower**'
    return 'no'


def _narrowing(surprise: Mapping[str, Any] | None) -> str:
    if surprise is None or surprise['change']['mean'] is None:
        return NOT_YET
    text = (
        f'{surprise["sft"]:.2f} to {surprise["method"]:.2f} '
        f'({with_interval(surprise["change"], "", 2)})'
    )
    collapsed = surprise['method'] < NARROWED_SHARE * surprise['sft']
    return f'{text}, **collapsed**' if collapsed else text


def _key(row: Mapping[str, Any]) -> Row:
    return row['suite'], row['method'], str(row['seed'])


def _percent(bounds: Mapping[str, Any]) -> str:
    mean, low, high = (f'{100.0 * bounds[key]:.1f}' for key in ('mean', 'low', 'high'))
    return f'{mean} [{low}, {high}]'


def _with_bounds(found: Mapping[str, Any] | None, column: str, decimals: int) -> str:
    if found is None or found[column] is None or found[column]['mean'] is None:
        return NOT_YET if found is None else '–'
    text = f'{found[column]["mean"]:.{decimals}f}'
    if found[column]['low'] is not None:
        text += f' [{found[column]["low"]:.{decimals}f}, {found[column]["high"]:.{decimals}f}]'
    return text.replace('-', '−')


def _mean(found: Mapping[str, Any], column: str, decimals: int) -> str:
    value = found[column]['mean']
    return '–' if value is None else f'{value:.{decimals}f}'.replace('-', '−')


def _number(value: float | None, digits: int) -> str:
    return '–' if value is None else f'{value:.{digits}f}'
