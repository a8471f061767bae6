"""`smoothvla benchmark` on a toy world: the whole path from cells to the page, twice the same."""

from __future__ import annotations

import dataclasses
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from toy_world import ToyPolicy, ToySource, load_toy

from smoothvla_ros import cli
from smoothvla_ros.configuration import from_mapping, load, to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.benchmark.cell_record import (
    CellName,
    read_record,
    read_records,
    write_record,
)
from smoothvla_ros.evaluation.benchmark.matrix import Role
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.workflows.benchmark.cells import benchmark_cells, chosen_cells
from smoothvla_ros.workflows.benchmark.command import write_tables
from smoothvla_ros.workflows.benchmark.config import BenchmarkConfig, default_file
from smoothvla_ros.workflows.benchmark.run import Benchmark

SUITE = 'libero_goal'


class Sources:
    """Opens toy sources, remembers what they were asked for, and can pull the plug."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.opened: list[tuple[bool, bool]] = []
        self.asked: list = []
        self._stop_after = stop_after

    @contextmanager
    def __call__(self, wrap, chunk_filter):
        """Yield a source; how it wraps and filters is only noted."""
        self.opened.append((wrap is not None, chunk_filter is not None))
        yield _Counted(self, self._stop_after)


class _Counted(ToySource):
    def __init__(self, sources: Sources, stop_after: int | None) -> None:
        super().__init__()
        self._sources, self._left = sources, stop_after

    def collect(self, requests):
        for episode in super().collect(requests):
            if self._sources._stop_after == len(self._sources.asked):
                raise KeyboardInterrupt
            self._sources.asked.append(episode.request)
            yield episode


def config_of(folder: Path, **changes) -> BenchmarkConfig:
    """A matrix of four cells that takes seconds."""
    policy = folder / 'start'
    if not policy.exists():
        ToyPolicy().save(policy)
    values = {
        'suites': (SUITE,),
        'rewards': ('binary', 'decoupled'),
        'seeds': (0,),
        'tasks': (0,),
        'policy': str(policy),
        'training': {
            'iterations': 2,
            # Hot enough that some fail: a group that succeeds teaches `binary` nothing.
            'temperature': 0.5,
            'groups': 2,
            'group_size': 4,
            'refill_groups': 0,
            'learning_rate': 1e-2,
            'threads': 1,
            'frozen': (),
        },
        'evaluation_episodes': 3,
        'wrong_instruction_episodes': 2,
        'perturbed_episodes': 1,
        'rivals': {'low_pass': {'filter': 'low_pass', 'cutoff_hz': 2.0}},
        'ablation_suite': SUITE,
        'out': folder / 'runs',
        'results': folder / 'docs' / 'results',
        'device': 'cpu',
    }
    return from_mapping(BenchmarkConfig, values | changes, 'test')


def run(config: BenchmarkConfig, sources: Sources, only: tuple[str, ...] = ()) -> None:
    """Run the matrix on toy sources."""
    Benchmark(config, chosen_cells(benchmark_cells(config), only), sources, load_toy).run()


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def with_results_of_its_own(whole: BenchmarkConfig, folder: Path) -> BenchmarkConfig:
    """A finished matrix whose kept files may be changed."""
    config = dataclasses.replace(whole, results=folder / 'results')
    shutil.copytree(whole.results, config.results)
    return config


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """One uninterrupted matrix with its tables."""
    folder = tmp_path_factory.mktemp('matrix')
    config, sources = config_of(folder), Sources()
    run(config, sources)
    write_tables(config, benchmark_cells(config))
    return config, sources


def test_every_cell_has_every_episode_that_was_planned(finished) -> None:
    """Greedy, sampled, wrongly told and perturbed, held out, and trained on as many rollouts."""
    config, sources = finished
    cells = benchmark_cells(config)
    records = read_records(config.results)
    assert [cell.name.method for cell in cells] == ['sft', 'low_pass', 'binary', 'decoupled']
    for cell in cells:
        assert cell.planned.missing(records[cell.name]) == {}
        assert len(records[cell.name].rows) == sum(cell.planned.parts.values())
    trained = [cell for cell in cells if cell.training is not None]
    assert [cell.rollouts for cell in trained] == [16, 16]
    assert len(records[trained[0].name].training['entropy']) == 2
    perturbed = {row.suite for row in records[trained[0].name].rows} - {SUITE}
    assert perturbed == {f'{SUITE}_{kind}' for kind in ('swap', 'object', 'lan', 'task')}
    shas = {records[cell.name].policy_sha256 for cell in cells}
    assert len(shas) == 3
    # One filter, and a policy that hears the wrong instruction for each cell of a reward or SFT.
    assert sources.opened.count((False, True)) == 1
    assert sources.opened.count((True, False)) == 3


def test_methods_meet_the_same_scenes(finished) -> None:
    """What is compared started from the same states, in every kind of evaluation."""
    config, _ = finished
    scenes = [
        {(row.policy, row.temperature, row.name) for row in record.rows}
        for name, record in read_records(config.results).items()
        if name.method in ('sft', 'binary', 'decoupled')
    ]
    assert scenes[0] == scenes[1] == scenes[2]


def test_a_finished_matrix_asks_for_nothing(finished) -> None:
    """Run again, it opens no source and changes no file."""
    config, _ = finished
    before, sources = files(config.results), Sources()
    run(config, sources)
    assert (sources.opened, sources.asked) == ([], [])
    assert files(config.results) == before


def test_tables_have_the_same_bytes_each_time(finished) -> None:
    """The page and the figures follow from the episodes alone."""
    config, _ = finished
    cells = benchmark_cells(config)
    first = [path.read_bytes() for path in write_tables(config, cells)]
    assert [path.read_bytes() for path in write_tables(config, cells[:])] == first


def test_an_interrupted_matrix_goes_on_to_the_same_episodes(finished, tmp_path) -> None:
    """Stopped in a training and in an evaluation, it repeats no evaluated episode."""
    whole, _ = finished
    config = config_of(tmp_path, policy=whole.policy)
    asked = []
    for stop_after in (3, 30, 20):
        sources = Sources(stop_after)
        with pytest.raises(KeyboardInterrupt):
            run(config, sources)
        asked += sources.asked
    last = Sources()
    run(config, last)
    evaluated = [
        request
        for request in [*asked, *last.asked]
        if request.episode_id.startswith(('policy-', 'wrong_instruction-'))
    ]
    planned = sum(sum(cell.planned.parts.values()) for cell in benchmark_cells(config))
    assert len(evaluated) == planned
    found, expected = read_records(config.results), read_records(whole.results)
    for name, record in expected.items():
        assert repr(found[name].rows) == repr(record.rows)
        assert found[name].policy_sha256 == record.policy_sha256


def test_another_machine_goes_on_from_the_kept_episodes(finished, tmp_path) -> None:
    """With the cells' files alone, a larger matrix adds the new episodes and keeps the old."""
    whole, _ = finished
    config = config_of(tmp_path, policy=whole.policy, evaluation_episodes=4)
    only = (f'{SUITE}/sft',)
    for name, content in files(whole.results).items():
        path = config.results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    sources = Sources()
    run(config, sources, only)
    assert len(sources.asked) == 2
    names = {request.episode_id for request in sources.asked}
    assert names == {'policy-t0-task00-0003', 'policy-t0.5-task00-0003'}


def test_a_cell_of_other_settings_or_weights_is_refused(finished, tmp_path) -> None:
    """Before anything runs: nothing is mixed, nothing overwritten."""
    whole, _ = finished
    before = files(whole.results)
    with pytest.raises(UserError, match=r'training\.group_size=4, not 8'):
        run(
            dataclasses.replace(whole, training={**whole.training, 'group_size': 8}),
            Sources(),
        )
    for only in ('*/sft/*', '*/low_pass/*', '*/binary/*'):
        with pytest.raises(UserError, match=r' tasks=\[0\], not \[1\]'):
            run(dataclasses.replace(whole, tasks=(1,)), Sources(), (only,))
    other = tmp_path / 'other'
    ToyPolicy(seed=3).save(other)
    with pytest.raises(UserError, match='start_policy_sha256'):
        run(dataclasses.replace(whole, policy=str(other)), Sources())
    assert files(whole.results) == before


def test_a_cell_from_before_its_tasks_were_kept_is_that_of_its_training(finished, tmp_path) -> None:
    """Or of all tasks, as the cells without training of the shipped results."""
    whole, _ = finished
    config = with_results_of_its_own(whole, tmp_path)
    for method in ('sft', 'decoupled'):
        record = read_record(CellName(SUITE, method, 0).path(config.results))
        settings = {name: value for name, value in record.settings.items() if name != 'tasks'}
        write_record(config.results, dataclasses.replace(record, settings=settings))
    run(config, Sources(), ('*/decoupled/*',))
    with pytest.raises(UserError, match=r' tasks=\[\], not \[0\]'):
        run(config, Sources(), ('*/sft/*',))


def test_what_holds_the_course_decides_nothing_of_another_reward(finished, tmp_path) -> None:
    """The anchor of `decoupled` may change without the measured `binary` being lost."""
    whole, _ = finished
    config = with_results_of_its_own(whole, tmp_path)
    path = CellName(SUITE, 'binary', 0).path(config.results)
    record = read_record(path)
    training = record.settings['training']
    assert not any(name.startswith('course_') for name in training)
    older = {**record.settings, 'training': {**training, 'course_coefficient': 15.0}}
    write_record(config.results, dataclasses.replace(record, settings=older))
    changed = dataclasses.replace(config, training={**whole.training, 'course_gripper_weight': 2.0})
    sources = Sources()
    run(changed, sources, ('*/binary/*',))
    assert not sources.asked
    with pytest.raises(UserError, match=r'course_gripper_weight=1\.0, not 2\.0'):
        run(changed, Sources(), ('*/decoupled/*',))


def test_a_cell_made_with_a_setting_that_is_gone_is_refused(finished, tmp_path) -> None:
    """What a setting did that no longer exists is in the figures, unless it was off."""
    whole, _ = finished
    config = with_results_of_its_own(whole, tmp_path)
    path = CellName(SUITE, 'decoupled', 0).path(config.results)
    record = read_record(path)
    for value in (0.0, 15.0):
        training = {**record.settings['training'], 'gone': value}
        settings = {**record.settings, 'training': training}
        write_record(config.results, dataclasses.replace(record, settings=settings))
        if not value:
            run(config, Sources())
    with pytest.raises(UserError, match=r'training\.gone=15\.0, a setting that is no more'):
        run(config, Sources())


def test_missing_cells_are_not_yet_measured_and_never_zero(finished, tmp_path) -> None:
    """Without a cell, its rows and every bar that rests on it are open; with none, all are."""
    whole, _ = finished
    for kept in ('sft_seed0', 'nothing'):
        config = config_of(tmp_path / kept, policy=whole.policy)
        for name, content in files(whole.results).items():
            if kept in name:
                path = config.results / name
                path.parent.mkdir(parents=True)
                path.write_bytes(content)
        page, data, *pictures = write_tables(config, benchmark_cells(config))
        assert [path.name for path in pictures] == (['results.png'] if 'sft' in kept else [])
        assert ('](results.png)' in page.read_text()) == bool(pictures)
        content = json.loads(data.read_text())
        assert {bar['verdict'] for bar in content['bars']} == {'not yet measured'}
        assert content['decoupled_vs_binary']['jerk_change_percent'] is None
        rows = [row for row in content['rows'] if row['method'] == 'decoupled']
        assert rows
        assert all(row['figures'] is None for row in rows)
        assert 'not yet measured' in page.read_text()


def test_the_shipped_matrix_is_what_the_issue_names() -> None:
    """libero_spatial first, nine runs a suite with equal rollouts, and every ablation valid."""
    config = load(BenchmarkConfig, default_file())
    cells = benchmark_cells(config)
    assert cells[0].name.suite == 'libero_spatial'
    assert {cell.training.policy for cell in cells if cell.training is not None} == {'default'}
    for suite in config.suites:
        trained = [c for c in cells if c.name.suite == suite and c.training is not None]
        nine = [cell for cell in trained if cell.planned.role is Role.REWARD]
        assert len(nine) == 9
        assert {cell.training.refill_groups for cell in trained} == {0}
        assert len({cell.rollouts for cell in trained}) == 1
    ablations = [cell for cell in cells if cell.planned.role is Role.ABLATION]
    assert len(config.ablations) > 5
    assert {cell.name.method for cell in ablations} == set(config.ablations)
    elsewhere = [cell for cell in ablations if cell.name.suite != config.ablation_suite]
    assert {cell.name.method for cell in elsewhere} == {'decoupled_free_gripper'}
    pooled = np.sum([sum(cell.planned.parts.values()) for cell in cells])
    assert pooled < 45_000


def test_patterns_choose_cells(tmp_path) -> None:
    """A name, the beginning of one, a pattern; one that names nothing is refused."""
    cells = benchmark_cells(load(BenchmarkConfig, default_file()))
    assert len(chosen_cells(cells, ['libero_spatial/decoupled/seed1'])) == 1
    assert len(chosen_cells(cells, ['libero_object/binary'])) == 3
    assert len(chosen_cells(cells, ['libero_goal', '*/sft/seed0'])) == 3 * 7 + 3 + 3
    assert chosen_cells(cells, []) == cells
    with pytest.raises(UserError, match='libero_moon'):
        chosen_cells(cells, ['libero_moon'])


@pytest.mark.parametrize(
    ('key', 'value', 'counts'),
    [
        ('suite', 'libero_10', 'suites'),
        ('tasks', [1], 'tasks'),
        ('policy', 'elsewhere', 'policy'),
        ('seed', 3, 'seeds'),
        ('reward', 'smooth', 'rewards'),
        ('evaluation_episodes', 20, 'evaluation_episodes'),
        ('evaluation_seed', 2000, 'evaluation_seed'),
        ('video', True, 'no video'),
        ('robots', 63, 'robots'),
        ('render_profile', 'stock', 'render_profile'),
        ('device', 'cuda', 'device'),
        ('output', 'elsewhere', 'out'),
    ],
)
def test_a_setting_of_training_that_the_matrix_decides_is_refused(
    tmp_path, key, value, counts
) -> None:
    """It had no effect, and the one that has is named."""
    training = {'iterations': 2, 'group_size': 4, key: value}
    with pytest.raises(UserError, match=rf'benchmark: training: {key}=.*{counts}.*leave it out'):
        benchmark_cells(config_of(tmp_path, training=training))


def test_a_setting_of_an_ablation_that_the_matrix_decides_is_refused(tmp_path) -> None:
    """Tasks are those of the whole matrix; its reward is its own matter."""
    ablation = {'reward': 'smooth'}
    benchmark_cells(config_of(tmp_path, ablations={'mine': ablation}))
    for values, remedy in (
        ({'tasks': [1]}, r'tasks=\[1\] .*leave it out'),
        ({'suite': 'libero_10'}, r"suite='libero_10' .*give suites: \[libero_10\]"),
        ({'seed': 3}, r'seed=3 .*give seeds: \[3\]'),
    ):
        with pytest.raises(UserError, match=f'benchmark: ablations: mine: {remedy}'):
            benchmark_cells(config_of(tmp_path, ablations={'mine': ablation | values}))


def test_an_ablation_may_have_suites_and_seeds_of_its_own(tmp_path) -> None:
    """Others beside it have those of the matrix."""
    ablations = {
        'elsewhere': {'reward': 'smooth', 'suites': ['libero_10', SUITE], 'seeds': [3]},
        'here': {'reward': 'smooth'},
    }
    cells = benchmark_cells(config_of(tmp_path, ablations=ablations))
    elsewhere, other, here = cells[-3:]
    assert str(elsewhere.name) == 'libero_10/elsewhere/seed3'
    assert str(other.name) == f'{SUITE}/elsewhere/seed3'
    assert (elsewhere.training.suite, elsewhere.training.seed) == ('libero_10', 3)
    assert elsewhere.evaluation_seed == here.evaluation_seed + 3
    assert str(here.name) == f'{SUITE}/here/seed0'


@pytest.mark.parametrize(
    ('values', 'named'),
    [
        ({'suites': ['libero_11']}, 'ablations: mine: .*libero_11'),
        ({'suites': 'libero_10'}, "mine: suites='libero_10'"),
        ({'suites': []}, r'mine: suites=\[\]'),
        ({'seeds': 3}, 'mine: seeds=3'),
        ({'seeds': [1, 1]}, r'mine: seeds=\[1, 1\]'),
        ({'seeds': ['1']}, 'mine: seeds='),
    ],
)
def test_an_ablation_of_no_suite_or_seed_is_refused(tmp_path, values, named) -> None:
    """In one line, before anything is trained."""
    with pytest.raises(UserError, match=named) as error:
        config_of(tmp_path, ablations={'mine': {'reward': 'smooth'} | values})
    assert '\n' not in str(error.value)


def test_every_setting_that_the_matrix_decides_has_its_line(tmp_path) -> None:
    """What a cell's training has, whatever `training` says, can be said there nowhere."""
    config = config_of(tmp_path)
    matrix = to_mapping(config)
    cell = next(cell for cell in benchmark_cells(config) if cell.training is not None)
    named = {'iterations', 'temperature', 'groups', 'group_size', 'refill_groups'}
    named |= {'learning_rate', 'threads', 'frozen'}
    defaults = to_mapping(TrainConfig())
    for name, value in to_mapping(cell.training).items():
        if name not in named and defaults[name] not in (value, matrix.get(name)):
            with pytest.raises(UserError, match=f'training: {name}='):
                benchmark_cells(config_of(tmp_path, training={name: defaults[name]}))


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('video', False),
        ('suite', SUITE),
        ('seed', 0),
        ('tasks', [0]),
        ('evaluation_episodes', 0),
        ('evaluation_episodes', 3),
        ('evaluation_seed', 1000),
        ('device', 'auto'),
    ],
)
def test_a_setting_that_the_matrix_decides_alike_is_let_pass(tmp_path, key, value) -> None:
    """What a cell does anyway needs no other file of settings, for all cells and an ablation."""
    training = {'iterations': 2, 'group_size': 4, key: value}
    ablations = {'mine': {'reward': 'smooth', key: value}}
    config = config_of(tmp_path, device='auto', training=training, ablations=ablations)
    assert len(benchmark_cells(config)) == 5


def test_a_reward_of_training_is_that_of_ablations_without_one(tmp_path) -> None:
    """Cells of `rewards` have their own; where no ablation takes it, it has no effect."""
    training = {'iterations': 2, 'group_size': 4, 'reward': 'smooth'}
    config = config_of(tmp_path, training=training, ablations={'mine': {'group_size': 2}})
    rewards = [cell.training.reward for cell in benchmark_cells(config) if cell.training]
    assert rewards == ['binary', 'decoupled', 'smooth']
    ablations = {'mine': {'reward': 'binary'}}
    with pytest.raises(UserError, match='training: reward='):
        benchmark_cells(config_of(tmp_path, training=training, ablations=ablations))


def test_a_policy_whose_actions_libero_does_not_play_is_refused(tmp_path) -> None:
    """Joints in rad, played as motions of the tool, would be hours of failures."""
    config = config_of(tmp_path)
    with pytest.raises(UserError, match=r"action space 'toy'; LIBERO takes 7 of"):
        Benchmark(config, benchmark_cells(config), load=load_toy)


def without_actions():
    """Return a filter of one's own with which an episode would never end."""
    return lambda actions: actions[:0]


def test_a_filter_of_ones_own_is_tried_before_any_cell_is_run(tmp_path) -> None:
    """Its own cells come after those of the starting policy, and where they are not run, not."""
    rivals = {'mine': {'filter': f'{__name__}:without_actions'}}
    config, sources = config_of(tmp_path, rivals=rivals), Sources()
    cells = benchmark_cells(config)
    assert len(Benchmark(config, cells, sources, load_toy).remaining()) == len(cells)
    with pytest.raises(UserError, match=r'benchmark: rivals: mine: .*without_actions.*\[0, 7\]'):
        run(config, sources)
    assert sources.opened == []
    run(config, sources, only=(f'{SUITE}/sft',))
    assert sources.opened


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--suites', 'libero_moon'], 'libero_moon'),
        (['--seeds', '1,1'], 'seeds=[1, 1]'),
        (['--rewards', 'fast'], 'fast'),
        (['--rewards', 'sft'], 'sft'),
        (['--policy', 'nowhere'], 'nowhere'),
        (['--only', 'nothing'], 'nothing'),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(tmp_path, capsys, arguments, named) -> None:
    """Before any worker is started, and without a file left behind."""
    places = ['--out', str(tmp_path / 'a'), '--results', str(tmp_path / 'b')]
    assert cli.main(['benchmark', *places, *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert named in error
    assert error.count('\n') == 0
    assert list(tmp_path.iterdir()) == []
