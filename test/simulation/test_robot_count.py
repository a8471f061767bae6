"""How many robots are simulated where nobody says."""

import os

import pytest

from smoothvla_ros.simulation.robot_count import robots_that_fit


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes a machine with so many processors and so much free memory."""

    def build(processors, free_gb, cpu='max 100000', memory='max'):
        monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(processors)))
        group = tmp_path / 'sys/fs/cgroup'
        group.mkdir(parents=True, exist_ok=True)
        (group / 'cpu.max').write_text(cpu + '\n')
        (group / 'memory.max').write_text(memory + '\n')
        (tmp_path / 'proc').mkdir(exist_ok=True)
        (tmp_path / 'proc/meminfo').write_text(
            f'MemTotal: 99999999 kB\nMemAvailable: {int(free_gb * 2**20)} kB\n'
        )
        return tmp_path

    return build


@pytest.mark.parametrize(
    ('robots', 'limits'),
    [
        (2, {'processors': 2, 'free_gb': 8}),
        (4, {'processors': 4, 'free_gb': 16}),
        (6, {'processors': 64, 'free_gb': 200}),
        (3, {'processors': 16, 'free_gb': 7}),
        (1, {'processors': 16, 'free_gb': 1}),
        (1, {'processors': 1, 'free_gb': 16}),
        (2, {'processors': 16, 'free_gb': 64, 'cpu': '250000 100000'}),
        (1, {'processors': 16, 'free_gb': 64, 'cpu': '50000 100000'}),
        (4, {'processors': 16, 'free_gb': 64, 'memory': str(8 * 2**30)}),
    ],
)
def test_processors_memory_and_a_containers_limits_decide(machine, robots, limits):
    """Pins a robot a processor, fewer where memory or a container is short, never none."""
    assert robots_that_fit(machine(**limits)) == robots


def test_a_machine_that_tells_nothing_is_taken_by_its_processors(tmp_path, monkeypatch):
    """Pins that no file is needed: another system, another version of control groups."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(4)))
    assert robots_that_fit(tmp_path) == 4
