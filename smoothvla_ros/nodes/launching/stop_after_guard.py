"""Run a command that an interrupt reaches only when the motion guard has ended.

    python -m smoothvla_ros.nodes.launching.stop_after_guard LIMIT_S COMMAND ...

Whatever ends a launch, a node or Ctrl-C, all its processes are told at the same moment. A
controller manager takes its controllers from the arm at once, and the stop that the guard then
sends would reach nobody; the twin takes the clock along by which the guard stops. So the launch
file runs either by this command, which takes the signal in its place and hands it on later. It uses
no ROS: the kernel says when the guard has ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from smoothvla_ros.parent_death import signal_on_parent_death

ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
# What a launch calls the guard on its command line.
GUARD = '__node:=motion_guard'
PROCESSES = Path('/proc')


def run(command: Sequence[str], limit_s: float) -> int:
    """Run a command to its end; return its exit status, 128 + n where it died of signal n.

    limit_s: the longest that the first signal is kept back, s. Later ones are handed on at once.
    """
    watched = ENDING | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    process = _start(command)
    is_told = False
    while process.poll() is None:
        number = signal.sigwait(watched)
        if number == signal.SIGCHLD:
            continue
        if is_told:
            process.send_signal(number)
            continue
        wait_for_guard(process.pid, limit_s)
        # The terminal and the launch both send; who became impatient meanwhile has waited.
        while signal.sigtimedwait(ENDING, 0) is not None:
            pass
        _let_die_with_us(process.pid)
        process.send_signal(signal.SIGINT)
        is_told = True
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def wait_for_guard(pid: int, limit_s: float) -> None:
    """Return when the guard beside this process has ended, or process `pid`, or after `limit_s`.

    A guard that is no more has died, and the arm brakes on what it sent last: that takes time too,
    and nobody says when it is over.
    """
    guard = guard_beside()
    if guard is None:
        _say(f'motion_guard is gone: the arm has {limit_s:g} s to stop on its last command')
        awaited = [pid]
    else:
        _say(f'waiting for motion_guard to stop the arm, {limit_s:g} s at most')
        awaited = [pid, guard]
    with contextlib.ExitStack() as descriptors:
        ends = []
        for process in awaited:
            try:
                ends.append(os.pidfd_open(process))
            except ProcessLookupError:
                return
            descriptors.callback(os.close, ends[-1])
        select.select(ends, [], [], limit_s)


def guard_beside() -> int | None:
    """Return the process id of the guard that the same launch started; None if there is none."""
    for folder in PROCESSES.glob('[0-9]*'):
        try:
            # The name before it may hold spaces, brackets and half a character.
            parent = folder.joinpath('stat').read_bytes().rpartition(b')')[2].split()[1]
            words = folder.joinpath('cmdline').read_bytes().split(b'\0')
        except OSError:
            # It has ended since the folder was listed, or another user's are not shown (hidepid).
            continue
        if int(parent) == os.getppid() and GUARD.encode() in words:
            return int(folder.name)
    return None


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    die_with_us = signal_on_parent_death(signal.SIGINT)

    def before_program() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING | {signal.SIGCHLD})
        die_with_us()

    # A session of its own: Ctrl-C in a terminal reaches every process of the terminal's.
    return subprocess.Popen(command, start_new_session=True, preexec_fn=before_program)


def _let_die_with_us(pid: int) -> None:
    """Have a command that was told to end killed if we are.

    A launch kills, when its patience ends, what it knows, and that is us. The signal that the
    command gets of the kernel then is the one that it has not obeyed.
    """
    with contextlib.ExitStack() as descriptors:
        ends = []
        for process in (os.getpid(), pid):
            ends.append(os.pidfd_open(process))
            descriptors.callback(os.close, ends[-1])
        if os.fork():
            return
        try:
            # The first of them that ends; signals meant for the group stay blocked meanwhile.
            select.select(ends, [], [])
            signal.pidfd_send_signal(ends[1], signal.SIGKILL)
        finally:
            os._exit(0)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run the command of the command line; returns its exit status."""
    return run(sys.argv[2:], float(sys.argv[1]))


if __name__ == '__main__':
    sys.exit(main())
