"""Files and folders that appear whole or not at all, and are on the disk when they appear."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from smoothvla_ros.atomic_files import new_file, new_folder, write_file


@pytest.fixture
def disk(monkeypatch) -> list[tuple[str, int]]:
    """What reaches the disk, in order: ('sync', inode) and ('rename', inode of what is renamed)."""
    calls: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        calls.append(('sync', os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def recorded_replace(source, target):
        calls.append(('rename', os.stat(source).st_ino))
        replace(source, target)

    monkeypatch.setattr(os, 'fsync', recorded_fsync)
    monkeypatch.setattr(os, 'replace', recorded_replace)
    return calls


def test_content_is_on_the_disk_before_its_name(tmp_path, disk):
    """Power lost at any moment leaves the old file or the new one, never an empty one."""
    path = tmp_path / 'made' / 'file.json'
    write_file(path, '{"é": 1}')
    inode, parent = path.stat().st_ino, path.parent.stat().st_ino
    assert disk == [('sync', inode), ('rename', inode), ('sync', parent)]
    assert path.read_bytes() == '{"é": 1}'.encode()


def test_every_file_of_a_folder_is_on_the_disk_before_its_name(tmp_path, disk):
    """Files below folders too, and the folders themselves."""
    with new_folder(tmp_path / 'checkpoint') as folder:
        (folder / 'policy').mkdir()
        (folder / 'policy' / 'weights').write_text('1')
        (folder / 'state').write_text('2')
    folder = tmp_path / 'checkpoint'
    below = [folder, folder / 'policy', folder / 'policy' / 'weights', folder / 'state']
    renamed = disk.index(('rename', folder.stat().st_ino))
    assert {('sync', path.stat().st_ino) for path in below} == set(disk[:renamed])
    assert disk[renamed + 1 :] == [('sync', tmp_path.stat().st_ino)]


def test_an_error_leaves_what_was_there(tmp_path):
    """The old content stays and nothing lies beside it."""
    write_file(tmp_path / 'file', b'old')
    with new_folder(tmp_path / 'folder') as folder:
        (folder / 'a').write_text('old')
    for block in (new_file(tmp_path / 'file'), new_folder(tmp_path / 'folder')):
        with pytest.raises(KeyboardInterrupt), block as temporary:
            _write_half(temporary)
    assert (tmp_path / 'file').read_text() == (tmp_path / 'folder' / 'a').read_text() == 'old'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'folder']


def _write_half(place) -> None:
    (place / 'a' if place.is_dir() else place).write_text('new')
    raise KeyboardInterrupt


def test_a_killed_writer_leaves_what_was_there_and_the_next_one_clears_up(tmp_path):
    """A process that ends in the middle has changed nothing under the name."""
    place = tmp_path / 'folder'
    with new_folder(place) as folder:
        (folder / 'a').write_text('old')
    killed = (
        'import os, signal, sys; from pathlib import Path\n'
        'from smoothvla_ros.atomic_files import new_folder\n'
        'with new_folder(Path(sys.argv[1])) as folder:\n'
        '    (folder / "b").write_text("half")\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    subprocess.run([sys.executable, '-c', killed, place], check=False)
    assert [path.name for path in place.iterdir()] == ['a']
    assert len(list(tmp_path.iterdir())) == 2
    with new_folder(place) as folder:
        (folder / 'c').write_text('new')
    assert [path.name for path in place.iterdir()] == ['c']
    assert list(tmp_path.iterdir()) == [place]
