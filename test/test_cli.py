"""What every subcommand of `smoothvla` does alike."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from smoothvla_ros import cli


def test_output_that_nobody_reads_ends_a_command_quietly():
    """As in `smoothvla benchmark --plan | head`: exit status 141, no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, '-m', 'smoothvla_ros.cli', 'benchmark', '--plan']
    ended = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, '')


def test_a_pipe_to_something_else_that_broke_is_not_taken_for_that(monkeypatch, tmp_path):
    """While the output can be written, a broken pipe is an error like any other."""

    def run(_):
        raise BrokenPipeError('the pipe to a worker')

    command = SimpleNamespace(add_arguments=lambda _: None, run=run)
    monkeypatch.setattr(cli, '_load', lambda *_: command)
    with open(tmp_path / 'output', 'w') as output, monkeypatch.context() as redirected:
        redirected.setattr(sys, 'stdout', output)
        with pytest.raises(BrokenPipeError, match='worker'):
            cli.main(['bench'])
