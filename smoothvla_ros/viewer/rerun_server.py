"""Rerun's data server as a child process: on loopback only, bounded, and silent to the world."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time

from smoothvla_ros.errors import UserError
from smoothvla_ros.parent_death import signal_on_parent_death
from smoothvla_ros.viewer.installed import rerun_program
from smoothvla_ros.viewer.page_server import LOOPBACK, PageServer

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_LOOK_S = 0.02


class RerunServer:
    """Holds what was logged for whoever opens the page, now or later; a context manager.

    The SDK's own functions would listen on every network interface, so the command of its wheel is
    run instead, which can be told where. It gets a folder of its own for its settings, in which
    its usage statistics are turned off.
    """

    def __init__(self, port: int = 9090, data_port: int = 9876, memory_mb: int = 300) -> None:
        """Start listening.

        port: of the page, 0 for any.  data_port: of the data, 0 for any.  memory_mb: of the data
        that is kept, and of what a browser keeps of it; the oldest goes first.
        Raises UserError where rerun-sdk is not installed or a port is taken.
        """
        command = str(rerun_program())
        self._data_port = data_port or _free_port()
        viewer_port = _free_port()
        self._settings = tempfile.TemporaryDirectory(prefix='smoothvla_viewer_')
        environment = os.environ | {
            'XDG_CONFIG_HOME': self._settings.name,
            'XDG_DATA_HOME': self._settings.name,
            'RUST_LOG': 'warn',
        }
        _require_free(self._data_port)
        subprocess.run(
            [command, 'analytics', 'disable'], env=environment, check=True, capture_output=True
        )
        self._process = subprocess.Popen(
            [
                command,
                '--serve-web',
                *('--bind', LOOPBACK),
                *('--port', str(self._data_port)),
                *('--web-viewer-port', str(viewer_port)),
                *('--server-memory-limit', f'{memory_mb}MB'),
                # Who opens the page late sees the present before the past.
                '--newest-first',
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the node, which says goodbye first.
            start_new_session=True,
            preexec_fn=signal_on_parent_death(signal.SIGKILL),
        )
        self._page: PageServer | None = None
        try:
            self._wait_for(self._data_port)
            self._wait_for(viewer_port)
            self._page = PageServer(port, viewer_port, self._data_port, f'{memory_mb}MB')
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Of the page, for a browser."""
        assert self._page is not None
        return self._page.url

    @property
    def data_url(self) -> str:
        """Where an SDK sends what it logs."""
        return f'rerun+http://{LOOPBACK}:{self._data_port}/proxy'

    @property
    def process(self) -> int:
        """The child's process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the child has ended, which it does not by itself."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Stop listening and forget what was logged; safe to call twice."""
        page, self._page = self._page, None
        if page is not None:
            page.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._settings.cleanup()

    def __enter__(self) -> RerunServer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((LOOPBACK, port)) == 0:
                    return
            if self.ended:
                raise UserError(
                    f'viewer: rerun ended with status {self._process.returncode} when it was '
                    'started; its own lines above say why'
                )
            if time.monotonic() > deadline:
                raise UserError(f'viewer: rerun did not listen within {_START_TIMEOUT_S:g} s')
            time.sleep(_LOOK_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    """Raise UserError for a port that is taken: rerun would hand its data to whoever has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise UserError(
                f'viewer: port {port} cannot be listened on ({error.strerror}); choose another'
            ) from error
