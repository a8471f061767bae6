"""Two runs never share a ROS domain, and a dead one keeps none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smoothvla_ros import ros_domain
from smoothvla_ros.errors import UserError

HOLD = """
import sys
from pathlib import Path
from smoothvla_ros.ros_domain import free_domain
with free_domain(Path(sys.argv[1])) as domain:
    print(domain, flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_gets_another_domain(tmp_path) -> None:
    """What one run holds is passed over by the next, and free again afterwards."""
    with ros_domain.free_domain(tmp_path) as first:
        with ros_domain.free_domain(tmp_path) as second:
            assert second != first
        with ros_domain.free_domain(tmp_path) as third:
            assert third == second
    with ros_domain.free_domain(tmp_path) as again:
        assert again == first


def test_a_killed_process_frees_its_domain(tmp_path) -> None:
    """No lock outlives its process: the kernel, not our code, lets go."""
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        taken = int(holder.stdout.readline())
        with ros_domain.free_domain(tmp_path) as other:
            assert other != taken
        holder.kill()
    with ros_domain.free_domain(tmp_path) as again:
        assert again == taken


def test_no_domain_left_is_a_user_error(tmp_path, monkeypatch) -> None:
    """When all are taken the run stops with one line instead of joining somebody's domain."""
    monkeypatch.setattr(ros_domain, 'DOMAINS', range(1))
    with (
        ros_domain.free_domain(tmp_path),
        pytest.raises(UserError, match='ROS_DOMAIN_ID'),
        ros_domain.free_domain(tmp_path),
    ):
        pytest.fail('the domain was given twice')


def test_a_lock_folder_that_is_a_link_is_refused(tmp_path, monkeypatch) -> None:
    """In a folder that everyone may write to, nobody can point our locks elsewhere."""
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(tmp_path))
    ours = ros_domain.runtime_folder()
    assert ours.parent == tmp_path
    ours.rmdir()
    (tmp_path / 'elsewhere').mkdir()
    ours.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(UserError, match='not yours'):
        ros_domain.runtime_folder()
