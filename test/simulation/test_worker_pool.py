"""Worker processes: the protocol, their deaths, and that every worker gives the same episodes."""

import os
import select
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName, Trajectory
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.worker_pool import (
    Worker,
    WorkerDied,
    WorkerPool,
    WorkerTimeout,
)
from smoothvla_ros.simulation.workers.worker_process import EpisodeRunner

# Two tasks of one suite share a compiled scene, which is where one could disturb the other.
ONE_TASK = EpisodeName('libero_spatial', 2, init_state=4, scene_seed=21)
OTHER_TASK = EpisodeName('libero_spatial', 5, init_state=5, scene_seed=22)
HORIZON = 220
PATIENCE_S = 150.0
pytestmark = pytest.mark.timeout(600)  # two processes that build scenes, on a busy machine


@pytest.fixture(scope='module')
def pool():
    """Two workers for all tests that leave them alive."""
    with WorkerPool(2, RenderSettings(size=64)) as pool:
        yield pool


@pytest.fixture
def idle_worker():
    """A worker that has built nothing and may be killed."""
    with WorkerPool(1, RenderSettings(size=64)) as pool:
        yield pool.workers[0]


def wait_for_end(pid, timeout_s):
    """Return whether a process that is not our child ended in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout_s)[0])
    finally:
        os.close(handle)


def test_every_worker_gives_the_same_episode_in_any_order(pool, pushing_actions):
    """Pins that tasks interleaved in two workers in two orders end in equal bits and pixels."""
    actions = pushing_actions(8)

    def run(worker, name):
        first = worker.reset(name, PATIENCE_S)
        result = worker.execute(actions, PATIENCE_S)
        return first, result, worker.trajectory(PATIENCE_S)

    one, other = pool.workers
    runs = {ONE_TASK: [], OTHER_TASK: []}
    order = [(one, ONE_TASK), (one, OTHER_TASK), (one, ONE_TASK)]
    for worker, name in [*order, (other, OTHER_TASK), (other, ONE_TASK)]:
        runs[name].append(run(worker, name))
    for (first, result, trajectory), *repeats in runs.values():
        assert result.executed == len(actions)
        for first_again, result_again, trajectory_again in repeats:
            for camera, image in first.images.items():
                np.testing.assert_array_equal(first_again.images[camera], image)
                np.testing.assert_array_equal(
                    result_again.observation.images[camera], result.observation.images[camera]
                )
            np.testing.assert_array_equal(
                trajectory_again.substep_joint_positions, trajectory.substep_joint_positions
            )
    assert runs[ONE_TASK][0][0].instruction != runs[OTHER_TASK][0][0].instruction


def test_a_chunk_beyond_the_suites_horizon_is_executed_and_reports_each_step(pool):
    """Whoever asks counts: an evaluation may have a longer horizon than the suite."""
    worker = pool.workers[0]
    worker.reset(OTHER_TASK, PATIENCE_S)
    executed = worker.execute(np.zeros((HORIZON - 3, 7)), PATIENCE_S, observe=False)
    assert executed.observation is None
    assert executed.executed == HORIZON - 3
    last = worker.execute(np.zeros((8, 7)), PATIENCE_S)
    assert last.executed == 8
    assert last.joint_positions.shape == last.joint_velocities.shape == (8, 7)
    assert last.gripper_positions.shape == (8, 2)
    np.testing.assert_array_equal(last.joint_positions[-1], last.observation.joint_positions)
    assert worker.trajectory(PATIENCE_S).steps == HORIZON + 5


def test_nothing_is_drawn_once_the_goal_is_reached():
    """Pins that the step of the success is the last, and that no image is made that nobody sees."""

    class Reached:
        steps, looks = 0, 0
        checked_actions = staticmethod(np.asarray)

        def reset(self, _):
            pass

        def step(self, _):
            self.steps += 1
            return self.steps == 11

        def observe(self):
            self.looks += 1
            return f'after {self.steps}'

        def joint_positions(self):
            return np.zeros(7)

        joint_velocities = joint_positions

        def gripper_positions(self):
            return np.zeros(2)

    environment = Reached()
    runner = EpisodeRunner(SimpleNamespace(get=lambda *_: environment))
    assert runner.reset(ONE_TASK) == 'after 0'
    assert runner.execute(np.zeros((8, 7)), observe=True).observation == 'after 8'
    last = runner.execute(np.zeros((8, 7)), observe=True)
    assert (last.success, last.executed, last.observation) == (True, 3, None)
    assert environment.looks == 2


def test_errors_in_a_worker_are_raised_where_it_was_asked(pool):
    """Pins kind and text of user errors, and that no row of a bad chunk is executed."""
    worker = pool.workers[1]
    with pytest.raises(UserError, match='libero_gaol'):
        worker.reset(EpisodeName('libero_gaol', 0, 0, 0), PATIENCE_S)
    worker.reset(ONE_TASK, PATIENCE_S)
    actions = np.zeros((4, 7))
    actions[2, 1] = np.nan
    with pytest.raises(UserError, match='row 2'):
        worker.execute(actions, PATIENCE_S)
    with pytest.raises(UserError, match='shape'):
        worker.execute(np.zeros((4, 6)), PATIENCE_S)
    assert worker.trajectory(PATIENCE_S).steps == 0


def test_a_late_answer_is_never_taken_for_the_next_one(pool):
    """Pins the reply numbers: after a timeout the next call gets its own answer."""
    worker = pool.workers[0]
    worker.reset(ONE_TASK, PATIENCE_S)
    with pytest.raises(WorkerTimeout, match=f'pid {worker.pid}.*execute'):
        worker.execute(np.zeros((20, 7)), timeout_s=0.001)
    trajectory = worker.trajectory(PATIENCE_S)
    assert isinstance(trajectory, Trajectory)
    assert trajectory.steps == 20


def test_a_worker_that_is_killed_in_the_middle_of_a_call_is_named_and_can_be_restarted(
    idle_worker,
):
    """Pins WorkerDied with the pid, long before the timeout, and a working successor."""
    raised = []

    def ask():
        try:
            idle_worker.reset(ONE_TASK, timeout_s=PATIENCE_S)
        except WorkerDied as error:
            raised.append(error)

    caller = threading.Thread(target=ask)
    pid = idle_worker.pid
    caller.start()
    os.kill(pid, signal.SIGKILL)
    caller.join(PATIENCE_S / 2)
    assert len(raised) == 1
    assert str(pid) in str(raised[0])
    with pytest.raises(WorkerDied, match=str(pid)):
        idle_worker.trajectory(PATIENCE_S)
    idle_worker.restart()
    assert idle_worker.pid != pid
    with pytest.raises(RuntimeError, match='before an episode'):
        idle_worker.trajectory(PATIENCE_S)


def test_an_interrupt_from_the_keyboard_does_not_end_a_worker(idle_worker):
    """Pins that Ctrl-C, which reaches the whole process group, is left to the owner."""
    with pytest.raises(RuntimeError, match='before an episode'):
        idle_worker.trajectory(PATIENCE_S)  # it serves by now
    os.kill(idle_worker.pid, signal.SIGINT)
    with pytest.raises(RuntimeError, match='before an episode'):
        idle_worker.trajectory(PATIENCE_S)


def test_a_worker_whose_owner_was_killed_ends_by_itself():
    """Pins that no process is left behind by kill -9."""
    program = (
        'from smoothvla_ros.simulation.rendering.settings import RenderSettings\n'
        'from smoothvla_ros.simulation.workers.worker_pool import WorkerPool\n'
        'if __name__ == "__main__":\n'
        '    pool = WorkerPool(1, RenderSettings())\n'
        '    print(pool.workers[0].pid, flush=True)\n'
        '    input()\n'
    )
    owner = subprocess.Popen(
        [sys.executable, '-c', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pid = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        assert wait_for_end(pid, PATIENCE_S / 2)
    finally:
        owner.kill()
        owner.communicate()


def test_no_workers_is_a_user_error():
    """Pins that a count below one is refused before a process is started."""
    with pytest.raises(UserError, match='at least 1'):
        WorkerPool(0, RenderSettings())


class FakeProcess:
    """Ends when it is killed, and not before."""

    pid = 1
    exitcode = -9

    def __init__(self):
        self.killed = threading.Event()

    def kill(self):
        self.killed.set()

    def join(self, timeout=None):
        assert self.killed.wait(PATIENCE_S), 'joined a process that nobody killed'


class FakeConnection:
    def close(self):
        pass


def test_a_worker_that_is_closed_while_it_restarts_ends_and_stays_ended(monkeypatch):
    """The restart puts another process in the place of the one that was killed."""
    started, goes_on, processes = threading.Event(), threading.Event(), []

    def start(self):
        processes.append(FakeProcess())
        if len(processes) == 2:
            started.set()
            assert goes_on.wait(PATIENCE_S)
        return processes[-1], FakeConnection()

    monkeypatch.setattr(Worker, '_start', start)
    worker = Worker('robot_0', RenderSettings(), 1000.0)
    restarts = threading.Thread(target=worker.restart)
    closes = threading.Thread(target=worker.close)
    restarts.start()
    assert started.wait(PATIENCE_S)
    closes.start()
    goes_on.set()
    for thread in (restarts, closes):
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert all(process.killed.is_set() for process in processes)
    worker.restart()
    assert len(processes) == 2
