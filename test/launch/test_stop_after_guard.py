"""What moves an arm is stopped after the guard, whoever ends and whoever runs the launch file."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from smoothvla_ros.nodes.launch_runner.node_command import node_command
from smoothvla_ros.nodes.launch_runner.plan import make_plan
from smoothvla_ros.nodes.launch_runner.processes import ESCALATION, ProcessGroup, ProcessSpec
from smoothvla_ros.nodes.launching import stop_after_guard
from smoothvla_ros.nodes.motion_guard.config import STOP_TIMEOUT_S

LAUNCH = Path(__file__).parents[2] / 'launch' / 'deploy.launch.py'
MODULE = 'smoothvla_ros.nodes.launching.stop_after_guard'
STOP_S = 1.0

# It needs its time to stop the arm, as the guard does.
GUARD = f"""
import signal, time
def stop(*_):
    time.sleep({STOP_S})
    print('at rest', flush=True)
    exit()
signal.signal(signal.SIGINT, stop)
print('up', flush=True)
while True:
    signal.pause()
"""
CONTROLLERS = """
import signal
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: (print('controllers off', flush=True), exit()))
print('up', flush=True)
while True:
    signal.pause()
"""
# The others can be told to end once they listen.
SAYS_UP = 'open(__file__ + ".up", "w").close()'
ENDS_WHEN_THE_OTHERS_ARE_UP = """
import pathlib, time
library = pathlib.Path(__file__).parents[1]
while len(list(library.glob('*/*.up'))) < 3:
    time.sleep(0.01)
"""


@pytest.fixture
def fake_ros(tmp_path, monkeypatch):
    """Executables under the names of the real ones."""
    codes = {
        'controller_manager/ros2_control_node': CONTROLLERS,
        'robot_state_publisher/robot_state_publisher': CONTROLLERS,
        'smoothvla_ros/motion_guard': GUARD,
        'smoothvla_ros/policy': ENDS_WHEN_THE_OTHERS_ARE_UP,
    }
    for name, code in codes.items():
        path = tmp_path / 'prefix' / 'lib' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        up = code.replace('while True', f'{SAYS_UP}\nwhile True')
        path.write_text(f'#!{sys.executable}\n{up}')
        path.chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'prefix'))
    document = SimpleNamespace(toxml=lambda: '<robot/>')
    fake = SimpleNamespace(process_file=lambda *_, **__: document)
    monkeypatch.setitem(sys.modules, 'xacro', fake)
    return {name.rpartition('/')[2] for name in codes}


def lines(stream, wanted):
    """Lines until one has these words."""
    found = []
    for line in stream:
        found.append(line)
        if wanted in line:
            return found
    raise AssertionError(f'{wanted!r} never came: {found}')


def test_a_node_that_ends_leaves_the_controllers_to_the_guard_until_the_arm_rests(
    fake_ros, tmp_path
):
    """The launch tells all at once; the controllers go off only when the guard is done."""
    specs = [
        ProcessSpec(node.label, node_command(node, tmp_path), node.terminal, node.ends_all)
        for node in make_plan(LAUNCH, {'hardware': 'mock'}).nodes
        if node.executable in fake_ros
    ]
    assert len(specs) == len(fake_ros)
    with (tmp_path / 'out').open('w+') as stream:
        assert ProcessGroup(specs, os.environ, stream).run() == 0
        stream.seek(0)
        text = stream.read()
    assert '[launch] policy ended: stopping the others' in text
    assert text.count('controllers off') == 2
    assert text.index('[motion_guard] at rest') < text.index('controllers off')
    assert 'sending' not in text


@pytest.mark.usefixtures('fake_ros')
@pytest.mark.parametrize('hardware', ['mock', 'twin'])
def test_the_longest_stop_fits_before_the_launch_kills(hardware):
    """The limit lies between the guard's own and the runner's last signal, with a second spare.

    The twin is told last too: by its clock the guard stops, and without it for ever.
    """
    nodes = make_plan(LAUNCH, {'hardware': hardware}).nodes
    (limit,) = {float(node.prefix[-1]) for node in nodes if node.prefix}
    assert STOP_TIMEOUT_S < limit < ESCALATION[-1][1] - 1.0


# A launch as the real one: its processes share its process group, and Ctrl-C reaches all of them.
LAUNCHER = f"""
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
guard = [sys.executable, '-c', sys.argv[1], '-r', '__node:=motion_guard']
manager = [sys.executable, '-m', '{MODULE}', sys.argv[3], sys.executable, '-c', sys.argv[2]]
signal.signal(signal.SIGINT, signal.default_int_handler)
processes = [subprocess.Popen(guard), subprocess.Popen(manager)]
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('pids', *[process.pid for process in processes], flush=True)
for process in processes:
    process.wait()
"""


@pytest.fixture
def launched():
    """Start a guard and controllers as a launch does; [launcher, pid of guard, pid of wrapper]."""
    started = []

    def start(limit_s, guard=GUARD, controllers=CONTROLLERS):
        process = subprocess.Popen(
            [sys.executable, '-c', LAUNCHER, guard, controllers, str(limit_s)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        )
        started.append(process)
        pids, ups = None, 0
        while pids is None or ups < 2:
            line = process.stdout.readline()
            assert line
            if line.startswith('pids'):
                pids = [int(word) for word in line.split()[1:]]
            ups += line == 'up\n'
        return process, *pids

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_interrupt_of_the_terminal_reaches_the_controllers_last(launched):
    """Ctrl-C goes to the whole group, twice by an impatient hand; SIGTERM follows."""
    launcher, _, wrapper = launched(30.0)
    for _ in range(2):
        os.killpg(launcher.pid, signal.SIGINT)
    os.kill(wrapper, signal.SIGTERM)
    text = ''.join(launcher.stdout)
    assert 'waiting for motion_guard to stop the arm, 30 s at most' in text
    assert text.index('at rest') < text.index('controllers off')
    assert launcher.wait() == 0


def test_a_guard_that_was_killed_leaves_the_arm_time_to_stop(launched):
    """It braked on what it sent last, and the controllers have to carry that out."""
    launcher, guard, wrapper = launched(1.5)
    descriptor = os.pidfd_open(guard)
    os.kill(guard, signal.SIGKILL)
    assert select.select([descriptor], [], [], 10.0)[0]
    os.close(descriptor)
    told = time.monotonic()
    os.kill(wrapper, signal.SIGINT)
    lines(launcher.stdout, 'motion_guard is gone')
    lines(launcher.stdout, 'controllers off')
    assert time.monotonic() - told >= 1.5


def test_a_guard_that_hangs_is_not_waited_for_for_ever(launched):
    """After the limit the controllers go off, whatever the guard does."""
    launcher, guard, wrapper = launched(1.0)
    os.kill(guard, signal.SIGSTOP)
    told = time.monotonic()
    os.kill(wrapper, signal.SIGINT)
    lines(launcher.stdout, 'controllers off')
    assert time.monotonic() - told >= 1.0


def test_a_name_that_is_cut_within_a_character_does_no_harm(launched):
    """The kernel keeps 15 bytes of it, of every process of the machine."""
    named = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\xe7\\x9b', 0, 0, 0)\n"
    launcher, _, _ = launched(30.0, guard=named + GUARD)
    os.killpg(launcher.pid, signal.SIGINT)
    assert 'waiting for motion_guard' in ''.join(launcher.stdout)


def test_a_process_that_may_not_be_looked_at_is_passed_over(tmp_path, monkeypatch):
    """Those of other users where /proc is mounted with hidepid=1: PermissionError there."""
    (tmp_path / '1' / 'stat').mkdir(parents=True)
    monkeypatch.setattr(stop_after_guard, 'PROCESSES', tmp_path)
    assert stop_after_guard.guard_beside() is None


def test_controllers_that_are_told_twice_hear_it_twice(launched):
    """The launch's stronger signal is for a controller manager that hangs after the first."""
    stubborn = CONTROLLERS.replace('(signal.SIGINT, signal.SIGTERM)', '(signal.SIGTERM,)')
    stubborn = 'import signal\nsignal.signal(signal.SIGINT, lambda *_: print("no", flush=True))' + (
        stubborn
    )
    launcher, _, wrapper = launched(30.0, controllers=stubborn)
    os.killpg(launcher.pid, signal.SIGINT)
    lines(launcher.stdout, 'no')
    os.kill(wrapper, signal.SIGTERM)
    lines(launcher.stdout, 'controllers off')
    assert launcher.wait() == 0


def test_controllers_outlive_nobody(launched):
    """A wrapper that is killed tells them itself: the kernel does."""
    launcher, _, wrapper = launched(30.0)
    os.kill(wrapper, signal.SIGKILL)
    lines(launcher.stdout, 'controllers off')


def test_controllers_that_hear_nothing_are_killed_with_the_wrapper(launched):
    """The launch's last signal reaches the wrapper alone; a twin left over is a second clock."""
    deaf = """
import os, signal
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: print('deaf', os.getpid(), flush=True))
print('up', flush=True)
while True:
    signal.pause()
"""
    launcher, _, wrapper = launched(30.0, controllers=deaf)
    os.killpg(launcher.pid, signal.SIGINT)
    descriptor = os.pidfd_open(int(lines(launcher.stdout, 'deaf')[-1].split()[1]))
    os.kill(wrapper, signal.SIGKILL)
    try:
        assert select.select([descriptor], [], [], 10.0)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)


@pytest.mark.parametrize(
    ('code', 'status'),
    [('raise SystemExit(3)', 3), ('import os; os.kill(os.getpid(), 9)', 137)],
)
def test_the_end_of_the_controllers_is_said_as_it_was(code, status):
    """The launch's exit status stays that of what ended it."""
    command = [sys.executable, '-m', MODULE, '30', sys.executable, '-c', code]
    environment = os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, check=False).returncode == status
