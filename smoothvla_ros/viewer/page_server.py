"""The viewer's web page on loopback: it may talk to this machine and to nobody else."""

from __future__ import annotations

import shutil
import string
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from smoothvla_ros.errors import UserError

LOOPBACK = '127.0.0.1'
_HERE = Path(__file__).parent
_PAGE = string.Template((_HERE / 'page.html').read_text())
_SCRIPT = (_HERE / 'start.js').read_bytes()
# Of Rerun's own server, whose page would ask other machines for fonts and news.
_OF_RERUN = {'/re_viewer.js': 'text/javascript', '/re_viewer_bg.wasm': 'application/wasm'}
_TIMEOUT_S = 30.0


class PageServer:
    """Serves the page and Rerun's viewer in it, until it is closed."""

    def __init__(self, port: int, viewer_port: int, data_port: int, memory: str) -> None:
        """Listen on a port of loopback, 0 for any.

        viewer_port: where Rerun's own server has the viewer's program.  data_port: where it has
        the data.  memory: most that the viewer keeps in the browser, as in '1GB'.
        Raises UserError where the port is taken.
        """
        source = f'rerun+http://{LOOPBACK}:{data_port}/proxy'
        page = _PAGE.substitute(source=source, memory=memory).encode()
        policy = (
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
            "style-src 'unsafe-inline'; img-src 'self' blob: data:; "
            f"connect-src 'self' http://{LOOPBACK}:{data_port}"
        )

        class Handler(_Handler):
            own: ClassVar = {
                '/': ('text/html; charset=utf-8', page),
                '/start.js': ('text/javascript', _SCRIPT),
            }
            behind = f'http://{LOOPBACK}:{viewer_port}'
            content_policy = policy

        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        except OSError as error:
            raise UserError(
                f'viewer: port {port} cannot be listened on ({error.strerror}); choose another'
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name='page server', daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f'http://{LOOPBACK}:{self._server.server_port}/'

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    own: ClassVar[dict[str, tuple[str, bytes]]]
    behind: str
    content_policy: str

    def do_GET(self) -> None:
        path = self.path.partition('?')[0]
        if path in self.own:
            kind, content = self.own[path]
            self._head(kind)
            self.wfile.write(content)
        elif path in _OF_RERUN:
            self._pass_on(path)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a page that loads is no news."""

    def _pass_on(self, path: str) -> None:
        try:
            with urllib.request.urlopen(f'{self.behind}{path}', timeout=_TIMEOUT_S) as answer:
                self._head(_OF_RERUN[path])
                shutil.copyfileobj(answer, self.wfile)
        except urllib.error.URLError:
            self.send_error(HTTPStatus.BAD_GATEWAY, 'the viewer has ended')

    def _head(self, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Security-Policy', self.content_policy)
        self.end_headers()
