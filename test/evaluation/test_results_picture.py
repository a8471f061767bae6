"""docs/results.png: what is drawn of the results, and what is not."""

from __future__ import annotations

from typing import Any

from smoothvla_ros.evaluation.benchmark.picture import by_suite, picture


def row(suite: str, method: str, seed: int | str, **changed: Any) -> dict[str, Any]:
    """Return a row of results.json."""
    found = {'mean': 0.8, 'low': 0.7, 'high': 0.9}
    figures = {'jerk': found, 'success': found}
    ours = {'role': 'reward', 'sampling': 'greedy', 'figures': figures}
    return {'suite': suite, 'method': method, 'seed': seed, **ours, **changed}


def test_what_is_drawn_is_measured_greedy_and_of_one_seed() -> None:
    """Rewards and rivals, a point a seed: nothing pooled, sampled, unmeasured, no ablation."""
    goal = [row('libero_goal', 'sft', seed) for seed in (0, 1)]
    rival = row('libero_goal', 'low_pass', 0, role='rival')
    others = [
        row('libero_goal', 'sft', 'pooled'),
        row('pooled', 'sft', 0),
        row('libero_goal', 'sft', 2, sampling='sampled'),
        row('libero_goal', 'decoupled_w', 0, role='ablation'),
        row('libero_10', 'sft', 0, figures=None),
    ]
    drawn = by_suite([*others, goal[0], rival, goal[1]])
    assert drawn == {'libero_goal': {'sft': goal, 'low_pass': [rival]}}


def test_a_method_that_never_succeeds_has_no_jerk_to_draw() -> None:
    """Its success is drawn all the same; the picture is other than with its jerk."""
    nothing = {'mean': None, 'low': None, 'high': None}
    solved = {'mean': 0.0, 'low': 0.0, 'high': 0.1}
    failing = row('libero_10', 'sft', 0, figures={'jerk': nothing, 'success': solved})
    other = row('libero_10', 'sft', 0, figures={'jerk': solved, 'success': solved})
    first = picture([failing])
    assert first is not None
    assert first.startswith(b'\x89PNG')
    assert first != picture([other])


def test_a_figure_without_an_interval_is_a_point_alone() -> None:
    """Of too few scenes for ends the mean is drawn."""
    found = {'mean': 0.8, 'low': None, 'high': None}
    known = {'mean': 0.8, 'low': 0.7, 'high': 0.9}
    alone = picture([row('libero_10', 'sft', 0, figures={'jerk': found, 'success': known})])
    assert alone is not None
    assert alone != picture([row('libero_10', 'sft', 0)])


def test_nothing_measured_is_no_picture() -> None:
    """A page of an empty matrix shows none."""
    assert picture([]) is None
