"""A whole training run whose processes are killed, one at a time, for real."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
from pathlib import Path

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from safetensors.numpy import load_file
from training_run import TrainingRun

from smoothvla_ros import msg
from smoothvla_ros.nodes.topics.quality_of_service import profiles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TIMING = ('rollout_seconds', 'update_seconds', 'episodes_per_minute')
END_S = 10.0
WHOLE_RUN_S = 900.0
START, CHECKPOINT = 'start', 'checkpoint'


def outcome(folder: Path) -> dict:
    """Every number of a run but those of the clock: weights, optimiser, figures, episodes."""
    learner = folder / 'checkpoints' / 'iteration_0001' / 'learner.safetensors'
    with (folder / 'metrics.csv').open() as file:
        metrics = [
            {k: v for k, v in row.items() if k not in TIMING} for row in csv.DictReader(file)
        ]
    summary = json.loads((folder / 'summary.json').read_text())
    del summary['wall_seconds']
    return {
        'weights': (folder / 'policy' / 'model.safetensors').read_bytes(),
        'optimiser': {name: value.tobytes() for name, value in load_file(learner).items()},
        'metrics': metrics,
        'episodes': (folder / 'episodes.csv').read_text(),
        'summary': summary,
    }


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """What comes out of the run if nobody is killed."""
    run = TrainingRun(tmp_path_factory.mktemp('undisturbed'))
    run.seconds_to_end(WHOLE_RUN_S)
    assert run.process.returncode == 0, run.text
    numbers = outcome(run.output)
    assert int(numbers['metrics'][0]['groups_kept']) > 0, 'a run that learns nothing proves nothing'
    return numbers


@pytest.fixture
def phases(ros):
    """The phases that the trainer has announced since the test began."""
    seen: list[str] = []
    node = Node('kill_watch')
    node.create_subscription(
        msg.TrainStatus,
        'train_status',
        lambda message: seen.append(message.phase),
        profiles('lock_step').status,
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield seen
    executor.shutdown()
    thread.join()
    node.destroy_node()


def reach(run: TrainingRun, moment: str, phases: list[str]) -> None:
    """Wait for a phase, for the first worker's start, or for a checkpoint that is being written."""
    if moment == START:
        # Until its first line of ours runs, Python itself prints a traceback for an interrupt.
        run.wait_for(lambda: any('spawn_main' in command for command in run.alive().values()))
    elif moment == CHECKPOINT:
        folder = run.output / 'checkpoints'
        run.wait_for(lambda: list(folder.glob('*.writing')))
    else:
        run.wait_for(lambda: moment in phases)


@pytest.mark.parametrize(
    ('victim', 'number', 'moment', 'status'),
    [
        ('libero_bridge', signal.SIGKILL, START, 137),
        ('libero_bridge', signal.SIGKILL, 'evaluate_before', 137),
        ('policy', signal.SIGKILL, 'rollouts', 137),
        ('jerk_monitor', signal.SIGKILL, 'rollouts', 137),
        ('grpo_trainer', signal.SIGKILL, 'update', 137),
        ('grpo_trainer', signal.SIGKILL, CHECKPOINT, 137),
        ('grpo_trainer', signal.SIGKILL, 'report', 137),
        ('launch', signal.SIGKILL, 'evaluate_after', -signal.SIGKILL),
        ('launch', signal.SIGINT, 'rollouts', 130),
        ('launch', signal.SIGTERM, 'evaluate_after', 130),
        ('launch', signal.SIGINT, START, 130),
    ],
)
def test_a_run_ends_within_ten_seconds_and_goes_on(
    victim, number, moment, status, undisturbed, phases, tmp_path
):
    """One line says who died, nothing is left, and the next start ends with the same numbers."""
    run = TrainingRun(tmp_path)
    try:
        reach(run, moment, phases)
        os.kill(run.pid_of(victim), number)
        assert run.seconds_to_end(END_S) < END_S, run.text
    finally:
        run.sweep()
    assert run.process.returncode == status
    assert 'Traceback' not in run.text
    if victim != 'launch':
        assert f'[launch] {victim} died of SIGKILL: stopping the others' in run.text
    elif number != signal.SIGKILL:
        assert '[launch] interrupted: stopping the others' in run.text
    again = TrainingRun(tmp_path)
    again.seconds_to_end(WHOLE_RUN_S)
    assert again.process.returncode == 0, again.text
    assert outcome(again.output) == undisturbed


@pytest.mark.parametrize('moment', ['evaluate_before', 'rollouts'])
def test_a_run_outlives_a_killed_worker(moment, undisturbed, phases, tmp_path):
    """The worker is named, started again, its episode repeated: the numbers are the same."""
    run = TrainingRun(tmp_path)
    try:
        reach(run, moment, phases)
        pid = run.pid_of('worker')
        os.kill(pid, signal.SIGKILL)
        run.wait_for(lambda: f'(pid {pid}) died during' in run.text, END_S)
        run.seconds_to_end(WHOLE_RUN_S)
    finally:
        run.sweep()
    assert run.process.returncode == 0, run.text
    assert outcome(run.output) == undisturbed
