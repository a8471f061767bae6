"""How many robots are simulated where nobody says."""

import os

import pytest

from smoothvla_ros.simulation.workers.robot_count import robots_that_fit

GB = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a machine with so many processors and so much free memory."""

    def build(processors, free_gb, groups=None):
        monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(processors)))
        (tmp_path / 'proc/self').mkdir(parents=True)
        (tmp_path / 'proc/meminfo').write_text(
            f'MemTotal: 99999999 kB\nMemAvailable: {int(free_gb * 2**20)} kB\n'
        )
        # As in a container whose own group is the root, or inside of a job's.
        (tmp_path / 'proc/self/cgroup').write_text('12:pids:/other\n0::/job/step\n')
        for group, files in (groups or {}).items():
            folder = tmp_path / 'sys/fs/cgroup' / group
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(f'{text}\n')
        return tmp_path

    return build


def memory(limit_gb, used_gb=0.0, cached_gb=0.0):
    return {
        'memory.max': int(limit_gb * GB),
        'memory.current': int(used_gb * GB),
        'memory.stat': f'anon 1\ninactive_file {int(cached_gb * GB)}',
    }


@pytest.mark.parametrize(
    ('robots', 'limits'),
    [
        (2, {'processors': 2, 'free_gb': 8}),
        (4, {'processors': 4, 'free_gb': 16}),
        (6, {'processors': 64, 'free_gb': 200}),
        (3, {'processors': 16, 'free_gb': 8}),
        (2, {'processors': 16, 'free_gb': 1}),
        (2, {'processors': 1, 'free_gb': 16}),
        (3, {'processors': 16, 'free_gb': 64, 'groups': {'': {'cpu.max': '350000 100000'}}}),
        (3, {'processors': 16, 'free_gb': 64, 'groups': {'job': {'cpu.max': '300000 100000'}}}),
        (6, {'processors': 16, 'free_gb': 64, 'groups': {'job/step': {'cpu.max': 'max 100000'}}}),
        (6, {'processors': 16, 'free_gb': 64, 'groups': {'other': {'cpu.max': '300000 100000'}}}),
        (3, {'processors': 16, 'free_gb': 64, 'groups': {'': memory(8)}}),
        (3, {'processors': 16, 'free_gb': 64, 'groups': {'job/step': memory(16, 8)}}),
        (5, {'processors': 16, 'free_gb': 64, 'groups': {'job/step': memory(16, 8, 4)}}),
        (6, {'processors': 16, 'free_gb': 64, 'groups': {'': {'memory.max': 'max'}}}),
    ],
)
def test_processors_memory_and_what_a_job_may_use_decide(machine, robots, limits):
    """Pins a robot a processor, fewer where memory, a container or a job is short, 2 at least."""
    assert robots_that_fit(root=machine(**limits)) == robots


def test_who_has_a_faster_policy_may_have_more(machine):
    """Pins that the six are a limit of the policy alone."""
    assert robots_that_fit(most=64, root=machine(processors=16, free_gb=200)) == 16


def test_a_machine_that_tells_nothing_is_taken_by_its_processors(tmp_path, monkeypatch):
    """Pins that no file is needed: another system, another version of control groups."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(4)))
    assert robots_that_fit(root=tmp_path) == 4
