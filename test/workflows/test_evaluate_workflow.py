"""`evaluate`, `smoothvla eval` and `smoothvla report`, on a source that simulates nothing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from smoothvla_ros.configuration import from_mapping, load
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.archive import TABLE, EpisodeArchive
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.evaluation.episodes.running_figures import RunningFigures
from smoothvla_ros.evaluation.report.comparison_table import caption
from smoothvla_ros.evaluation.report.run_report import REPORT, write_report
from smoothvla_ros.evaluation.report.summary import SUMMARY, RunContext
from smoothvla_ros.evaluation.reworded_policy import (
    RewordedPolicy,
    one_instruction,
    wrong_instructions,
)
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec
from smoothvla_ros.records import (
    ChunkRecord,
    Episode,
    EpisodeRequest,
    Observation,
    Trajectory,
)
from smoothvla_ros.simulation.splits import EvaluationSplit, Split, split_of
from smoothvla_ros.simulation.tasks import tasks
from smoothvla_ros.training.rollouts.source import LostEpisode
from smoothvla_ros.workflows import report as report_command
from smoothvla_ros.workflows.evaluation import command, contestants
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.episodes import (
    Scenes,
    evaluate,
    tell_of_repeated_init_states,
)
from smoothvla_ros.workflows.evaluation.finished import compare_evaluations
from smoothvla_ros.workflows.evaluation.run import run_evaluation
from smoothvla_ros.workflows.options import given_settings

STEPS, CHUNK = 24, 8


class FakeSource:
    """Answers each request with a motion that depends on the request alone, or not at all."""

    def __init__(self, arm: Arm, lose: tuple[str, ...] = (), stop_after: int | None = None) -> None:
        self.requests: list[EpisodeRequest] = []
        self._arm = arm
        self._lose = lose
        self._stop_after = stop_after

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Serve every version."""

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield in another order than asked."""
        self.requests += requests
        for count, request in enumerate(reversed(requests)):
            if count == self._stop_after:
                raise KeyboardInterrupt
            if request.episode_id not in self._lose:
                yield self._episode(request)

    def lost(self) -> Sequence[LostEpisode]:
        """Nothing that evaluation asks about."""
        return ()

    def close(self) -> None:
        """Nothing to stop."""

    def __enter__(self) -> FakeSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _episode(self, request: EpisodeRequest) -> Episode:
        rng = np.random.default_rng([request.name.scene_seed, round(10 * request.temperature)])
        steps = np.cumsum(rng.normal(0.0, 0.004, (STEPS + 1, 7)), axis=0)
        joints = np.array([0.0, -0.4, 0.0, -2.2, 0.0, 1.9, 0.78]) + steps
        poses = [self._arm.tool_pose(q) for q in joints]
        trajectory = Trajectory(
            actions=rng.uniform(-1.0, 1.0, (STEPS, 7)),
            joint_positions=joints,
            joint_velocities=np.zeros_like(joints),
            tool_positions=np.array([position for position, _ in poses]),
            tool_rotations=np.array([rotation for _, rotation in poses]),
            substep_joint_positions=np.repeat(joints, 25, axis=0).astype(np.float32),
            control_period_s=0.05,
            substep_period_s=0.002,
        )
        observation = Observation({}, joints[0], joints[0], np.zeros(2), 'reach')
        chunk = ChunkRecord(
            observation,
            np.zeros((CHUNK, 7), np.int64),
            np.full((CHUNK, 7), -1.5, np.float32),
            CHUNK,
        )
        return Episode(request, bool(rng.random() < 0.7), trajectory, [chunk] * (STEPS // CHUNK))


@pytest.fixture(scope='module')
def arm() -> Arm:
    """The arm of LIBERO."""
    return Arm.panda()


def run_once(
    source: FakeSource, archive: EpisodeArchive, label: str = 'before', seed: int = 5, **told: Any
) -> list[EpisodeRow]:
    """Evaluate two tasks with three episodes each."""
    scenes = Scenes('libero_goal', (1, 4), per_task=3, seed=seed)
    return evaluate(source, label, scenes, 0.0, archive=archive, **told)


def test_policies_meet_the_same_held_out_scenes(arm: Arm, tmp_path: Path) -> None:
    """Two labels and one seed give the same scenes, held out, in order; another seed others."""
    archive, source = EpisodeArchive(tmp_path, arm), FakeSource(arm)
    before, after = run_once(source, archive), run_once(source, archive, 'after')
    assert [row.name for row in before] == [row.name for row in after]
    assert [row.task for row in before] == [1, 1, 1, 4, 4, 4]
    assert len({row.name for row in before}) == 6
    assert {split_of(row.name) for row in before} == {Split.HELD_OUT}
    other = run_once(source, archive, 'other', seed=6)
    assert not {row.name for row in other} & {row.name for row in before}
    ids = [request.episode_id for request in source.requests]
    assert len(set(ids)) == len(ids)


def test_an_interrupted_evaluation_goes_on(arm: Arm, tmp_path: Path) -> None:
    """What was finished is not run again, and the table is that of a run without interruption."""
    with pytest.raises(KeyboardInterrupt):
        run_once(FakeSource(arm, stop_after=4), EpisodeArchive(tmp_path / 'a', arm))
    archive, source = EpisodeArchive(tmp_path / 'a', arm), FakeSource(arm)
    rows = run_once(source, archive)
    assert len(source.requests) == 2
    whole = EpisodeArchive(tmp_path / 'b', arm)
    assert [repr(row) for row in rows] == [repr(row) for row in run_once(FakeSource(arm), whole)]
    archive.finish()
    whole.finish()
    assert (tmp_path / 'a' / TABLE).read_bytes() == (tmp_path / 'b' / TABLE).read_bytes()
    with pytest.raises(UserError, match='other settings'):
        run_once(source, archive, seed=6)


def test_progress_counts_what_was_there_and_is_not_lost_to_one_short_success(
    arm: Arm, tmp_path: Path
) -> None:
    """Figures of all episodes, resumed ones among them; a success without a jerk leaves no NaN."""
    with pytest.raises(KeyboardInterrupt):
        run_once(FakeSource(arm, stop_after=4), EpisodeArchive(tmp_path, arm))
    archive, told = EpisodeArchive(tmp_path, arm), []
    rows = run_once(
        FakeSource(arm),
        archive,
        on_episode=lambda figures: told.append((figures.done, figures.success, figures.jerk)),
    )
    assert [done for done, _, _ in told] == [5, 6]
    solved = [row.jerk for row in rows if row.success]
    assert told[-1][1:] == (len(solved) / 6, pytest.approx(np.mean(solved)))
    short = RunningFigures()
    for row in (*rows, dataclasses.replace(rows[0], success=True, jerk=math.nan)):
        short.add(row)
    assert short.jerk == pytest.approx(np.mean(solved))


@pytest.mark.parametrize(
    ('split', 'episodes', 'told'),
    [('held_out', 10, False), ('held_out', 11, True), ('train', 40, False), ('all', 50, False)],
)
def test_more_episodes_than_init_states_are_told_of(
    caplog: pytest.LogCaptureFixture, split: str, episodes: int, told: bool
) -> None:
    """One line, where several episodes share an init state."""
    tell_of_repeated_init_states(Scenes('libero_goal', (1,), episodes, 0, EvaluationSplit(split)))
    lines = [f'{episodes} episodes a task, but 10 init states (held_out)'] if told else []
    assert [text.split(':')[0] for text in caplog.messages] == lines


def test_lost_episodes_are_named_and_not_invented(
    arm: Arm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A lost episode is asked for again, then logged and left out; losing all is an error."""
    lost = 'before-t0-task04-0002'
    source = FakeSource(arm, lose=(lost,))
    rows = run_once(source, EpisodeArchive(tmp_path / 'a', arm))
    assert len(rows) == 5
    assert [request.attempt for request in source.requests if request.episode_id == lost] == [0, 1]
    assert lost in caplog.text
    everything = tuple(f'before-t0-task{task:02d}-{i:04d}' for task in (1, 4) for i in range(3))
    with pytest.raises(UserError, match='all 6 episodes are lost'):
        run_once(FakeSource(arm, lose=everything), EpisodeArchive(tmp_path / 'b', arm))


def test_report_command_computes_the_same_numbers(
    arm: Arm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`smoothvla report` gives the same table and summary bytes from the trajectories alone."""
    archive, source = EpisodeArchive(tmp_path, arm), FakeSource(arm)
    run_once(source, archive)
    run_once(source, archive, 'after')
    context = RunContext(
        'libero_goal', 5, 'decoupled', 3, 61.5, languages={1: 'one'}, versions={'numpy': 'x'}
    )
    write_report(archive, context, video=False)
    files = (tmp_path / TABLE, tmp_path / SUMMARY, tmp_path / REPORT)
    written = [path.read_bytes() for path in files]
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    assert report_command.run(parser.parse_args([str(tmp_path), '--no-video'])) == 0
    assert 'all 12 rows are the same' in capsys.readouterr().out
    assert [path.read_bytes() for path in files] == written
    (tmp_path / TABLE).write_text(written[0].decode().replace('True', 'False', 1))
    report_command.run(parser.parse_args([str(tmp_path), '--no-video']))
    assert '1 of 12 rows' in capsys.readouterr().out
    assert files[0].read_bytes() == written[0]


def test_report_command_reads_a_run_that_was_killed(
    arm: Arm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without summary and table the stored episodes suffice; an empty folder is a user error."""
    archive = EpisodeArchive(tmp_path / 'run', arm)
    run_once(FakeSource(arm), archive)
    (tmp_path / 'run' / TABLE).unlink()
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    assert report_command.run(parser.parse_args([str(tmp_path / 'run'), '--no-video'])) == 0
    assert 'written from 6 stored episodes' in capsys.readouterr().out
    summary = json.loads((tmp_path / 'run' / SUMMARY).read_text())
    assert summary['after']['success']['episodes'] == 6
    with pytest.raises(UserError, match='holds no episodes'):
        report_command.run(parser.parse_args([str(tmp_path / 'nothing')]))
    assert not (tmp_path / 'nothing').exists()


def test_report_command_leaves_a_run_that_is_under_way_alone(arm: Arm, tmp_path: Path) -> None:
    """It would lose the rows that the run adds meanwhile, so it is refused."""
    run_once(FakeSource(arm), EpisodeArchive(tmp_path, arm))
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    written = (tmp_path / TABLE).stat().st_mtime_ns
    with FolderLock(tmp_path, 'output='), pytest.raises(UserError, match='in use'):
        report_command.run(parser.parse_args([str(tmp_path), '--no-video']))
    assert (tmp_path / TABLE).stat().st_mtime_ns == written


def test_report_command_knows_the_expert(arm: Arm, tmp_path: Path) -> None:
    """An evaluation against the expert that was cut short: the expert is what came before."""
    archive, source = EpisodeArchive(tmp_path, arm), FakeSource(arm)
    run_once(source, archive, 'policy')
    run_once(source, archive, 'expert')
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    assert report_command.run(parser.parse_args([str(tmp_path), '--no-video'])) == 0
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert summary['before'] is not None


@pytest.fixture
def faked(arm: Arm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FakeSource]:
    """Two policies on disk, and `smoothvla eval` on fake sources, which are returned."""
    for name in ('first', 'second'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'weights').write_text(name)
    sources: list[FakeSource] = []

    def source(*_: object) -> FakeSource:
        sources.append(FakeSource(arm))
        return sources[-1]

    spec = PolicySpec(8, 7, 256, 'libero_osc_pose', ('agentview', 'wrist'), 96)
    monkeypatch.setattr(contestants, 'ProcessRolloutSource', source)
    monkeypatch.setattr(contestants, 'load_policy', lambda *_: SimpleNamespace(spec=spec))
    return sources


def configured(folder: Path, **changes: object) -> EvaluationConfig:
    """Return settings that compare the two policies of `faked` on one task."""
    settings: dict[str, object] = {
        'policy': str(folder / 'second'),
        'compare': str(folder / 'first'),
        'suite': 'libero_goal',
        'tasks': (2,),
        'episodes': 3,
        'temperatures': (0.0, 1.0),
        'out': folder / 'out',
        'video': False,
    }
    return from_mapping(EvaluationConfig, settings | changes, 'test')


def test_evaluation_compares_greedy_and_sampled(faked: list[FakeSource], tmp_path: Path) -> None:
    """Both policies run both ways; a finished evaluation asks for nothing more."""
    summary = run_evaluation(configured(tmp_path))
    assert summary['paired']['common'] == summary['sampled']['paired']['common'] == 3
    assert summary['policies'] == {'before': 'before', 'after': 'after'}
    assert [len(source.requests) for source in faked] == [6, 6]
    again = run_evaluation(configured(tmp_path))
    assert [len(source.requests) for source in faked[2:]] == [0, 0]
    assert again['paired'] == summary['paired']


def test_the_protocol_of_the_field_can_be_asked_for(
    faked: list[FakeSource], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All 50 init states once, with a horizon of one's own; record, caption and page say so."""
    protocol = {'split': 'all', 'episodes': 50, 'horizon': 512, 'temperatures': (0.0,)}
    summary = run_evaluation(configured(tmp_path, **protocol))
    requests = faked[0].requests
    assert sorted(request.name.init_state for request in requests) == list(range(50))
    assert {request.horizon for request in requests} == {512}
    assert 'share one' not in caplog.text
    record = json.loads((tmp_path / 'out' / 'evaluation.json').read_text())
    assert (record['split'], record['horizon']) == ('all', 512)
    assert (summary['split'], summary['horizon']) == ('all', 512)
    assert caption(summary).startswith(
        'all scenes, those of training included, greedy, at most 512 steps, 50 and 50 episodes'
    )
    assert 'include what was trained on' in (tmp_path / 'out' / REPORT).read_text()
    for name, other in (('split', 'train'), ('horizon', 0)):
        with pytest.raises(UserError, match=f'another {name}'):
            run_evaluation(configured(tmp_path, **protocol | {name: other}))


def test_an_evaluation_of_before_there_was_a_horizon_goes_on(
    faked: list[FakeSource], tmp_path: Path
) -> None:
    """Its record names none, which was the suite's own: gone on with by that alone."""
    run_evaluation(configured(tmp_path))
    assert {request.horizon for source in faked for request in source.requests} == {None}
    path = tmp_path / 'out' / 'evaluation.json'
    record = json.loads(path.read_text())
    assert record.pop('horizon') == 0
    path.write_text(json.dumps(record))
    run_evaluation(configured(tmp_path))
    with pytest.raises(UserError, match='another horizon'):
        run_evaluation(configured(tmp_path, horizon=512))


def test_two_finished_evaluations_are_compared_without_running_anything(
    faked: list[FakeSource], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pairs that one evaluation of both gives; what cannot be paired is refused by name."""
    both = run_evaluation(configured(tmp_path))
    single: dict[str, object] = {'compare': None}
    for name in ('first', 'second'):
        policy = {'policy': str(tmp_path / name), 'out': tmp_path / f'of_{name}'}
        run_evaluation(configured(tmp_path, **single | policy))
    ran = len(faked)
    files = {path: path.read_bytes() for path in tmp_path.glob('of_*/*.*')}
    found = compare_evaluations(tmp_path / 'of_first', tmp_path / 'of_second')
    assert (found['paired'], found['sampled']['paired']) == (
        both['paired'],
        both['sampled']['paired'],
    )
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    folders = [str(tmp_path / 'of_first'), str(tmp_path / 'of_second')]
    assert report_command.run(parser.parse_args(folders)) == 0
    assert 'that both solve' in capsys.readouterr().out
    assert len(faked) == ran
    assert {path: path.read_bytes() for path in tmp_path.glob('of_*/*.*')} == files
    others = {'suite': 'libero_object', 'split': 'train', 'horizon': 9, 'seed': 3}
    others |= {'render_profile': 'stock', 'instruction': 'sit', 'wrong_instruction': True}
    for name, value in others.items():
        out = tmp_path / f'other_{name}'
        run_evaluation(configured(tmp_path, **single | {name: value, 'out': out}))
        said = 'no scene in common' if name == 'seed' else f'do not compare: {name} is'
        with pytest.raises(UserError, match=said):
            compare_evaluations(tmp_path / 'of_first', out)
    table = tmp_path / 'of_first' / TABLE
    table.write_text(table.read_text().replace(',0.3,4', ',0.4,4'))
    with pytest.raises(UserError, match='different estimators'):
        compare_evaluations(tmp_path / 'of_first', tmp_path / 'of_second')
    with pytest.raises(UserError, match='finished evaluation'):
        compare_evaluations(tmp_path / 'first', tmp_path / 'of_second')


def test_finished_evaluations_need_one_temperature_and_whole_records(
    faked: list[FakeSource], tmp_path: Path
) -> None:
    """What does not compare is told why; a summary of before policies had labels still does."""
    folders = []
    for name, temperature in (('first', 0.0), ('second', 1.0)):
        folders.append(tmp_path / f'of_{name}')
        changes = {'temperatures': (temperature,), 'out': folders[-1]}
        run_evaluation(configured(tmp_path, **changes))
    with pytest.raises(UserError, match=r'no scene in common, greedy or sampled.*temperatures'):
        compare_evaluations(*folders)
    path = folders[0] / SUMMARY
    summary = json.loads(path.read_text())
    del summary['policies']
    path.write_text(json.dumps(summary))
    assert compare_evaluations(folders[0], folders[0])['paired']['common'] == 3
    (folders[0] / 'evaluation.json').write_text('[]')
    with pytest.raises(UserError, match=r'evaluation\.json cannot be read .*finished evaluation'):
        compare_evaluations(*folders)


def test_the_report_of_a_killed_evaluation_says_its_horizon(
    faked: list[FakeSource], tmp_path: Path
) -> None:
    """There is no summary yet that says it, and its episodes do not."""
    run_evaluation(configured(tmp_path, horizon=512))
    (tmp_path / 'out' / SUMMARY).unlink()
    parser = argparse.ArgumentParser()
    report_command.add_arguments(parser)
    assert report_command.run(parser.parse_args([str(tmp_path / 'out'), '--no-video'])) == 0
    assert json.loads((tmp_path / 'out' / SUMMARY).read_text())['horizon'] == 512


def test_a_second_process_is_kept_out(faked: list[FakeSource], tmp_path: Path) -> None:
    """Two evaluations into one folder would count each other's episodes as their own."""
    with FolderLock(tmp_path / 'out', ''), pytest.raises(UserError, match='in use'):
        run_evaluation(configured(tmp_path))
    assert not faked
    run_evaluation(configured(tmp_path))


def test_an_output_is_never_mixed_or_overwritten(faked: list[FakeSource], tmp_path: Path) -> None:
    """Other settings, other weights, other files in the folder or no folder stop before any run."""
    run_evaluation(configured(tmp_path))
    before = {path: path.read_bytes() for path in (tmp_path / 'out').glob('*.*')}
    ran = len(faked)
    with pytest.raises(UserError, match='another seed'):
        run_evaluation(configured(tmp_path, seed=1))
    (tmp_path / 'first' / 'weights').write_text('trained on')
    with pytest.raises(UserError, match='another compare'):
        run_evaluation(configured(tmp_path))
    with pytest.raises(UserError, match='not empty'):
        run_evaluation(configured(tmp_path, out=tmp_path / 'first'))
    assert not (tmp_path / 'first' / '.lock').exists()
    with pytest.raises(UserError, match='is not a folder; choose another'):
        run_evaluation(configured(tmp_path, out=tmp_path / 'first' / 'weights' / 'out'))
    assert len(faked) == ran
    assert {path: path.read_bytes() for path in (tmp_path / 'out').glob('*.*')} == before


def test_command_line_names_every_setting() -> None:
    """Each setting is an option, and what is given on the command line arrives converted."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = parser.parse_args(
        ['--tasks', '1,2', '--temperatures', '0,0.7', '--no-video', '--out', 'somewhere']
    )
    config = load(EvaluationConfig, None, given_settings(given, EvaluationConfig))
    assert (config.tasks, config.temperatures) == ((1, 2), (0.0, 0.7))
    assert (config.video, config.out) == (False, Path('somewhere'))
    assert config.suite == EvaluationConfig().suite


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'suite': 'libero_moon'}, 'libero_moon'),
        ({'tasks': '0,99'}, '99'),
        ({'tasks': '1,1'}, 'twice'),
        ({'episodes': 0}, 'episodes=0'),
        ({'robots': -1}, 'robots=-1'),
        ({'split': 'test'}, 'split'),
        ({'temperatures': '0.5,1.0'}, 'one sampling temperature'),
        ({'temperatures': '-1'}, 'temperatures'),
        ({'wrong_instruction': True, 'compare': 'default'}, 'compares the policy with itself'),
        ({'colour': 'red'}, 'unknown setting'),
    ],
)
def test_bad_settings_are_one_clear_line(settings: dict[str, object], words: str) -> None:
    """Every unusable setting is refused before anything is loaded, naming the value."""
    with pytest.raises(UserError) as raised:
        from_mapping(EvaluationConfig, settings, 'command line')
    assert words in str(raised.value)
    assert '\n' not in str(raised.value)


class EchoPolicy:
    """Remembers the instructions that it was given."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Decide nothing."""
        self.heard += [observation.instruction for observation in observations]
        return ActionChunks(np.zeros((1, 8, 7)), np.zeros((1, 8, 7)), np.zeros((1, 8, 7)))


def test_wrong_instructions_reach_the_policy_and_nothing_else_changes() -> None:
    """The wrapped policy hears the next task's instruction; the observation itself stays."""
    languages = [task.language for task in tasks('libero_goal')]
    told = wrong_instructions('libero_goal')
    assert sorted(told) == sorted(told.values()) == sorted(languages)
    assert all(right != wrong for right, wrong in told.items())
    echo = EchoPolicy()
    policy = RewordedPolicy(echo, told)  # type: ignore[arg-type]
    observation = Observation({}, np.zeros(7), np.zeros(7), np.zeros(2), languages[-1])
    policy.act([observation], temperature=0.0, seeds=[0])
    assert echo.heard == [languages[0]]
    assert observation.instruction == languages[-1]
    assert set(one_instruction('libero_goal', 'wait').values()) == {'wait'}
    unknown = dataclasses.replace(observation, instruction='dance')
    with pytest.raises(UserError, match='dance'):
        policy.act([unknown], temperature=0.0, seeds=[0])
