"""Processes that an interrupt reaches while they are being started."""

import os
import signal
import socket
import threading

import pytest

from smoothvla_ros.simulation.workers.owned_processes import deaf_to_interrupts


@pytest.fixture
def another_thread():
    """A thread that blocks nothing, as those of numerical libraries; says when it was told."""
    told, tells = socket.socketpair()
    tells.setblocking(False)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    before = signal.set_wakeup_fd(tells.fileno())
    with told, tells:
        yield told
        signal.set_wakeup_fd(before)
    end.set()
    thread.join()


def test_what_has_begun_to_start_is_started_before_an_interrupt_is_heard(another_thread):
    """A process was left half started, and ended with a traceback after our own last line."""
    started = []

    def start():
        with deaf_to_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            assert another_thread.recv(1) == bytes([signal.SIGINT])
            started.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_started_is_deaf_and_who_started_it_hears_again():
    """The mask is inherited by what starts meanwhile, in whichever thread."""
    masks = []

    def start():
        with deaf_to_interrupts():
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    start()
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [signal.SIGINT in mask for mask in masks] == [True, False, True, False]
