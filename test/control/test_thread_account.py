"""What a late tick is accounted for: its own work, others' turns, other threads, disks, waiting."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from smoothvla_ros.control.motion_guard.thread_account import ThreadAccount, ThreadUse

WORK_S = 0.3


def compute(seconds):
    """Use so much of a processor in this thread, however many others want it."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def spin(started):
    started.set()
    while True:
        pass


@pytest.fixture
def account():
    account = ThreadAccount()
    account.begin()
    return account


def test_own_work_is_own_work(account):
    """A tick that computes for too long is no fault of the machine."""
    compute(WORK_S)
    use = account.use()
    assert use.computed_s == pytest.approx(WORK_S, abs=0.05)
    assert use.passed_s >= use.computed_s


def test_begin_starts_from_nothing(account):
    """What was before the last tick explains nothing of this one."""
    compute(WORK_S)
    account.begin()
    assert account.use().computed_s < 0.05


def test_count_may_begin_where_a_mark_was_taken(account):
    """A tick begins before it is known whether the one before has to be accounted for."""
    mark = account.mark()
    compute(WORK_S)
    assert account.use().computed_s > 0.9 * WORK_S
    account.begin(mark)
    assert account.use().computed_s > 0.9 * WORK_S


def test_threads_that_follow_one_another_are_not_taken_for_one():
    """The library gives the next one the identity of the last, which the kernel has forgotten."""
    account, heard = ThreadAccount(), []

    def tick():
        heard.append(account.use())
        account.begin()
        heard.append(account.use())

    for _ in range(5):
        thread = threading.Thread(target=tick)
        thread.start()
        thread.join()
    assert [use is None for use in heard] == [True, False] * 5


def test_a_kernel_that_does_not_tell_is_no_reason_to_end(monkeypatch):
    """Nor are a container that hides it and a process that has no descriptor left."""

    def refuse(*_):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(os, 'open', refuse)
    account = ThreadAccount()
    account.begin()
    assert account.use().queued_s == 0.0


def test_waiting_is_neither_work_nor_want_of_a_processor(account):
    """A lock, a message that does not come."""
    threading.Event().wait(WORK_S)
    use = account.use()
    assert use.passed_s >= WORK_S
    assert use.computed_s < 0.05
    assert use.others_s < 0.05


def test_other_threads_of_the_process_are_told_apart(account):
    """They may hold the interpreter; threads that have ended count too."""
    thread = threading.Thread(target=compute, args=(WORK_S,))
    thread.start()
    thread.join()
    use = account.use()
    assert use.others_s == pytest.approx(WORK_S, abs=0.1)
    assert use.computed_s < 0.1


def test_turns_of_other_programs_are_a_wait_for_a_processor(account):
    """One processor, and two who want all of it."""
    if not Path('/proc/thread-self/schedstat').exists():
        pytest.skip('this kernel does not count how long a thread waits for a processor')
    mine = os.sched_getaffinity(0)
    started = multiprocessing.get_context('spawn').Event()
    rival = multiprocessing.get_context('spawn').Process(target=spin, args=(started,), daemon=True)
    rival.start()
    try:
        assert started.wait(30.0)
        one = {min(mine)}
        os.sched_setaffinity(rival.pid, one)
        os.sched_setaffinity(0, one)
        account.begin()
        compute(WORK_S)
        use = account.use()
    finally:
        os.sched_setaffinity(0, mine)
        rival.kill()
        rival.join()
    assert use.queued_s > 0.1
    assert use.computed_s + use.queued_s <= use.passed_s + 0.05


def test_page_that_is_not_in_memory_is_a_read_from_a_disk(account, tmp_path):
    """A part of a program that was pushed out of memory, or was never there."""
    path = tmp_path / 'pages'
    path.write_bytes(os.urandom(64 * mmap.PAGESIZE))
    with path.open('rb') as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
            pages.madvise(mmap.MADV_RANDOM)
            before = account.use().disk_reads
            sum(pages[:: mmap.PAGESIZE])
    reads = account.use().disk_reads - before
    if not reads:
        pytest.skip(f'{tmp_path} is in memory: nothing of it is ever read from a disk')
    assert reads <= 64


def test_another_thread_has_an_account_of_its_own(account):
    """The process's own thread ticks while a node ends; the executor's times are not its own."""
    compute(WORK_S)
    heard = []

    def elsewhere():
        heard.append(account.use())
        account.begin()
        heard.append(account.use())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard[0] is None
    assert heard[1].computed_s < 0.05


def test_text_says_where_the_time_went():
    """In the order in which a reader would look; what did not happen is not said."""
    use = ThreadUse(1.3684, 0.0211, 0.7, 0.25, 2)
    assert str(use) == (
        '1.368 s passed on this machine since the tick before: 0.021 s computed, 0.700 s waited '
        "for a processor, 0.250 s computed by the process's other threads, pages of memory read "
        'from a disk 2'
    )
    assert str(replace(use, queued_s=0.0, others_s=0.0, disk_reads=0)).endswith('0.021 s computed')


def test_nobody_knows_what_another_thread_did(account):
    """Nothing is said then, instead of numbers of two threads."""
    assert 's computed' in account.text()
    assert ThreadAccount().text() == ''
