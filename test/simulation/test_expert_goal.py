"""What the expert reads from a task's BDDL file."""

import pytest

from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.expert.goal import Goal, read_problem


@pytest.mark.parametrize('suite', tasks.SUITES)
def test_goals_name_what_stands_in_the_scene(suite):
    """Every goal of a task moves something of its scene, and knows whose region it is moved to."""
    for task in tasks.tasks(suite)[::5]:
        problem = read_problem(task.bddl_file)
        known = problem.objects + problem.fixtures
        assert problem.goals
        for goal in problem.goals:
            assert goal.subject in known or problem.owner(goal.subject) in known
            if goal.predicate == 'in':
                assert problem.owner(goal.target) in known


def test_goals_are_read_in_the_order_of_the_file():
    """The predicate, its subject and its target are those of the BDDL file."""
    problem = read_problem(tasks.task('libero_10', 2).bddl_file)
    assert problem.goals == (
        Goal('turnon', 'flat_stove_1'),
        Goal('on', 'moka_pot_1', 'flat_stove_1_cook_region'),
    )
    assert problem.categories['moka_pot_1'] == 'moka_pot'
    assert problem.goals[0].expression == ('turnon', 'flat_stove_1')
    assert problem.goals[1].expression == ('on', 'moka_pot_1', 'flat_stove_1_cook_region')


def test_regions_of_the_table_are_nobodys():
    """A region of the arena has no owner; a region of an object has the longest name that fits."""
    problem = read_problem(tasks.task('libero_goal', 5).bddl_file)
    assert problem.owner('main_table_stove_front_region') == ''
    assert problem.owner('wooden_cabinet_1_top_region') == 'wooden_cabinet_1'
