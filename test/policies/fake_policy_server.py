"""A policy server of a test: real sockets, and answers that the test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from smoothvla_ros.policies.policy_server.messages import pack, unpack

METADATA = {'name': 'a policy of a test'}


class FakePolicyServer:
    """Serves in threads; `questions` is what it was asked, `keys` what each client showed."""

    def __init__(self, answer: Callable[[dict[Any, Any]], Any], port: int = 0) -> None:
        """answer: a message, bytes or text to a question; None hangs up."""
        self._answer = answer
        self.questions: list[dict[Any, Any]] = []
        self.keys: list[str | None] = []
        self._server = serve(self._serve, '127.0.0.1', port, compression=None, max_size=None)
        self.port = self._server.socket.getsockname()[1]
        self.address = f'ws://127.0.0.1:{self.port}'
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.keys.append(connection.request.headers.get('Authorization'))
        connection.send(pack(METADATA))
        while True:
            try:
                question = unpack(connection.recv(), 'the client')
            except ConnectionClosed:
                return
            self.questions.append(question)
            answer = self._answer(question)
            if answer is None:
                return
            connection.send(answer if isinstance(answer, str | bytes) else pack(answer))

    def stop(self) -> None:
        """Hang up on all, and take no one else."""
        self._server.shutdown()
        self._thread.join()

    def __enter__(self) -> FakePolicyServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
