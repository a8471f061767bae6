"""Filters between a policy and the robot: known answers, seams, and the gripper."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.chunk_filters import chunk_filter_factory, try_chunk_filter
from smoothvla_ros.policies.policy import PolicySpec

SPEC = PolicySpec(8, 7, bins=256, action_space='libero_osc_pose', cameras=(), image_size=128)


def chunks(count: int = 6, length: int = 8) -> np.ndarray:
    """Return random chunks [count, length, 7] within the range of actions."""
    return np.random.default_rng(3).uniform(-0.5, 0.5, (count, length, 7))


@pytest.mark.parametrize('cutoff_hz', [0.5, 2.0, 8.0])
def test_low_pass_goes_on_across_seams(cutoff_hz: float) -> None:
    """Chunk by chunk it gives what it gives over the whole motion; the gripper is untouched."""
    decided = chunks()
    factory = chunk_filter_factory({'filter': 'low_pass', 'cutoff_hz': cutoff_hz}, 'test')
    low_pass, at_once = factory(), factory()
    executed = np.concatenate([low_pass(chunk) for chunk in decided])
    whole = decided.reshape(-1, 7)
    np.testing.assert_allclose(executed, at_once(whole), atol=1e-12)
    np.testing.assert_array_equal(executed[:, -1], whole[:, -1])


@pytest.mark.parametrize(('cutoff_hz', 'rate_hz'), [(0.5, 20.0), (2.0, 20.0), (2.0, 100.0)])
def test_low_pass_has_butterworths_response_of_second_order(
    cutoff_hz: float, rate_hz: float
) -> None:
    """A constant passes whole; a sine at the cut-off loses 3 dB, at twice it what order 2 gives."""
    settings = {'filter': 'low_pass', 'cutoff_hz': cutoff_hz, 'rate_hz': rate_hz}
    times = np.arange(round(40 * rate_hz / cutoff_hz)) / rate_hz
    settled = len(times) // 2

    def gain(frequency_hz: float) -> float:
        wave = 0.5 * np.exp(2j * np.pi * frequency_hz * times)
        actions = np.stack([wave.real, wave.imag, np.zeros(len(times))], axis=1)
        passed = chunk_filter_factory(settings, 'test')()(actions)[settled:]
        return float(np.hypot(passed[:, 0], passed[:, 1]).mean() / 0.5)

    def warped(frequency_hz: float) -> float:
        return float(np.tan(np.pi * frequency_hz / rate_hz))

    for frequency_hz in (0.0, cutoff_hz, 2.0 * cutoff_hz):
        ratio = warped(frequency_hz) / warped(cutoff_hz)
        assert gain(frequency_hz) == pytest.approx((1.0 + ratio**4) ** -0.5, abs=1e-3)


def test_low_pass_never_leaves_the_range_and_changes_no_argument() -> None:
    """A step to full deflection overshoots a Butterworth filter, but no action may exceed 1."""
    low_pass = chunk_filter_factory({'filter': 'low_pass', 'cutoff_hz': 3.0}, 'test')()
    decided = np.ones((40, 7))
    executed = low_pass(decided)
    assert executed.max() == 1.0
    assert (decided == 1.0).all()
    assert executed[0, 0] < 0.5


def test_a_factory_makes_filters_that_share_nothing() -> None:
    """A new episode starts from rest, whatever the one before did."""
    factory = chunk_filter_factory({'filter': 'low_pass'}, 'test')
    first = factory()
    before = first(chunks()[0])
    first(chunks()[1])
    np.testing.assert_array_equal(factory()(chunks()[0]), before)


def test_ensemble_is_the_weighted_mean_of_what_was_said_about_a_step() -> None:
    """Each step is the mean over all chunks that reach to it, the oldest weighing most."""
    decided = chunks(count=5, length=3)
    ensemble = chunk_filter_factory({'filter': 'temporal_ensemble', 'decay': 0.7}, 'test')()
    executed = [ensemble(chunk) for chunk in decided]
    assert [len(steps) for steps in executed] == [1] * 5
    for step in range(5):
        said = [decided[asked][step - asked] for asked in range(max(0, step - 2), step + 1)]
        weights = np.exp(-0.7 * np.arange(len(said)))
        expected = np.average(said, axis=0, weights=weights)
        np.testing.assert_allclose(executed[step][0, :-1], expected[:-1])
        assert executed[step][0, -1] == decided[step][0, -1]


def test_ensemble_with_a_stride_of_a_chunk_changes_nothing() -> None:
    """Where no two chunks overlap, there is nothing to average."""
    ensemble = chunk_filter_factory({'filter': 'temporal_ensemble', 'stride': 8}, 'test')()
    for chunk in chunks():
        np.testing.assert_array_equal(ensemble(chunk), chunk)


def halve(share: float):
    """Return a filter of one's own."""
    return lambda actions: actions * share


def test_a_filter_of_ones_own_is_found_by_name() -> None:
    """`module:function` is called with the settings: the place of the motion guard's limits."""
    own = chunk_filter_factory({'filter': f'{__name__}:halve', 'share': 0.5}, 'test')()
    np.testing.assert_array_equal(own(np.ones((2, 7))), np.full((2, 7), 0.5))


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'filter': 'median'}, 'median'),
        ({'filter': 'low_pass', 'cutoff_hz': 10.0}, 'cutoff_hz=10.0'),
        ({'filter': 'low_pass', 'decay': 1.0}, "unknown setting 'decay'"),
        ({'filter': 'temporal_ensemble', 'stride': 0}, 'stride=0'),
        ({'filter': 'nowhere_at_all:f'}, 'nowhere_at_all'),
        ({'filter': 'math:wobble'}, 'wobble'),
        ({}, 'filter'),
    ],
)
def test_a_filter_that_does_not_exist_is_one_clear_line(values: dict, words: str) -> None:
    """The value and the place are named before any episode is run."""
    with pytest.raises(UserError, match=words):
        chunk_filter_factory(values, 'rivals: mine')


def failing(what: str):
    """Return a filter that does not do what a filter has to."""
    if what == 'nothing made':
        return None
    if what == 'trouble':
        raise RuntimeError('no weights')

    def answer(actions):
        if what == 'raises':
            return actions[99]
        return {
            'none': None,
            'no action': actions[:0],
            'too long': np.repeat(actions, 2, axis=0),
            'six columns': actions[:, :6],
            'one action': actions[0],
            'words': 'stop',
            'not finite': np.where(np.eye(*actions.shape, k=2), np.nan, actions),
        }[what]

    return answer


FAILURES = [
    ('nothing made', 'made NoneType'),
    ('trouble', r'RuntimeError: no weights at .*test_chunk_filters.py:\d+'),
    ('raises', r'IndexError: .* at .*test_chunk_filters.py:\d+'),
    ('none', r'returned NoneType of shape \[\]; return actions \[1 to 8, 7\]'),
    ('no action', r'returned ndarray of shape \[0, 7\]'),
    ('too long', r'returned ndarray of shape \[16, 7\]'),
    ('six columns', r'returned ndarray of shape \[8, 6\]'),
    ('one action', r'returned ndarray of shape \[7\]'),
    ('words', 'returned no numbers'),
    ('not finite', 'returned nan in column 2 of step 0'),
]


@pytest.mark.parametrize(('what', 'words'), FAILURES)
def test_an_answer_that_is_no_chunk_is_one_line_that_names_the_filter(
    what: str, words: str
) -> None:
    """In an episode: an answer without actions would be sent to the robot for ever."""
    factory = chunk_filter_factory({'filter': f'{__name__}:failing', 'what': what}, 'rivals: mine')
    with pytest.raises(UserError, match=f"^rivals: mine: filter='{__name__}:failing' .*{words}"):
        factory()(chunks()[0])


@pytest.mark.parametrize(('what', 'words'), FAILURES)
def test_a_filter_that_fails_is_found_before_any_episode(what: str, words: str) -> None:
    """The trial on a made-up chunk ends as the episode would."""
    with pytest.raises(UserError, match=f'rivals: mine: .*failing.* on a made-up chunk .*{words}'):
        try_chunk_filter({'filter': f'{__name__}:failing', 'what': what}, 'rivals: mine', SPEC)


def test_a_wrong_keyword_is_named_with_the_filter() -> None:
    """One's own function has no settings that could be looked up: it is made once."""
    settings = {'filter': f'{__name__}:halve', 'shar': 0.5}
    with pytest.raises(UserError, match=r"mine: .*halve.*'shar': 0.5.*unexpected keyword"):
        try_chunk_filter(settings, 'rivals: mine', SPEC)


def share_of_norm():
    """Return a filter that divides by what it is given."""
    return lambda actions: actions / np.linalg.norm(actions, axis=0)


@pytest.mark.parametrize(
    'values',
    [
        {'filter': 'low_pass'},
        {'filter': 'temporal_ensemble'},
        {'filter': f'{__name__}:halve', 'share': 0.5},
        {'filter': f'{__name__}:share_of_norm'},
    ],
)
def test_what_works_passes_the_trial(values: dict) -> None:
    """A column of zeros would have refused a filter that divides by a column's size."""
    try_chunk_filter(values, 'rivals: mine', SPEC)


def of_one_action():
    """Return a filter for policies that decide one action at a time."""

    def pass_on(actions):
        (action,) = actions
        return [action]

    return pass_on


def test_the_trial_has_the_chunk_of_the_policy() -> None:
    """OpenVLA decides one action at once, and a filter may hold to that."""
    values = {'filter': f'{__name__}:of_one_action'}
    try_chunk_filter(values, 'rivals: mine', dataclasses.replace(SPEC, chunk=1))
    with pytest.raises(UserError, match='too many values'):
        try_chunk_filter(values, 'rivals: mine', SPEC)


CALLS: list[int] = []


def remembering():
    """Return a filter that remembers in its module."""

    def remember(actions):
        CALLS.append(len(actions))
        return actions

    return remember


def test_the_trial_leaves_the_filters_module_as_it_was() -> None:
    """What a filter remembers beyond an episode is of episodes alone."""
    try_chunk_filter({'filter': f'{__name__}:remembering'}, 'rivals: mine', SPEC)
    assert CALLS == []
