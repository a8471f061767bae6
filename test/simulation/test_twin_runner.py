"""The twin's thread: its time, its episodes, and the record of their motion."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from twin_world import NAME, Hearer

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.twin import runner as runner_module
from smoothvla_ros.simulation.twin.arm_twin import SceneLostError, TwinState
from smoothvla_ros.simulation.twin.episode_log import EpisodeLog
from smoothvla_ros.simulation.twin.runner import RunnerSettings, TwinRunner


class FakeTwin:
    """Counts substeps of 2 ms; succeeds where it is told to."""

    period_s = 0.002
    succeed_at = None

    def __init__(self):
        self.steps = 0
        self.openings = []
        self.opened_at = []
        self.environment = SimpleNamespace(
            task=SimpleNamespace(language='do it'),
            joint_positions=lambda: np.full(7, float(self.steps)),
        )

    def reset(self, name):
        if name.init_state == 77:
            raise UserError('init state 77')
        if name.init_state == 88:
            raise SceneLostError('no place')
        self.steps, self.succeeded = 0, False

    def advance(self):
        self.steps += 1
        self.succeeded = self.succeeded or self.steps == self.succeed_at

    def open_gripper(self, opening):
        if opening < 0:
            raise UserError('refused')
        self.openings.append(opening)
        self.opened_at.append(self.steps)

    def commanded_positions(self):
        return np.full(7, self.steps + 0.5)

    def state(self):
        return TwinState(*[np.full(7, float(self.steps))] * 2, np.zeros(2))


class FakeCameras:
    """Never busy."""

    def __init__(self, deliver):
        self.deliver = deliver

    def prepare(self, environment):
        pass

    def offer(self, stamp_ns, twin, *, wait):
        self.deliver(stamp_ns, {'wrist': twin.steps})
        return True

    def close(self):
        pass


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(runner_module, 'TwinCameras', FakeCameras)

    def play(enough, before=lambda runner: None, twin=None, **settings):
        values = {'speed': 20.0, 'owns_clock': True, 'joint_rate_hz': 250.0}
        values |= {'image_rate_hz': 20.0, 'time_limit_s': 0.3} | settings
        hearer = Hearer(enough)
        hearer.runner = TwinRunner(
            twin or FakeTwin(),
            [NAME, EpisodeName('libero_spatial', 0, 9, 100_001)],
            RunnerSettings(**values),
            hearer,
            EpisodeLog(tmp_path),
            start_ns=1_000_000_000,
        )
        before(hearer.runner)
        hearer.runner.run()
        return hearer

    return play


def test_rates_and_stamps_are_those_of_simulated_time(run):
    """Joints at 250 Hz, images at 20 Hz, the clock with the joints, from the announced stamp on."""
    heard = run(lambda h: len(h.of('images')) == 3)
    stamps = [stamp for stamp, _ in heard.of('state')]
    assert set(np.diff(stamps)) == {4_000_000}
    assert set(np.diff([stamp for stamp, _ in heard.of('images')])) == {50_000_000}
    assert set(np.diff([stamp for (stamp,) in heard.of('clock')])) == {4_000_000}
    assert heard.of('began') == [(NAME, 'do it', 1, stamps[0])]


def test_time_waits_for_a_commander_that_is_slow(run, monkeypatch):
    """Where the twin is the clock: 20 ms of thought for 4 ms of motion, and none goes unanswered.

    Left alone, this twin runs 100 states in that time.
    """
    # Nobody is given up here, however long this machine keeps a thread waiting.
    monkeypatch.setattr(runner_module, '_PATIENCE_S', 60.0)
    twin = FakeTwin()
    news, over = threading.Event(), threading.Event()

    def think(runner):
        def loop():
            while not over.is_set():
                if news.wait(0.1):
                    news.clear()
                    over.wait(0.02)
                    runner.command(lambda twin: twin.open_gripper(0.02))

        threading.Thread(target=loop).start()

    def enough(h):
        if h.said[-1][0] == 'state':
            news.set()
        return len(twin.opened_at) == 20

    try:
        run(enough, think, twin=twin)
    finally:
        over.set()
    # The first finds the twin running; one may be on its way while the next state goes out.
    assert max(np.diff(twin.opened_at)[1:]) <= 4


def test_stamps_stay_with_the_wall_where_the_machine_is_too_slow(run, monkeypatch):
    """Others judge the age of an image by their own clock: what slipped is jumped over."""
    now = [1_000.0]

    def monotonic():
        now[0] += 0.0005
        return now[0]

    clock = SimpleNamespace(monotonic=monotonic, time_ns=lambda: round(now[0] * 1e9))
    monkeypatch.setattr(runner_module, 'time', clock)
    late = []

    class SlowTwin(FakeTwin):
        def advance(self):
            super().advance()
            now[0] += 0.02  # ten times its period

    def enough(h):
        if h.said[-1][0] == 'state':
            late.append(now[0] - h.said[-1][1] * 1e-9)
        return len(late) == 100

    heard = run(enough, twin=SlowTwin(), speed=1.0, owns_clock=False)
    assert max(late) < 2.5
    stamps = [stamp for stamp, _ in heard.of('state')]
    assert stamps == sorted(set(stamps))
    assert stamps[0] == pytest.approx(1_000e9, abs=0.1e9)


def test_success_ends_the_episode_with_its_samples(run):
    """The last stamp and the number are those of the joint states that were sent."""
    twin = FakeTwin()
    twin.succeed_at = 100
    heard = run(lambda h: h.of('ended'), twin=twin)
    sent = [stamp for stamp, _ in heard.of('state')]
    ((success, stamp, samples),) = heard.of('ended')
    assert success
    assert samples == sent.index(stamp) + 1 == 50


def test_time_counts_from_the_first_command(run):
    """An arm that nobody commands does not run out of time; a commanded one does, once."""
    twin = FakeTwin()

    def command_late(h):
        if len(h.of('images')) == 10:
            h.runner.command(lambda twin: twin.open_gripper(0.02))
        return len(h.of('images')) == 20

    heard = run(command_late, twin=twin)
    assert twin.openings
    ((success, stamp, _),) = heard.of('ended')
    assert not success
    assert 0.7 < (stamp - 1_000_000_000) * 1e-9 < 0.85


def test_reset_takes_the_next_scene_or_a_named_one(run):
    """What was under way ends without success; an unknown name is refused and nothing changes."""

    def ask(runner):
        runner.reset()
        runner.reset(EpisodeName('libero_spatial', 0, 77, 0))
        runner.reset(EpisodeName('libero_spatial', 0, 14, 100_002))

    heard = run(lambda h: len(h.of('began')) == 3 and len(h.of('state')) > 3, ask)
    assert [name.init_state for name, *_ in heard.of('began')] == [4, 9, 14]
    assert [number for _, _, number, _ in heard.of('began')] == [1, 2, 3]
    assert heard.of('refused') == [('init state 77',)]


def test_a_scene_that_is_lost_ends_what_was_under_way(run):
    """Its objects are where the former episode began: that one cannot go on, and is not solved."""
    heard = run(
        lambda h: h.of('refused') and len(h.of('images')) > 8,
        lambda runner: runner.reset(EpisodeName('libero_spatial', 0, 88, 0)),
    )
    assert heard.of('refused') == [('no place',)]
    assert len(heard.of('cut_short')) == 1
    assert not heard.of('ended')


def test_refused_command_is_said_and_does_not_start_the_time(run):
    """The twin goes on."""
    heard = run(
        lambda h: len(h.of('images')) == 12,
        lambda runner: runner.command(lambda twin: twin.open_gripper(-1.0)),
    )
    assert not heard.of('ended')


def test_motion_of_an_episode_is_written_once_it_ends(run, tmp_path):
    """A row a substep, measured and commanded, under the episode's name."""
    twin = FakeTwin()
    twin.succeed_at = 100
    run(lambda h: h.of('ended'), twin=twin)
    with np.load(tmp_path / 'libero_spatial_0_4_100000.npz', allow_pickle=False) as archive:
        assert archive['joint_positions'][:, 0].tolist() == [float(i) for i in range(1, 101)]
        assert archive['commanded_positions'][-1, 0] == 100.5
        assert bool(archive['success'])
        assert float(archive['period_s']) == 0.002


def test_motion_keeps_a_second_of_an_arm_that_waits(run, tmp_path):
    """Nobody arms the guard for hours, and the memory does not grow; every later row is kept."""
    twin = FakeTwin()

    def command_late(h):
        if twin.steps >= 2_000 and not twin.openings:
            h.runner.command(lambda twin: twin.open_gripper(0.02))
        return h.of('ended')

    run(command_late, twin=twin, time_limit_s=3.0)
    with np.load(tmp_path / 'libero_spatial_0_4_100000.npz', allow_pickle=False) as archive:
        rows = archive['joint_positions'][:, 0]
    before = twin.opened_at[0] - rows[0] + 1
    assert before == 500
    assert np.array_equal(np.diff(rows), np.ones(len(rows) - 1))
    assert 1_500 <= rows[-1] - twin.opened_at[0] <= 1_501
