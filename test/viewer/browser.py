"""A headless Chromium, driven through a pipe by its own protocol: no driver, no port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which('chromium') or shutil.which('chromium-browser')
# Software rendering, and nothing that the browser does of its own accord.
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--remote-debugging-pipe',
)


# Drawing in software takes its time on a busy machine.
PATIENCE_S = 240.0


class Browser:
    """One page.  requests: address of everything that it asked for."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 800) -> None:
        self.requests: list[str] = []
        self.console: list[str] = []
        self._number = 0
        self._buffer = b''
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()

        def place_pipes() -> None:
            # Above 4 first, so that neither falls on the other's place.
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate((commands, answers))]
            for target, fd in zip((3, 4), high, strict=True):
                os.dup2(fd, target)

        self._process = subprocess.Popen(
            [
                str(PROGRAM),
                *FLAGS,
                f'--user-data-dir={profile}',
                f'--window-size={width},{height}',
                'about:blank',
            ],
            preexec_fn=place_pipes,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        target = self._call('Target.createTarget', url='about:blank')
        attached = self._call('Target.attachToTarget', targetId=target['targetId'], flatten=True)
        self._session = attached['sessionId']
        for domain in ('Network', 'Page', 'Runtime'):
            self.call(f'{domain}.enable')
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, url: str) -> None:
        """Go to an address and return when it has loaded."""
        self._loaded = False
        self.call('Page.navigate', url=url)
        deadline = time.monotonic() + PATIENCE_S
        while not self._loaded:
            self._note(self._read(deadline))

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of the page's."""
        found = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        return found['result'].get('value')

    def screenshot(self) -> bytes:
        """Return what is seen, PNG."""
        return base64.b64decode(self.call('Page.captureScreenshot', format='png')['data'])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the page and return its answer."""
        return self._call(method, session=self._session, **parameters)

    def close(self) -> None:
        """End the browser and all that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def _call(self, method: str, session: str = '', **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': parameters}
        if session:
            message['sessionId'] = session
        os.write(self._to, json.dumps(message).encode() + b'\0')
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._read(deadline)
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return answer['result']
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get('method') == 'Network.requestWillBeSent':
            self.requests.append(event['params']['request']['url'])
        elif event.get('method') == 'Page.loadEventFired':
            self._loaded = True
        elif event.get('method') == 'Runtime.consoleAPICalled':
            texts = [str(a.get('value', a.get('description'))) for a in event['params']['args']]
            self.console.append(' '.join(texts))
        elif event.get('method') == 'Runtime.exceptionThrown':
            self.console.append(str(event['params']['exceptionDetails']))

    def _read(self, deadline: float) -> dict[str, Any]:
        while b'\0' not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, 'the browser does not answer'
            self._buffer += os.read(self._from, 1 << 20)
        message, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(message)
