from pathlib import Path

import pytest

import smoothvla_ros
from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.splits import (
    EvaluationSplit,
    Split,
    episode_names,
    evaluation_names,
    init_state_indices,
    require_train,
    scene_seeds,
    split_of,
)


@pytest.mark.parametrize('suite', tasks.SUITES)
def test_the_splits_share_nothing_and_leave_nothing_out(suite):
    """Pins that train and held-out init states and seeds are disjoint and cover all."""
    train, held_out = (init_state_indices(suite, split) for split in Split)
    assert sorted((*train, *held_out)) == list(range(50))
    assert (len(train), len(held_out)) == (40, 10)
    train_seeds, held_out_seeds = (scene_seeds(split) for split in Split)
    assert train_seeds.stop <= held_out_seeds.start


@pytest.mark.parametrize('split', list(Split))
def test_episode_names_are_distinct_of_their_split_and_spread_over_init_states(split):
    """Pins that each init state comes once before any comes twice."""
    states = init_state_indices('libero_spatial', split)
    names = episode_names('libero_spatial', 4, split, 2 * len(states), seed=5)
    assert len(set(names)) == len(names)
    assert len({name.scene_seed for name in names}) == len(names)
    for half in (names[: len(states)], names[len(states) :]):
        assert {name.init_state for name in half} == set(states)
    assert {split_of(name) for name in names} == {split}


def test_episode_names_depend_on_their_arguments_and_nothing_else():
    """Pins determinism, that a longer list begins like a shorter one, and that tasks differ."""
    names = episode_names('libero_goal', 2, Split.TRAIN, 12, seed=0)
    assert names == episode_names('libero_goal', 2, Split.TRAIN, 12, seed=0)
    assert names[:5] == episode_names('libero_goal', 2, Split.TRAIN, 5, seed=0)
    other_seed = episode_names('libero_goal', 2, Split.TRAIN, 12, seed=1)
    other_task = episode_names('libero_goal', 3, Split.TRAIN, 12, seed=0)
    for other in (other_seed, other_task):
        assert [name.scene_seed for name in other] != [name.scene_seed for name in names]


def test_training_refuses_held_out_episodes_and_half_held_out_ones():
    """Pins that neither a held-out init state nor a held-out seed can be trained on."""
    train_state = init_state_indices('libero_goal', Split.TRAIN)[0]
    held_out_state = init_state_indices('libero_goal', Split.HELD_OUT)[0]
    train_seed, held_out_seed = (scene_seeds(split)[0] for split in Split)
    require_train(EpisodeName('libero_goal', 0, train_state, train_seed))
    for state, seed in (
        (held_out_state, held_out_seed),
        (held_out_state, train_seed),
        (train_state, held_out_seed),
    ):
        with pytest.raises(UserError, match=r'held.out'):
            require_train(EpisodeName('libero_goal', 0, state, seed))


def test_an_evaluation_on_all_init_states_has_each_once_and_trains_on_no_held_out_one():
    """Pins the field's 50 trials: all init states, each name of one split and guarded by it."""
    names = evaluation_names('libero_goal', 3, EvaluationSplit.ALL, 120, seed=7)
    assert sorted(name.init_state for name in names[:50]) == list(range(50))
    assert sorted(name.init_state for name in names[50:100]) == list(range(50))
    assert len({name.scene_seed for name in names}) == 120
    assert names[:50] == evaluation_names('libero_goal', 3, EvaluationSplit.ALL, 50, seed=7)
    held_out = init_state_indices('libero_goal', Split.HELD_OUT)
    for name in names:
        assert (split_of(name) is Split.HELD_OUT) == (name.init_state in held_out)
        if name.init_state in held_out:
            with pytest.raises(UserError, match=r'held out'):
                require_train(name)
    for count, seed in ((0, 0), (10_001, 0), (3, -1)):
        with pytest.raises(UserError):
            evaluation_names('libero_goal', 3, EvaluationSplit.ALL, count, seed)


@pytest.mark.parametrize('split', list(Split))
def test_an_evaluation_on_one_split_has_its_episodes(split):
    """Pins that evaluations of one split meet the scenes that they met before."""
    found = evaluation_names('libero_goal', 3, EvaluationSplit(split.value), 12, seed=7)
    assert found == episode_names('libero_goal', 3, split, 12, seed=7)


def test_all_is_no_split_that_can_be_learned_from():
    """Pins that `all` is known to evaluation alone: no name of a split, so no path to training."""
    assert [split.value for split in Split] == ['train', 'held_out']
    with pytest.raises(ValueError, match='all'):
        episode_names('libero_goal', 3, EvaluationSplit.ALL, 12, seed=7)
    package = Path(smoothvla_ros.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob('*.py')
        if 'evaluation_names' in path.read_text()
    }
    assert users == {'simulation/splits.py', 'workflows/evaluation/episodes.py'}


@pytest.mark.parametrize(('state', 'seed'), [(50, 0), (-1, 0), (0, -1), (0, 10**9)])
def test_init_states_and_seeds_of_no_split_are_user_errors(state, seed):
    """Pins that an unknown part of a name is refused instead of being called train."""
    with pytest.raises(UserError, match='choose from'):
        split_of(EpisodeName('libero_goal', 0, state, seed))


@pytest.mark.parametrize(('count', 'seed'), [(0, 0), (-3, 0), (10**6, 0), (3, -1)])
def test_impossible_counts_and_seeds_are_user_errors(count, seed):
    """Pins that zero, negative and too many episodes are refused."""
    with pytest.raises(UserError):
        episode_names('libero_goal', 0, Split.HELD_OUT, count, seed)
