"""The twin: an arm that follows joint commands in a LIBERO scene, and its own thread."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.rendering import graphics
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.scenes.scene_reset import NoPlaceFoundError, SceneReset
from smoothvla_ros.simulation.twin import runner as runner_module
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin, SceneLostError, TwinState
from smoothvla_ros.simulation.twin.cameras import TwinCameras
from smoothvla_ros.simulation.twin.episode_log import EpisodeLog
from smoothvla_ros.simulation.twin.runner import RunnerSettings, TwinRunner
from smoothvla_ros.simulation.twin.trajectory_controller import TrajectoryPoint

NAME = EpisodeName('libero_spatial', 0, 4, 100_000)


@pytest.fixture
def twin(spatial_environment):
    twin = ArmTwin(RenderSettings(size=64), spatial_environment)
    twin.reset(NAME)
    return twin


def advance(twin, seconds):
    for _ in range(round(seconds / twin.period_s)):
        twin.advance()


def test_arm_stands_still_without_commands(twin):
    """Gravity is carried: no drift in half a second."""
    before = twin.state().joint_positions
    advance(twin, 0.5)
    assert np.abs(twin.state().joint_positions - before).max() < 2e-4


def test_arm_tracks_a_smooth_trajectory_like_a_real_one(twin):
    """0.15 rad there and back in a second, all joints at once: never 2 mrad behind."""
    start = twin.state().joint_positions
    times = np.arange(0.02, 1.001, 0.02)
    phase = 2 * np.pi * times[:, None]
    lift = 0.075 * np.ones(7)
    points = [
        TrajectoryPoint(
            t,
            start + lift * (1 - np.cos(p)),
            lift * 2 * np.pi * np.sin(p),
            lift * (2 * np.pi) ** 2 * np.cos(p),
        )
        for t, p in zip(times, phase, strict=True)
    ]
    twin.follow(points)
    worst = 0.0
    for _ in range(500):
        twin.advance()
        worst = max(worst, np.abs(twin.state().joint_positions - twin.commanded_positions()).max())
    assert worst < 2e-3
    assert np.abs(twin.commanded_positions() - start).max() < 1e-3


def test_gripper_closes_at_the_hand_s_speed_and_opens_again(twin):
    """0.04 m take 0.4 s; both fingers count from closed to open."""
    assert twin.state().finger_positions == pytest.approx([0.04, 0.04], abs=2e-3)
    twin.open_gripper(0.0)
    advance(twin, 0.2)
    assert (twin.state().finger_positions > 0.01).all()
    advance(twin, 0.5)
    assert (np.abs(twin.state().finger_positions) < 3e-3).all()
    twin.open_gripper(1.0)
    advance(twin, 0.7)
    assert twin.state().finger_positions == pytest.approx([0.04, 0.04], abs=2e-3)


def test_same_commands_give_the_same_bits(twin):
    """An episode is named by suite, task, init state and seed, and nothing else matters."""

    def play():
        twin.reset(NAME)
        twin.forward(twin.state().joint_positions + 0.02)
        advance(twin, 0.2)
        return twin.environment.data.qpos.copy()

    assert play().tobytes() == play().tobytes()


def test_reset_starts_where_libero_s_controller_would(twin, spatial_environment):
    """The scene is bit for bit the one that the policy is measured on otherwise."""
    after_twin = twin.environment.data.qpos.copy()
    spatial_environment.reset(NAME)
    assert spatial_environment.data.qpos.tobytes() == after_twin.tobytes()


def test_bad_commands_are_refused(twin):
    """NaN never reaches the arm."""
    for bad in (np.full(7, np.nan), np.zeros(6)):
        with pytest.raises(UserError):
            twin.forward(bad)
    with pytest.raises(UserError, match='ends in the past'):
        twin.follow([TrajectoryPoint(0.1, np.zeros(7))], delay_s=-0.2)
    with pytest.raises(UserError):
        twin.open_gripper(float('nan'))
    with pytest.raises(UserError, match='choose from'):
        twin.reset(EpisodeName('libero_spatial', 0, 77, 0))


def test_cameras_draw_the_offered_state_in_their_thread():
    """What is delivered carries its stamp, and differs once the arm has moved.

    In a process of its own: the one OpenGL context of this process is with the thread that drew
    first, and other tests draw in the main one.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as process:
        images = process.submit(draw_before_and_after_a_motion).result(timeout=240.0)
    assert [stamp for stamp, _ in images] == [7, 8]
    assert set(images[0][1]) == {'agentview', 'wrist'}
    assert images[0][1]['wrist'].shape == (64, 64, 3)
    assert np.any(images[0][1]['wrist'] != images[1][1]['wrist'])


def draw_before_and_after_a_motion():
    """Offer two states to the cameras, the arm moved in between; returns what they delivered."""
    twin = ArmTwin(RenderSettings(size=64))
    twin.reset(NAME)
    images, delivered = [], threading.Event()

    def deliver(stamp, drawn):
        images.append((stamp, drawn))
        delivered.set()

    cameras = TwinCameras(deliver)
    try:
        cameras.prepare(twin.environment)
        for stamp in (7, 8):
            delivered.clear()
            assert cameras.offer(stamp, twin, wait=True)
            assert delivered.wait(60.0)
            twin.forward(twin.state().joint_positions + 0.1)
            advance(twin, 0.3)
    finally:
        cameras.close()
    return images


@pytest.mark.skipif(
    graphics.choose_backend() != 'egl', reason='only EGL lets go of a context for another thread'
)
def test_twin_whose_cameras_lose_opengl_ends_and_says_so():
    """While every image is waited for: one line, instead of a wait that never ends."""
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    process = context.Process(target=play_until_opengl_is_taken_away, args=(theirs,))
    process.start()
    try:
        assert ours.poll(90.0), 'the twin waits for ever'
        error = ours.recv()
    finally:
        process.kill()
        process.join()
    assert "drawing camera 'agentview': eglMakeCurrent failed with EGL_BAD_ACCESS" in error


def play_until_opengl_is_taken_away(answer):
    """Run a twin whose OpenGL context another thread takes after an image; sends its error."""
    from OpenGL import EGL

    taken, over = threading.Event(), threading.Event()

    class Thief(Hearer):
        def images(self, stamp, images):
            if not taken.is_set():
                EGL.eglMakeCurrent(
                    mujoco.egl.EGL_DISPLAY,
                    EGL.EGL_NO_SURFACE,
                    EGL.EGL_NO_SURFACE,
                    EGL.EGL_NO_CONTEXT,
                )
                threading.Thread(target=take).start()
                taken.wait()

    def take():
        graphics.shared_context().make_current()
        taken.set()
        over.wait()

    settings = RunnerSettings(20.0, True, 250.0, 20.0, 0.0)
    twin, log = ArmTwin(RenderSettings(size=64)), EpisodeLog(None)
    runner = TwinRunner(twin, [NAME], settings, Thief(lambda _: False), log, 1_000_000_000)
    try:
        runner.run()
    except UserError as error:
        answer.send(str(error))
    finally:
        over.set()


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
        return TwinState(*[np.full(7, float(self.steps))] * 2, *[np.zeros(2)] * 2)


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


class Hearer:
    """Keeps what the runner says and stops it when it has heard enough."""

    def __init__(self, enough):
        self.enough = enough
        self.said = []
        self.runner = None

    def __getattr__(self, name):
        def hear(*words):
            self.said.append((name, *words))
            if self.enough(self):
                self.runner.stop()

        return hear

    def of(self, kind):
        return [words[1:] for words in self.said if words[0] == kind]


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


def test_objects_without_a_place_leave_the_arm_where_the_former_episode_began(twin, monkeypatch):
    """The scene that they were to be put into is the one that is simulated."""
    began = twin.state().joint_positions.copy()
    twin.follow([TrajectoryPoint(0.3, began + 0.1)])
    advance(twin, 0.3)
    assert np.abs(twin.state().joint_positions - began).max() > 0.05
    placed = SceneReset.place_fixtures

    def place(self, scene_seed):
        placed(self, scene_seed)
        if scene_seed == 100_002:
            raise NoPlaceFoundError('no place')

    monkeypatch.setattr(SceneReset, 'place_fixtures', place)
    with pytest.raises(SceneLostError, match='the former episode is over'):
        twin.reset(EpisodeName('libero_spatial', 0, 14, 100_002))
    np.testing.assert_allclose(twin.state().joint_positions, began, atol=1e-6)
    advance(twin, 0.5)
    np.testing.assert_allclose(twin.state().joint_positions, began, atol=1e-3)


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


def test_state_is_copied_whole(twin):
    """The copy that is drawn does not change with the twin."""
    data = mujoco.MjData(twin.environment.model)
    twin.snapshot(data)
    before = data.qpos.copy()
    assert np.array_equal(before, twin.environment.data.qpos)
    twin.forward(twin.state().joint_positions + 0.1)
    advance(twin, 0.1)
    assert np.array_equal(before, data.qpos)


class CheapScene:
    """Stands for an environment: a model, and a renderer that must go in its own thread."""

    def __init__(self, gone):
        self.model = mujoco.MjModel.from_xml_string('<mujoco/>')
        self.renderer = Renderer(gone)

    def prepare_rendering(self):
        pass

    def close(self):
        del self.renderer


class Renderer:
    """Says in which thread it went; in a cycle, as MuJoCo's are."""

    def __init__(self, gone):
        self.gone, self.itself = gone, self

    def __del__(self):
        self.gone.append(threading.current_thread().name)


def test_the_scene_before_is_let_go_in_the_thread_that_drew_it():
    """OpenGL forgets nothing in another thread: each change of task would keep 140 MB."""
    gone = []
    cameras = TwinCameras(lambda stamp, images: None)
    gc.disable()
    try:
        for _ in range(2):
            cameras.prepare(CheapScene(gone))
        assert len(gone) == 1
        assert gone[0].startswith('cameras')
    finally:
        gc.enable()
        cameras.close()
