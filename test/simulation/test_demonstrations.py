"""Demonstrations on disk: complete, atomic, safe to read; and the command that records them."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import psutil
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.demonstrations import (
    Demonstration,
    demonstration_path,
    read_demonstration,
    write_demonstration,
)
from smoothvla_ros.workflows.demos import DemosConfig, record_demonstrations


@pytest.fixture
def demonstration():
    """A short demonstration with two pairs of images."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, size=(2, 16, 16, 3), dtype=np.uint8)
    actions = generator.normal(size=(5, 7)).astype(np.float32)
    return Demonstration(
        suite='libero_goal',
        task=3,
        init_state=7,
        scene_seed=12,
        instruction='open the drawer',
        success=True,
        images_agentview=images,
        images_wrist=images[:, ::-1],
        image_steps=np.array([0, 4]),
        joint_positions=generator.normal(size=(6, 7)),
        joint_velocities=generator.normal(size=(6, 7)),
        gripper_positions=generator.normal(size=(6, 2)),
        actions=actions,
        executed_actions=actions + np.float32(0.1),
        waypoint=generator.normal(size=(5, 3)).astype(np.float32),
        object_position=generator.normal(size=(5, 3)).astype(np.float32),
        target_position=generator.normal(size=(5, 3)).astype(np.float32),
    )


def test_what_is_written_is_what_is_read(demonstration, tmp_path):
    """Every field comes back with its value and its type."""
    path = demonstration_path(tmp_path, demonstration.name, 0)
    write_demonstration(demonstration, path)
    read = read_demonstration(path)
    for field in dataclasses.fields(Demonstration):
        written, got = getattr(demonstration, field.name), getattr(read, field.name)
        np.testing.assert_array_equal(written, got)
        assert type(written) is type(got)
    assert read.steps == 5
    assert not read.clean


def test_the_file_is_named_after_its_episode(tmp_path):
    """Suite, task, init state, seed and attempt can be read from the path."""
    path = demonstration_path(tmp_path, EpisodeName('libero_goal', 3, 7, 12), 1)
    assert path == tmp_path / 'libero_goal' / 'task_03' / 'init07_seed00012_a1.npz'


def test_an_interrupted_write_leaves_no_file(demonstration, tmp_path, monkeypatch):
    """A write that fails half way leaves nothing that could be taken for a demonstration."""
    path = demonstration_path(tmp_path, demonstration.name, 0)

    def half(file, **arrays):
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', half)
    with pytest.raises(UserError, match='No space left on device'):
        write_demonstration(demonstration, path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize('content', [b'', b'not a demonstration', b'PK\x03\x04truncated'])
def test_a_damaged_file_is_named(content, tmp_path):
    """A file that is no demonstration is a user error with its path, not a traceback."""
    path = tmp_path / 'init00_seed00000_a0.npz'
    path.write_bytes(content)
    with pytest.raises(UserError, match='init00_seed00000_a0'):
        read_demonstration(path)


def test_nothing_is_unpickled(demonstration, tmp_path):
    """An archive with a pickled object in place of an array is refused."""
    path = tmp_path / 'pickled.npz'
    fields = {
        field.name: getattr(demonstration, field.name)
        for field in dataclasses.fields(demonstration)
    }
    np.savez(path, **{**fields, 'actions': np.array([{}], dtype=object)})
    with pytest.raises(UserError, match='pickled'):
        read_demonstration(path)


def test_recording_goes_on_where_it_stopped(tmp_path):
    """A second run records only what is missing, leaves the rest untouched, and reports both."""
    config = DemosConfig(suite='libero_spatial', tasks=(2,), episodes=2, workers=1, image_size=32)
    report = record_demonstrations(config, tmp_path)
    files = sorted(tmp_path.glob('libero_spatial/task_02/*.npz'))
    assert len(files) == 2
    kept, removed = files
    before = kept.stat().st_mtime_ns
    content = read_demonstration(removed)
    removed.unlink()
    record_demonstrations(config, tmp_path)
    assert sorted(tmp_path.glob('libero_spatial/task_02/*.npz')) == files
    assert kept.stat().st_mtime_ns == before
    again = read_demonstration(removed)
    np.testing.assert_array_equal(again.executed_actions, content.executed_actions)
    np.testing.assert_array_equal(again.images_wrist, content.images_wrist)
    assert again.images_agentview.shape[1:] == (32, 32, 3)
    assert list(again.image_steps) == list(range(0, again.steps, 4))
    figures = json.loads(report.path.read_text())
    assert figures['already_recorded'] == 1
    assert figures['tasks'][-1]['episodes'] == figures['tasks'][-1]['solved'] == 2
    other = dataclasses.replace(config, render_profile='stock')
    with pytest.raises(UserError, match='holds demonstrations with render_profile=fast, not stock'):
        record_demonstrations(other, tmp_path)
    assert json.loads(report.path.read_text()) == figures


def test_ctrl_c_ends_the_recording_at_once_and_in_one_line(tmp_path):
    """It reaches all processes while they import: one line, status 130, no process left."""
    command = [sys.executable, '-m', 'smoothvla_ros.cli', 'demos', '--measure', '--out', tmp_path]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What runs in the background of a script, these tests for one, has it ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    spawned = []
    while process.poll() is None and len(spawned) < 2:
        spawned = [
            child
            for child in psutil.Process(process.pid).children()
            if 'spawn_main' in ' '.join(child.cmdline())
        ]
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60.0)
    assert process.returncode == 130
    assert said.splitlines()[-1] == 'smoothvla: interrupted'
    assert 'Traceback' not in said
    assert not any(child.is_running() for child in spawned)


def test_bad_settings_are_user_errors(tmp_path):
    """An unknown suite, a task that is not there and a count of 0 each give one clear line."""
    with pytest.raises(UserError, match='libero_moon'):
        DemosConfig(suite='libero_moon')
    with pytest.raises(UserError, match='episodes=0'):
        DemosConfig(episodes=0)
    with pytest.raises(UserError, match='task 77'):
        record_demonstrations(DemosConfig(tasks=(77,)), tmp_path)
