"""Processes that live and die together."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from smoothvla_ros.parent_death import signal_on_parent_death

# As launch does: SIGINT first, SIGTERM and SIGKILL for what is still there after so long, s.
# Whatever hangs, a run has ended within ten seconds.
ESCALATION = ((signal.SIGINT, 0.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 6.0))


@dataclass(frozen=True)
class ProcessSpec:
    """One process: its name on the terminal, its command, and whether it owns the terminal."""

    label: str
    command: Sequence[str]
    terminal: bool
    ends_all: bool


class ProcessGroup:
    """Runs processes until one that ends all of them ends, or a signal comes."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        environment: Mapping[str, str],
        stream: TextIO = sys.stdout,
    ) -> None:
        self._specs = specs
        self._environment = environment
        self._stream = stream
        self._running: dict[int, tuple[ProcessSpec, subprocess.Popen[bytes]]] = {}
        self._selector = selectors.DefaultSelector()
        self._partial: dict[int, bytes] = {}
        self._status: int | None = None
        self._stopping_since: float | None = None
        self._sent = 0
        self._interrupts = 0

    def run(self) -> int:
        """Run to the end and return the exit status of the process that ended it all.

        130 after a signal; 128 + n for a process that died of signal n.
        """
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        previous_wakeup = signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        self._selector.register(wakeup_read, selectors.EVENT_READ, None)
        try:
            for spec in self._specs:
                self._start(spec)
            while self._running:
                self._look()
        finally:
            for descriptor, (_, process) in self._running.items():
                process.kill()
                process.wait()
                os.close(descriptor)
                if process.stdout is not None:
                    process.stdout.close()
            self._selector.close()
            signal.set_wakeup_fd(previous_wakeup)
            os.close(wakeup_read)
            os.close(wakeup_write)
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._status if self._status is not None else 0

    def _start(self, spec: ProcessSpec) -> None:
        pipe = None if spec.terminal else subprocess.PIPE
        process = subprocess.Popen(
            spec.command,
            stdin=None if spec.terminal else subprocess.DEVNULL,
            stdout=pipe,
            stderr=None if spec.terminal else subprocess.STDOUT,
            env=self._environment,
            # A killed runner can stop nobody, and nodes left alone would work on in its domain. A
            # busy machine makes a farewell last; a run can go on after any kill.
            preexec_fn=signal_on_parent_death(signal.SIGKILL),
        )
        # A descriptor of the process that becomes readable when it ends: no polling.
        descriptor = os.pidfd_open(process.pid)
        self._running[descriptor] = (spec, process)
        self._selector.register(descriptor, selectors.EVENT_READ, 'exit')
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, spec.label)
            self._partial[process.stdout.fileno()] = b''
        self._say(spec.label, f'started, pid {process.pid}')

    def _look(self) -> None:
        """Wait for output, an end or a signal, and deal with it."""
        ready = self._selector.select(self._patience())
        for key, _ in ready:
            if key.data is None:
                os.read(key.fd, 64)
            elif key.data != 'exit':
                self._forward(key.fd, key.data)
        for key, _ in ready:
            if key.data == 'exit':
                self._ended(key.fd)
        if self._interrupts and self._stopping_since is None:
            self._status = 130
            self._stop('interrupted')
        self._escalate()

    def _patience(self) -> float | None:
        if self._stopping_since is None or self._sent >= len(ESCALATION):
            return None
        return max(0.0, self._stopping_since + ESCALATION[self._sent][1] - time.monotonic())

    def _forward(self, descriptor: int, label: str) -> None:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(descriptor)
            return
        *lines, rest = (self._partial[descriptor] + data).split(b'\n')
        self._partial[descriptor] = rest
        for line in lines:
            self._say(label, line.decode(errors='replace'))

    def _ended(self, descriptor: int) -> None:
        spec, process = self._running.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        code = process.wait()
        self._drain(spec, process)
        if code < 0:
            how = f'died of {signal.Signals(-code).name}'
        elif code:
            how = f'ended with exit code {code}'
        else:
            how = 'ended'
        self._say(spec.label, f'{how} (pid {process.pid})')
        if spec.ends_all and self._stopping_since is None:
            self._status = 128 - code if code < 0 else code
            self._stop(f'{spec.label} {how}')

    def _drain(self, spec: ProcessSpec, process: subprocess.Popen[bytes]) -> None:
        """Print what a process wrote last."""
        if process.stdout is None:
            return
        descriptor = process.stdout.fileno()
        if descriptor in self._selector.get_map():
            self._forward(descriptor, spec.label)
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
        if self._partial[descriptor]:
            self._say(spec.label, self._partial[descriptor].decode(errors='replace'))
        process.stdout.close()

    def _stop(self, reason: str) -> None:
        self._stopping_since = time.monotonic()
        if self._running:
            self._say('launch', f'{reason}: stopping the others')

    def _escalate(self) -> None:
        if self._stopping_since is None:
            return
        elapsed = time.monotonic() - self._stopping_since
        while self._sent < len(ESCALATION) and elapsed >= ESCALATION[self._sent][1]:
            number = ESCALATION[self._sent][0]
            self._sent += 1
            for spec, process in self._running.values():
                if number != signal.SIGINT:
                    self._say(spec.label, f'is still running, sending {number.name}')
                process.send_signal(number)

    def _say(self, label: str, line: str) -> None:
        print(f'[{label}] {line}', file=self._stream, flush=True)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1
