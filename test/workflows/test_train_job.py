"""The whole job on a toy policy: before, iterations, after, files, refusals, and a real kill."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from toy_world import ToyPolicy, ToySource, load_toy

from smoothvla_ros import cli
from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.report.run_report import FILM
from smoothvla_ros.training.checkpoints import CheckpointStore
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.workflows.training.job import print_result, train

ROOT = Path(__file__).parents[2]
TIMING = ('rollout_seconds', 'update_seconds', 'episodes_per_minute')


def config_of(folder: Path, **settings) -> TrainConfig:
    """A job of seconds: one task, three iterations, four held-out episodes."""
    policy = folder / 'start'
    if not policy.exists():
        ToyPolicy().save(policy)
    values = {
        'iterations': 3,
        'groups': 2,
        'group_size': 4,
        'tasks': (0,),
        'evaluation_episodes': 4,
        'learning_rate': 1e-2,
        'threads': 1,
        'frozen': (),
        'video': False,
        'policy': str(policy),
        'output': folder / 'out',
    }
    return TrainConfig(**{**values, **settings})


def outcome(folder: Path) -> dict:
    """Everything that a run computed: weights, figures, reference, episodes; no times."""
    store = CheckpointStore(folder / 'checkpoints', keep=2)
    state = store.latest().read_state()
    history = [{k: v for k, v in f.items() if k not in TIMING} for f in state['history']]
    weights = load_file(folder / 'policy' / 'model.safetensors')
    return {
        'weights': {name: value.tobytes() for name, value in weights.items()},
        'history': repr(history),
        'reference': state['jerk_reference'],
        'episodes': (folder / 'episodes.csv').read_text(),
    }


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """One uninterrupted run."""
    folder = tmp_path_factory.mktemp('finished')
    config = config_of(folder)
    source = ToySource()
    summary = train(config, source, load=load_toy)
    return config, summary, source


def test_a_job_leaves_everything_the_issue_names(finished, capsys):
    """Summary with greedy and sampled pairs, episodes, metrics, report and policy."""
    config, summary, _ = finished
    for name in ('summary.json', 'episodes.csv', 'metrics.csv', 'report.html', 'policy'):
        assert (config.output / name).exists(), name
    assert any((config.output / 'tensorboard').iterdir())
    assert json.loads((config.output / 'summary.json').read_text()) == summary
    assert summary['before']['success']['episodes'] == 4
    assert summary['paired'] is not None
    assert summary['sampled']['paired']['common'] >= 1
    assert (summary['reward'], summary['iterations'], summary['seed']) == ('decoupled', 3, 0)
    assert len((config.output / 'metrics.csv').read_text().splitlines()) == 1 + 3
    print_result(summary, config)
    assert 'before' in capsys.readouterr().out


@pytest.mark.parametrize('name', ['metrics.csv', 'task_metrics.csv', 'episodes.csv'])
def test_every_column_is_explained(measured, name):
    """docs/outputs.md says of each what it is."""
    config, _ = measured
    columns = (config.output / name).read_text().splitlines()[0].split(',')
    page = (ROOT / 'docs' / 'outputs.md').read_text()
    assert [column for column in columns if f'`{column}`' not in page] == []


def test_evaluation_is_held_out_and_greedy(finished):
    """No evaluated scene is a trained one."""
    from smoothvla_ros.simulation.splits import Split, split_of

    _, _, source = finished
    splits = {(r.temperature == 0.0, split_of(r.name)) for r in source.collected}
    assert splits == {(True, Split.HELD_OUT), (False, Split.TRAIN)}


def test_a_job_without_evaluation_learns_the_same_weights(finished, tmp_path):
    """No held-out episode is asked for, and the rest of the run does not notice."""
    config, _, _ = finished
    source = ToySource()
    here = config_of(tmp_path, policy=config.policy, evaluation_episodes=0)
    summary = train(here, source, load=load_toy)
    assert {request.temperature for request in source.collected} == {config.temperature}
    assert outcome(here.output)['weights'] == outcome(config.output)['weights']
    assert summary['paired'] is None
    assert summary['sampled']['paired'] is not None
    assert (here.output / 'report.html').exists()


@pytest.fixture(scope='module')
def measured(finished, tmp_path_factory):
    """The same run with greedy episodes after every iteration."""
    settings = {'policy': finished[0].policy, 'evaluate_every': 1, 'train_episodes': 3}
    config = config_of(tmp_path_factory.mktemp('measured'), **settings)
    source = ToySource()
    train(config, source, load=load_toy)
    return config, source


def test_a_measured_training_learns_the_same_weights(finished, measured):
    """Bit for bit, and plays the same rollouts and the same evaluations before and after."""
    config, source = measured
    plain, here = outcome(finished[0].output), outcome(config.output)
    assert here['weights'] == plain['weights']
    assert here['episodes'] == plain['episodes']
    others = [r for r in source.collected if not r.episode_id.startswith('greedy-')]
    assert others == finished[2].collected


def test_between_iterations_no_held_out_scene_is_played(measured):
    """Greedy episodes of the policy of each iteration, on scenes that may be learned from; those
    before and after have the held-out ones to themselves."""
    from smoothvla_ros.simulation.splits import Split, split_of

    config, source = measured
    greedy = [r for r in source.collected if r.temperature == 0.0]
    between = [r for r in greedy if r.episode_id.startswith('greedy-')]
    assert [r.policy_version for r in between] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {split_of(r.name) for r in between} == {Split.TRAIN}
    assert len({r.name for r in between}) == config.train_episodes
    assert {split_of(r.name) for r in greedy if r not in between} == {Split.HELD_OUT}


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """Rows of a table of metrics, without what is time."""
    with (folder / name).open() as file:
        return [{k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)]


def test_each_task_of_each_iteration_has_a_row_and_curves(measured):
    """Of one task they are the iteration's; TensorBoard shows them side by side."""
    config, _ = measured
    rows, of_tasks = (table(config.output, name) for name in ('metrics.csv', 'task_metrics.csv'))
    assert [row['task'] for row in of_tasks] == ['0', '0', '0']
    for name in ('iteration', 'episodes', 'success', 'jerk', 'greedy_success', 'greedy_jerk'):
        assert [row[name] for row in of_tasks] == [row[name] for row in rows]
    assert all(0.0 <= float(row['greedy_success']) <= 1.0 for row in rows)
    (events,) = (config.output / 'tensorboard').iterdir()
    assert b'greedy_success/task_0' in events.read_bytes()


@pytest.mark.parametrize('sampled', [False, True])
def test_a_measured_run_goes_on_to_the_same_figures(finished, measured, tmp_path, sampled):
    """Stopped while it was measured, and in the rollouts that followed."""

    class Stops(ToySource):
        def collect(self, requests):
            if self.version == 2 and (requests[0].temperature > 0.0) is sampled:
                raise Lost
            yield from super().collect(requests)

    settings = {'policy': finished[0].policy, 'evaluate_every': 1, 'train_episodes': 3}
    config = config_of(tmp_path, **settings)
    with pytest.raises(Lost):
        train(config, Stops(), load=load_toy)
    train(config, ToySource(), load=load_toy)
    assert outcome(config.output) == outcome(measured[0].output)
    for name in ('metrics.csv', 'task_metrics.csv'):
        assert table(config.output, name) == table(measured[0].output, name)


def test_a_finished_job_is_not_run_again(finished, caplog):
    """The second call says so, returns the same summary and asks for no episode."""
    config, summary, _ = finished
    again = ToySource()
    assert train(config, again, load=load_toy) == summary
    assert again.collected == []
    assert f'{config.output} holds this very run, finished' in caplog.text


@pytest.mark.parametrize(
    ('settings', 'named'),
    [({'seed': 7}, 'seed=0, not 7'), ({'resume': False}, 'results of a run')],
)
def test_another_runs_results_are_not_overwritten(finished, settings, named):
    """Other settings, or resume=false: one line, and not a byte changes."""
    config, _, _ = finished
    before = outcome(config.output)
    with pytest.raises(UserError, match=named):
        train(config_of(config.output.parent, **settings), ToySource(), load=load_toy)
    assert outcome(config.output) == before


def test_a_run_from_before_a_setting_existed_goes_on(tmp_path):
    """With what was in effect then, a rate that stays; any other value is refused."""
    config = config_of(tmp_path, iterations=2, cool_down_iterations=0)
    train(config, ToySource(), load=load_toy)
    edit_settings(config, cool_down_iterations=None)
    train(config, ToySource(), load=load_toy)
    with pytest.raises(UserError, match='cool_down_iterations=0, not -1;'):
        train(config_of(tmp_path, iterations=2), ToySource(), load=load_toy)


def edit_settings(config, **values):
    """What run.json says a run was begun with; None takes a setting out."""
    record = config.output / 'run.json'
    content = json.loads(record.read_text())
    settings = {**content['config'], **values}
    content['config'] = {name: value for name, value in settings.items() if value is not None}
    record.write_text(json.dumps(content))


@pytest.mark.parametrize('settings', [{'reward': 'binary'}, {'course_coefficient': 0.0}])
def test_what_decides_nothing_keeps_no_run_from_going_on(tmp_path, settings):
    """A run without the anchor was refused for the gripper's weight in an anchor it never had."""
    config = config_of(tmp_path, iterations=2, **settings)
    train(config, ToySource(), load=load_toy)
    edit_settings(config, course_gripper_weight=None)
    train(config, ToySource(), load=load_toy)
    if 'reward' in settings:
        edit_settings(config, course_coefficient=40.0)
        train(config, ToySource(), load=load_toy)
    with pytest.raises(UserError, match='holds a run with'):
        train(config_of(tmp_path, iterations=2), ToySource(), load=load_toy)


def test_a_run_with_a_setting_that_is_gone_is_not_gone_on_without_it(tmp_path):
    """Unless it was off: what came of it would be of two kinds."""
    config = config_of(tmp_path, iterations=2)
    train(config, ToySource(), load=load_toy)
    edit_settings(config, gone=False, course_gain=0.0)
    train(config, ToySource(), load=load_toy)
    edit_settings(config, gone=1.4)
    with pytest.raises(UserError, match=r'gone=1\.4, a setting that is no more; choose another'):
        train(config, ToySource(), load=load_toy)


def test_files_of_something_else_are_not_overwritten(tmp_path):
    """A folder with a summary.json but no run of ours is refused."""
    config = config_of(tmp_path)
    config.output.mkdir()
    (config.output / 'summary.json').write_text('mine')
    with pytest.raises(UserError, match=r'summary\.json of something else'):
        train(config, ToySource(), load=load_toy)
    assert [path.name for path in config.output.iterdir()] == ['summary.json']


@pytest.mark.parametrize('settings', [{'policy': '/nowhere'}, {'frozen': ('head',)}])
def test_a_run_that_cannot_begin_keeps_nobody_out(tmp_path, settings):
    """After a policy or a part of it that was misspelt, the corrected line runs."""
    with pytest.raises((UserError, OSError), match=r'nowhere|names no parameter'):
        train(config_of(tmp_path, **settings), ToySource(), load=load_toy)
    assert train(config_of(tmp_path, iterations=1), ToySource(), load=load_toy)['iterations'] == 1


def test_a_policy_without_the_part_that_the_default_freezes_is_trained(finished, tmp_path):
    """As one that freezes nothing, also when the run stops and goes on; a part given is refused."""
    settings = {'policy': finished[0].policy, 'frozen': TrainConfig().frozen}
    config = config_of(tmp_path, **settings)
    with pytest.raises(Lost):
        train(config, LosesItsWay(), load=load_toy)
    record = json.loads((config.output / 'run.json').read_text())
    assert record == {'config': to_mapping(config), 'finished': False}
    assert record['config']['frozen'] == ['auto']
    train(config, ToySource(), load=load_toy)
    assert outcome(config.output) == outcome(finished[0].output)
    given = config_of(tmp_path, output=tmp_path / 'given', frozen=('cameras',))
    with pytest.raises(UserError, match="frozen='cameras' names no parameter; choose from 0, 2"):
        train(given, ToySource(), load=load_toy)


def test_a_run_goes_on_in_less_memory(finished, tmp_path):
    """What decides only memory, speed and what is kept may be another one; weights differ in their
    last bits alone."""
    settings = {'policy': finished[0].policy}
    with pytest.raises(Lost):
        train(config_of(tmp_path, **settings, video=True), LosesItsWay(), load=load_toy)
    less = {'micro_batch': 3, 'micro_tokens': 400, 'attempts': 5, 'threads': 2}
    config = config_of(tmp_path, **settings, **less)
    train(config, ToySource(), load=load_toy)
    record = json.loads((config.output / 'run.json').read_text())
    assert record == {'config': to_mapping(config), 'finished': True}
    found, expected = (
        load_file(folder / 'policy' / 'model.safetensors')
        for folder in (config.output, finished[0].output)
    )
    for name, value in expected.items():
        assert abs(found[name] - value).max() < 1e-4


def test_a_run_that_goes_on_for_longer_is_one_that_was_begun_so(tmp_path):
    """Without a cool-down, bit for bit; asked for fewer iterations it is refused from then on."""
    settings = {'cool_down_iterations': 0, 'policy': str(tmp_path / 'start')}
    long = config_of(tmp_path, **settings, iterations=4, output=tmp_path / 'long')
    train(long, ToySource(), load=load_toy)
    with pytest.raises(Lost):
        train(config_of(tmp_path, **settings), LosesItsWay(), load=load_toy)
    longer = config_of(tmp_path, **settings, iterations=4)
    with pytest.raises(Lost):
        train(longer, LosesItsWay(), load=load_toy)
    with pytest.raises(UserError, match='iterations=4, not 3; choose'):
        train(config_of(tmp_path, **settings), ToySource(), load=load_toy)
    train(longer, ToySource(), load=load_toy)
    assert outcome(longer.output) == outcome(long.output)


def test_a_finished_run_goes_on_for_longer(tmp_path):
    """Its former end is no part of the report any more, whatever was kept of it."""
    settings = {'cool_down_iterations': 0, 'iterations': 2}
    train(config_of(tmp_path, **settings), ToySource(), load=load_toy)
    config = config_of(tmp_path, **{**settings, 'iterations': 3})
    (config.output / FILM).write_text('of the former end')
    source = ToySource()
    summary = train(config, source, load=load_toy)
    assert summary['iterations'] == 3
    assert not (config.output / FILM).exists()
    ends = [r.episode_id for r in source.collected if r.policy_version in (2, 3)]
    kept = [path.stem for path in (config.output / 'trajectories' / 'after').iterdir()]
    assert sorted(kept) == sorted(ends)
    assert (config.output / 'episodes.csv').read_text().count('\nafter,') == len(ends)


def test_a_run_that_cools_down_cannot_become_longer(finished):
    """Its rate would have been another one: the line says which setting makes it so."""
    with pytest.raises(
        UserError, match=r'iterations=3, not 4, and cool_down_iterations=-1: .* to fall later'
    ):
        train(config_of(finished[0].output.parent, iterations=4), ToySource(), load=load_toy)


class Lost(Exception):
    """Ends a run in the middle."""


class LosesItsWay(ToySource):
    """Plays until two updates were made."""

    def collect(self, requests):
        """Raise at the first episode of the third iteration."""
        if self.version == 2:
            raise Lost
        yield from super().collect(requests)


def test_a_folder_in_use_is_refused(tmp_path):
    """Two writers would mix their episodes."""
    from smoothvla_ros.training.run_folder import RunFolder

    config = config_of(tmp_path)
    with RunFolder(config, ()), pytest.raises(UserError, match='in use'):
        train(config, ToySource(), load=load_toy)


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    """A file in the way, and a file system that takes no folders."""
    (tmp_path / 'file').write_text('')
    for output in (tmp_path / 'file' / 'below', Path('/proc/smoothvla')):
        with pytest.raises(UserError, match=f'output={output}'):
            train(config_of(tmp_path, output=output), ToySource(), load=load_toy)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--suite', 'libero_spatal'], 'libero_spatal'),
        (['--tasks', '0,10'], 'task 10'),
        (['--reward', 'fast'], 'fast'),
        (['--iterations', '-1'], 'iterations=-1'),
        (['--group-size', '0'], 'group_size=0'),
        (['--evaluation-episodes', '-1'], 'evaluation_episodes=-1'),
        (['--evaluation-episodes', '0', '--iterations', '0'], 'nothing to do'),
        (['--groups', str(10**9)], 'groups=1000000000 is too large'),
        (['--seed', str(2**63)], 'seed=9223372036854775808 is too large'),
        (['--learning-rate', 'nan'], 'learning_rate=nan'),
        (['--tasks', '-1'], 'task -1'),
        (['--device', 'nonsense'], "device='nonsense' cannot be used here"),
        (['--policy', 'nowhere'], 'nowhere'),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(tmp_path, capsys, arguments, named):
    """Through the command line, before any worker is started; the output folder stays absent."""
    output = tmp_path / 'out'
    assert cli.main(['train', '--output', str(output), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert named in error
    assert error.count('\n') == 0
    assert not output.exists()


KILLED = """
import sys
from pathlib import Path
from test_train_job import config_of
from toy_world import ToySource, load_toy
from smoothvla_ros.workflows.training.job import train
config = config_of(Path(sys.argv[1]), policy=sys.argv[2])
train(config, ToySource(kill_at=sys.argv[3]), load=load_toy)
"""


def test_a_killed_run_goes_on_to_the_same_numbers(finished, tmp_path):
    """kill -9 in the first iteration, in the last and in the second evaluation: weights, figures,
    reference and episodes are those of the run that was not killed."""
    config, _, source = finished
    total = len(source.collected)
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(sys.path),
        'OMP_NUM_THREADS': '1',
    }
    for victim in ('i0001-g001-r002', 'i0003-g000-r003', 'after-t0-task00-0002'):
        process = subprocess.run(
            [sys.executable, '-c', KILLED, str(tmp_path), config.policy, victim],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
    final = ToySource()
    train(config_of(tmp_path, policy=config.policy), final, load=load_toy)
    assert 0 < len(final.collected) < total
    assert outcome(tmp_path / 'out') == outcome(config.output)


def train_until_second_evaluation(config: TrainConfig) -> None:
    """Do all iterations, and then stop."""

    class Stop(Exception):
        pass

    def stop(status):
        if status.phase == 'evaluate_after':
            raise Stop

    with pytest.raises(Stop):
        train(config, ToySource(), load=load_toy, report=stop)


def test_a_damaged_checkpoint_costs_one_iteration_and_no_number(finished, tmp_path, caplog):
    """The one before it is used; the run ends with the same weights."""
    config, _, _ = finished
    config_here = config_of(tmp_path, policy=config.policy)
    train_until_second_evaluation(config_here)
    latest = CheckpointStore(config_here.output / 'checkpoints', keep=2).latest()
    (latest.folder / 'state.json').write_text('{}')
    train(config_here, ToySource(), load=load_toy)
    assert 'iteration_0003: state.json does not match its hash' in caplog.text
    assert outcome(config_here.output) == outcome(config.output)


def test_the_policy_is_the_mean_of_the_last_updates(tmp_path):
    """By hand from the checkpoints; rollouts are drawn from the last weights, and a run that ended
    before its second evaluation goes on to the same policy."""
    config = config_of(tmp_path, averaged_updates=2, keep_checkpoints=10)
    train_until_second_evaluation(config)
    source = ToySource()
    train(config, source, load=load_toy)
    kept = [
        load_file(config.output / 'checkpoints' / f'iteration_{i:04d}/policy/model.safetensors')
        for i in (1, 2, 3)
    ]
    found = load_file(config.output / 'policy' / 'model.safetensors')
    for name, value in found.items():
        first, second, third = (weights[name].astype(float) for weights in kept)
        by_hand = ((first + second) / 2 + third) / 2
        assert abs(value - by_hand).max() < 1e-6
        assert abs(value - third).max() > 1e-5
    assert source.version == config.iterations + 1


@contextlib.contextmanager
def small_disk():
    """Yield a function after which every write to a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    'phase', ['evaluate_before', 'rollouts', 'update', 'evaluate_after', 'report']
)
def test_a_full_disk_is_one_line_and_costs_no_number(finished, tmp_path, phase):
    """Whatever is written when it fills up; with room again the job ends as if it had not."""
    config, _, _ = finished
    here = config_of(tmp_path, policy=config.policy)
    message = f'{tmp_path}.* cannot be written: .*free the disk'
    with small_disk() as fill, pytest.raises(UserError, match=message):
        train(
            here,
            ToySource(),
            load=load_toy,
            report=lambda status: fill() if status.phase == phase else None,
        )
    train(here, ToySource(), load=load_toy)
    assert outcome(here.output) == outcome(config.output)


def test_a_reward_that_is_wrong_costs_no_rollout(tmp_path: Path, monkeypatch):
    """The name and what is wrong with it, before the first episode is asked for."""
    (tmp_path / 'hasty_reward.py').write_text(
        'def reward(group, settings):\n    return group.success / group.steps\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    source = ToySource()
    with pytest.raises(
        UserError, match="reward='hasty_reward:reward' on a made-up group returned ndarray"
    ):
        train(config_of(tmp_path, reward='hasty_reward:reward'), source, load=load_toy)
    assert not source.collected
    assert not (tmp_path / 'out' / 'checkpoints').exists()
