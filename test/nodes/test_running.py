"""Processes of nodes and jobs: told more than once to end, and without a folder for ROS's logs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BOTH_AT_ONCE = """
import signal, sys, threading

def both_at_once():
    '''What a terminal and a launch file send, before either is handled.'''
    signals = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    for number in signals:
        signal.pthread_kill(threading.main_thread().ident, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
"""

NODE = """
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.running import run_node

class Told(AutostartNode):
    def activate(self):
        both_at_once()

sys.exit(run_node(lambda: Told('told')))
"""

JOB = """
from dataclasses import dataclass
from smoothvla_ros.configuration import setting
from smoothvla_ros.nodes.jobs.job import run_job

@dataclass(frozen=True)
class Settings:
    robots: int = setting(1, 'Robots')

def work(node, config, source):
    try:
        both_at_once()
    finally:
        for _ in range(1000):
            pass
        print('tidied up')

sys.exit(run_job('told', Settings, work))
"""


def ran(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; variables: of the environment, '' for none."""
    command = [sys.executable, '-c', script]
    environment = {name: value for name, value in (os.environ | variables).items() if value}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100.0, check=False, env=environment
    )


@pytest.mark.parametrize('kind', ['node', 'job'])
@pytest.mark.parametrize(
    ('variables', 'words'),
    [
        (
            {'HOME': '', 'ROS_LOG_DIR': '', 'ROS_HOME': ''},
            'error: ROS has no folder for its logs; set HOME or ROS_LOG_DIR',
        ),
        (
            {'ROS_LOG_DIR': '/dev/null/logs'},
            "error: ROS: failed to initialize logging: Failed to create log directory '/dev/null/",
        ),
    ],
)
def test_without_a_folder_for_logs_it_is_one_line(kind, variables, words):
    """As where a service starts a node without HOME; ROS's own words are a traceback."""
    done = ran('import sys\n' + (NODE if kind == 'node' else JOB), **variables)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(words)
    assert done.stderr.count('\n') == 1


def test_a_node_without_log_files_needs_no_folder_for_them():
    """A container that switches them off may have no HOME."""
    script = "import sys\nsys.argv += ['--ros-args', '--disable-external-lib-logs']\n"
    done = ran(BOTH_AT_ONCE + script + NODE, HOME='', ROS_LOG_DIR='', ROS_HOME='')
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize(
    ('script', 'status', 'said'), [(NODE, 0, ''), (JOB, 130, 'tidied up\n')], ids=['node', 'job']
)
def test_two_signals_at_once_end_a_process_without_a_word(script, status, said):
    """Both are pending when the first is handled; Python tells of one that is ignored by then."""
    ended = ran(BOTH_AT_ONCE + script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, said, '')


SLOW_START = """
import os, signal, sys
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.running import run_node

class Slow(AutostartNode):
    def configure(self):
        os.kill(os.getpid(), signal.{signal})
        print('loaded')

    def stop(self):
        print('stopped')

sys.exit(run_node(lambda: Slow('slow')))
"""


@pytest.mark.parametrize('signal', ['SIGINT', 'SIGTERM'])
def test_signal_ends_a_start(signal):
    """A node that is told to end does not load its model first."""
    ended = ran(SLOW_START.format(signal=signal))
    assert (ended.returncode, set(ended.stdout.split()), ended.stderr) == (0, {'stopped'}, '')


DONE = """
import sys
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.running import run_node

class Done(AutostartNode):
    def activate(self):
        self.create_timer(0.01, self.end)

    def stop(self):
        print('stopped')

sys.exit(run_node(lambda: Done('done')))
"""


def test_a_node_that_is_done_ends_its_process():
    """As a success: who waits for the launch goes on with what comes next."""
    ended = ran(DONE)
    assert (ended.returncode, set(ended.stdout.split()), ended.stderr) == (0, {'stopped'}, '')
