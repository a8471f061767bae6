"""What was begun with a suite of one's own is not gone on with after its files changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_suite import SCENE, look_in, pretend_prepared, write_suite

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.run_folder import RunFolder
from smoothvla_ros.workflows import demos
from smoothvla_ros.workflows.benchmark.cells import benchmark_cells
from smoothvla_ros.workflows.benchmark.config import BenchmarkConfig
from smoothvla_ros.workflows.demos import DemosConfig
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.contestants import Contestant
from smoothvla_ros.workflows.evaluation.output_folder import claim


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of two tasks that looks prepared."""
    folder = write_suite(tmp_path / 'suites' / 'kitchen', {'first': SCENE, 'second': SCENE})
    pretend_prepared(folder, ['first', 'second'])
    look_in(folder.parent, monkeypatch)
    return folder


def change_second_task(folder: Path) -> None:
    pretend_prepared(folder, ['first', 'second'], last=2.0)


def test_an_evaluation(kitchen, tmp_path):
    """Two states of a suite in one table would be one figure of neither."""
    contestants = [Contestant('after', Path('policy'), 'digest', None, None)]

    def begin(*indices: int) -> None:
        claim(
            EvaluationConfig(suite='kitchen', tasks=indices, out=tmp_path / f'out{indices}'),
            contestants,
        )

    for indices in ((0, 1), (0,)):
        begin(*indices)
        begin(*indices)
    change_second_task(kitchen)
    with pytest.raises(UserError, match='holds an evaluation with another state of the suite'):
        begin(0, 1)
    begin(0)


def test_a_benchmark(kitchen):
    """A table whose rows were measured in two states of a suite compares nothing."""

    def settings(suite: str) -> dict[str, object]:
        config = BenchmarkConfig(suites=(suite,))
        return benchmark_cells(config)[0].settings(config, 'digest')

    before, of_liberos = settings('kitchen'), settings('libero_goal')
    assert before == settings('kitchen')
    change_second_task(kitchen)
    assert before != settings('kitchen')
    assert of_liberos.keys() < before.keys(), "LIBERO's cells stay as they were written"


def test_a_training(kitchen, tmp_path):
    """A policy half trained on one scene and half on another, and a report of both."""
    config = TrainConfig(suite='kitchen', tasks=(0, 1), output=tmp_path / 'run')
    for _ in range(2):
        with RunFolder(config, ()) as folder:
            folder.claim()
    change_second_task(kitchen)
    with pytest.raises(UserError, match="holds a run with suite 'kitchen' as it was before its"):
        RunFolder(config, ())


def test_demonstrations(kitchen, tmp_path):
    """Demonstrations of tasks that stayed are added to, those of others are not mixed."""
    both, first = (DemosConfig(suite='kitchen', tasks=tasks) for tasks in ((0, 1), (0,)))
    for config in (both, first, both):
        demos._claim(tmp_path, config)
    demos._claim(tmp_path, DemosConfig(suite='libero_goal', tasks=(0,)))
    change_second_task(kitchen)
    demos._claim(tmp_path, first)
    with pytest.raises(UserError, match='demonstrations of task kitchen/1 as it was before its'):
        demos._claim(tmp_path, both)
