"""Processes of one owner: what an interrupt does to their start, and what they leave behind."""

import os
import signal
import threading

import pytest

from smoothvla_ros.simulation.workers.owned_processes import (
    finished_work,
    start_without_interrupts,
)

THREADS = 'OMP_NUM_THREADS'


@pytest.fixture
def interrupted():
    """Set once the main thread has heard SIGINT; it raises KeyboardInterrupt then, as ever."""
    heard = threading.Event()

    def interrupt(number, frame):
        heard.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    yield heard
    assert signal.getsignal(signal.SIGINT) is interrupt
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize('waits', [False, True])
def test_what_has_begun_to_start_is_started_before_an_interrupt_is_heard(interrupted, waits):
    """A process was left half started, and ended with a traceback after our own last line.

    Once in the moment in which its thread is being started, once while it is waited for.
    """
    started, looks = [], threading.Event()

    def start():
        if waits:
            # The main thread has come back from `Thread.start` when it asks for the outcome.
            looks.wait(0.2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert interrupted.wait(30.0)
        looks.wait(0.2)  # a start that takes its time
        started.append(True)

    with pytest.raises(KeyboardInterrupt):
        start_without_interrupts(start)
    assert started == [True]


def test_what_is_started_is_deaf_and_who_started_it_hears_again():
    """The mask is inherited by what starts; the caller's own stays as it was."""
    masks = [
        start_without_interrupts(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ]
    assert [signal.SIGINT in mask for mask in masks] == [True, False]


def test_what_fails_to_start_says_why():
    """Its error is the caller's, not a thread's."""

    def fail():
        raise OSError('no more processes')

    with pytest.raises(OSError, match='no more processes'):
        start_without_interrupts(fail)


def prepare_nothing():
    """Start as any process does."""


@pytest.mark.parametrize('chosen', [None, '2'])
def test_work_in_processes_leaves_the_threads_of_its_owner_alone(monkeypatch, chosen):
    """Each computes in one thread, or in as many as the user says; a later process in its own."""
    monkeypatch.delenv(THREADS, raising=False)
    if chosen is not None:
        monkeypatch.setenv(THREADS, chosen)
    seen = list(finished_work(os.getenv, [THREADS] * 3, 2, prepare_nothing))
    assert seen == [chosen or '1'] * 3
    assert os.environ.get(THREADS) == chosen
