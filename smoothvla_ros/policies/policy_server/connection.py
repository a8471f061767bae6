"""A connection to a policy server: one question, one answer."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.policy_server.messages import pack, unpack

API_KEY = 'SMOOTHVLA_POLICY_API_KEY'
"""Environment variable of the key that a server asks for: no secret belongs in a policy folder."""

_CLOSE_TIMEOUT_S = 1.0


class Connection:
    """Opened at once, and again where the server had gone away between two questions."""

    def __init__(self, address: str, timeout_s: float) -> None:
        """timeout_s: of each answer.  Raises UserError where no policy server answers there."""
        self._address = address
        self._timeout_s = timeout_s
        self._name = f'policy server {address}'
        self._socket: ClientConnection | None = None
        self._hang_up = contextlib.ExitStack()
        self._given_up = False
        self._open()

    def ask(self, question: dict[str, Any]) -> dict[Any, Any]:
        """Return the answer to a message.

        A server that was started again is asked again, once: it remembers nothing of a question.
        Raises UserError where it does not answer in time, is gone, or says that it failed.
        """
        data = pack(question)
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                return self._answer(self._socket, data)
        try:
            return self._answer(self._open(), data)
        except ConnectionClosed as error:
            raise self._gone(error) from error

    def close(self) -> None:
        """Hang up."""
        self._socket = None
        self._hang_up.close()

    def give_up(self) -> None:
        """Hang up for good, from any thread: a question that waits for its answer ends."""
        self._given_up = True
        socket = self._socket
        if socket is not None:
            socket.close()

    def _open(self) -> ClientConnection:
        self.close()
        self._require_wanted()
        key = _key()
        try:
            opened = connect(
                self._address,
                compression=None,
                max_size=None,
                additional_headers={'Authorization': f'Api-Key {key}'} if key else None,
                # openpi's servers answer no ping while they think.
                ping_interval=None,
                open_timeout=self._timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
                # A policy server is asked directly, as openpi's clients do.
                proxy=None,
            )
        except (OSError, ValueError, WebSocketException) as error:
            # ValueError: a port or a name that none can be. A tunnel without its other end is a
            # connection that was closed.
            line = ' '.join(str(error).split()) or type(error).__name__
            raise UserError(
                f'{self._name} does not answer ({line}); start it, or mend address in config.json'
            ) from error
        socket = self._hang_up.enter_context(opened)
        try:
            # What it says of itself.
            unpack(self._received(socket), self._name)
        except ConnectionClosed as error:
            raise self._gone(error) from error
        self._socket = socket
        # Given up since: then nobody has closed this one.
        self._require_wanted()
        return socket

    def _require_wanted(self) -> None:
        if self._given_up:
            raise UserError(f'{self._name} is not asked any more: the run has ended')

    def _answer(self, socket: ClientConnection, data: bytes) -> dict[Any, Any]:
        try:
            socket.send(data)
            return unpack(self._received(socket), self._name)
        except (ConnectionClosed, UserError):
            # Of a question that was given up the answer may still come, and is none to the next.
            self.close()
            raise

    def _received(self, socket: ClientConnection) -> bytes:
        try:
            answer = socket.recv(timeout=self._timeout_s)
        except TimeoutError as error:
            raise UserError(
                f'{self._name} did not answer in {self._timeout_s:g} s; look at its log, or raise '
                'timeout_s in config.json'
            ) from error
        if isinstance(answer, str):
            # The traceback of its error.
            last = answer.strip().splitlines()[-1] if answer.strip() else 'it does not say why'
            raise UserError(f'{self._name} failed: {last}; look at its log')
        return answer

    def _gone(self, error: ConnectionClosed) -> UserError:
        line = ' '.join(str(error).split())
        return UserError(f'{self._name} closed the connection ({line}); look at its log')


def _key() -> str | None:
    """Return the server's key, if there is one.  Raises UserError, which does not show it."""
    key = os.environ.get(API_KEY)
    if key and not (key.isascii() and key.isprintable()):
        raise UserError(
            f'{API_KEY} holds a character that no key has, maybe a line break; set it again'
        )
    return key
