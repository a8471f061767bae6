"""The viewer's server: on loopback only, silent to the world, bounded, and gone when closed."""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from pathlib import Path

import psutil
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.viewer.rerun_server import RerunServer

LOOPBACK = '127.0.0.1'


@pytest.fixture
def server():
    with RerunServer(0, 0, 100) as running:
        yield running


def listening(process: int) -> list[tuple[str, int]]:
    connections = psutil.Process(process).net_connections('inet')
    return [tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN]


def test_every_socket_listens_on_loopback_only(server):
    """Of Rerun's process and of ours, by the kernel's own table: nobody else can connect."""
    sockets = listening(server.process) + listening(os.getpid())
    assert len(listening(server.process)) == 2
    assert {address for address, _ in sockets} == {LOOPBACK}
    ports = {port for _, port in sockets}
    assert int(server.url.rstrip('/').rpartition(':')[2]) in ports
    assert int(server.data_url.removesuffix('/proxy').rpartition(':')[2]) in ports


def test_usage_statistics_are_off(server):
    """In the folder that Rerun takes for its user's settings; the user's own are not touched."""
    environment = psutil.Process(server.process).environ()
    folder = Path(environment['XDG_CONFIG_HOME'])
    assert folder == Path(environment['XDG_DATA_HOME'])
    settings = json.loads((folder / 'rerun' / 'analytics.json').read_text())
    assert settings['analytics_enabled'] is False


def test_the_page_may_talk_to_this_machine_only(server):
    """No address of another machine in it, and a policy that the browser enforces."""
    with urllib.request.urlopen(server.url) as answer:
        page = answer.read().decode()
        policy = answer.headers['Content-Security-Policy']
    assert 'https://' not in page
    assert 'http://' not in page.replace(f'rerun+http://{LOOPBACK}', '')
    port = server.data_url.removesuffix('/proxy').rpartition(':')[2]
    assert f"connect-src 'self' http://{LOOPBACK}:{port}" in policy
    assert "default-src 'none'" in policy
    with urllib.request.urlopen(f'{server.url}re_viewer_bg.wasm') as answer:
        assert answer.headers['Content-Type'] == 'application/wasm'
        assert answer.read(4) == b'\0asm'
    with pytest.raises(urllib.error.HTTPError, match='404'):
        urllib.request.urlopen(f'{server.url}../etc/passwd')


def test_memory_is_bounded_on_both_sides(server):
    """The server is told, and so is the browser."""
    words = psutil.Process(server.process).cmdline()
    assert words[words.index('--server-memory-limit') + 1] == '100MB'
    with urllib.request.urlopen(server.url) as answer:
        assert 'data-memory="100MB"' in answer.read().decode()


def test_nothing_is_left_when_it_is_closed():
    """No process, no folder, no port; closing twice is harmless."""
    server = RerunServer(0, 0, 100)
    process = psutil.Process(server.process)
    folder = Path(process.environ()['XDG_CONFIG_HOME'])
    server.close()
    server.close()
    assert not process.is_running()
    assert not folder.exists()
    assert not listening(os.getpid())


@pytest.mark.parametrize('which', ['port', 'data_port'])
def test_a_port_that_is_taken_is_named(which):
    """Before anything is sent to whoever has it."""
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = {'port': 0, 'data_port': 0, which: taken}
        with pytest.raises(UserError, match=f'port {taken} cannot be listened on'):
            RerunServer(**ports)


def test_without_rerun_one_line_says_what_to_install(monkeypatch):
    """The viewer is an extra of half a gigabyte."""
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match="pip install 'rerun-sdk"):
        RerunServer(0, 0, 100)
