"""Commands of `smoothvla` whose output nobody reads, or that have none."""

import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from smoothvla_ros import cli

COMMAND = """
import sys
from types import SimpleNamespace
from smoothvla_ros import cli
cli._load = lambda *_: SimpleNamespace(add_arguments=lambda _: None, run=lambda _: print('a line'))
sys.exit(cli.main(['report']))
"""


def run_with_output(**output):
    """Run a command that prints a line; its exit status and what it says of errors."""
    ended = subprocess.run(
        [sys.executable, '-c', COMMAND],
        **output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_output_that_nobody_reads_ends_a_command_quietly():
    """As in `smoothvla benchmark --plan | head`: status 141, no traceback; a socket likewise."""
    reading, writing = os.pipe()
    os.close(reading)
    assert run_with_output(stdout=writing) == (141, '')
    os.close(writing)
    ours, theirs = socket.socketpair()
    ours.close()
    assert run_with_output(stdout=theirs) == (141, '')
    theirs.close()


def test_a_command_without_an_output_ends_as_ever():
    """As a shell starts it with `>&-`, and some a daemon."""
    assert run_with_output(preexec_fn=lambda: os.close(1)) == (0, '')


def test_a_pipe_to_something_else_that_broke_is_not_taken_for_that(monkeypatch, tmp_path):
    """While the output can be written, a broken pipe is an error like any other."""

    def run(_):
        raise BrokenPipeError('the pipe to a worker')

    command = SimpleNamespace(add_arguments=lambda _: None, run=run)
    monkeypatch.setattr(cli, '_load', lambda *_: command)
    with open(tmp_path / 'output', 'w') as output, monkeypatch.context() as redirected:
        redirected.setattr(sys, 'stdout', output)
        with pytest.raises(BrokenPipeError, match='worker'):
            cli.main(['report'])
