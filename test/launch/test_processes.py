"""Processes that live and die together."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from smoothvla_ros.nodes.launch_runner.processes import ProcessGroup, ProcessSpec

WAIT = 'import signal; print("up", flush=True); signal.pause()'
WORDS_LATER = 'import time; time.sleep(0.5); print("last words", end="")'


def group(*specs):
    stream = io.StringIO()
    return ProcessGroup(
        [
            ProcessSpec(label, [sys.executable, '-c', code], terminal=False, ends_all=ends_all)
            for label, code, ends_all in specs
        ],
        os.environ,
        stream,
    ), stream


def test_end_of_one_ends_all_with_its_exit_code():
    """The status is that of the process that ended it, output is prefixed with its name."""
    run, stream = group(
        ('waiter', WAIT, True), ('worker', 'print("done"); raise SystemExit(3)', True)
    )
    started = time.monotonic()
    assert run.run() == 3
    assert time.monotonic() - started < 4.0
    text = stream.getvalue()
    assert '[worker] done\n' in text
    assert '[worker] ended with exit code 3' in text
    assert '[launch] worker ended with exit code 3: stopping the others' in text
    assert '[waiter] ' in text


def test_killed_process_is_named_with_its_signal_within_a_second():
    """kill -9 of a node shows at once, and never as success."""
    run, stream = group(
        ('victim', f'import os, signal; os.kill(os.getpid(), {signal.SIGKILL})', True),
        ('waiter', WAIT, True),
    )
    assert run.run() == 128 + signal.SIGKILL
    assert '[victim] died of SIGKILL' in stream.getvalue()


def test_a_start_that_fails_leaves_no_process_and_no_descriptor():
    """The second command does not exist: the first is killed and waited for, all is closed."""
    open_before = set(os.listdir('/proc/self/fd'))
    run, _ = group(('waiter', WAIT, True))
    run._specs.append(ProcessSpec('nobody', ['/no/such/command'], terminal=False, ends_all=True))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    try:
        with pytest.raises(FileNotFoundError):
            run.run()
        assert signal.set_wakeup_fd(-1) == writing
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
    assert set(os.listdir('/proc/self/fd')) == open_before
    ((_, process),) = run._running.values()
    assert process.returncode == -signal.SIGKILL


def test_process_that_does_not_end_all_may_end():
    """A helper's end is said and nothing more happens."""
    run, stream = group(('helper', 'pass', False), ('worker', WORDS_LATER, True))
    assert run.run() == 0
    assert '[helper] ended (pid' in stream.getvalue()
    assert 'helper ended: stopping' not in stream.getvalue()


def test_last_words_without_a_newline_are_printed():
    """What a dying process wrote last is often what matters."""
    run, stream = group(('worker', WORDS_LATER, True))
    run.run()
    assert '[worker] last words\n' in stream.getvalue()


def test_interrupt_stops_every_process():
    """Ctrl-C of the runner reaches all, and the status says that it was interrupted."""
    run, stream = group(('one', WAIT, True), ('two', WAIT, True))
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert run.run() == 130
    timer.join()
    assert '[one] ' in stream.getvalue()
    assert '[two] ' in stream.getvalue()


def test_process_that_ignores_the_first_signal_gets_a_stronger_one(monkeypatch):
    """Nothing can keep the group from ending."""
    monkeypatch.setattr(
        'smoothvla_ros.nodes.launch_runner.processes.ESCALATION',
        ((signal.SIGINT, 0.0), (signal.SIGTERM, 0.3), (signal.SIGKILL, 0.6)),
    )
    stubborn = f'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {WAIT}'
    run, stream = group(('stubborn', stubborn, True), ('worker', WORDS_LATER, True))
    assert run.run() == 0
    assert 'still running, sending SIGTERM' in stream.getvalue()


RUNNER = """
import os, sys
from smoothvla_ros.nodes.launch_runner.processes import ProcessGroup, ProcessSpec
command = [sys.executable, '-c', sys.argv[1]]
ProcessGroup([ProcessSpec('waiter', command, terminal=False, ends_all=True)], os.environ).run()
"""


def test_nothing_outlives_a_killed_runner():
    """kill -9 leaves the runner no time to stop its processes; the kernel tells them."""
    with subprocess.Popen(
        [sys.executable, '-c', RUNNER, WAIT],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    ) as runner:
        pid = int(runner.stdout.readline().rpartition(' ')[2])
        waiter = os.pidfd_open(pid)
        assert runner.stdout.readline() == '[waiter] up\n'
        runner.kill()
        ended, _, _ = select.select([waiter], [], [], 10.0)
    if not ended:
        signal.pidfd_send_signal(waiter, signal.SIGKILL)
    os.close(waiter)
    assert ended
