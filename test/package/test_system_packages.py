"""What the installation does where it may not install system packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / 'cmake/system_packages.sh'
TOOLS = ('bash', 'cat', 'cmake', 'env', 'g++', 'id', 'ldconfig')


def run(folder: Path, without: str = '') -> subprocess.CompletedProcess:
    """Run the script with nothing but TOOLS to be found: no apt-get and no sudo."""
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool, path=f'{os.environ["PATH"]}:/sbin:/usr/sbin')
        if tool != without and found:
            (folder / tool).symlink_to(found)
    return subprocess.run(
        ['bash', SCRIPT],
        env={'PATH': str(folder), 'PYTHON': sys.executable},
        capture_output=True,
        text=True,
    )


def test_a_missing_package_is_named_in_one_line(tmp_path) -> None:
    """Without apt the script stops with one line that says what to install."""
    complete, incomplete = run(tmp_path / 'all'), run(tmp_path / 'less', without='g++')
    assert complete.returncode == 0, complete.stderr
    assert incomplete.returncode == 1
    assert incomplete.stderr.splitlines() == [
        'system packages are missing; install them and try again: g++'
    ]
