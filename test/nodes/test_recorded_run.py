"""A recorded run of the real graph is trained from again: the same weights, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from training_run import CONFIG, ROOT, TrainingRun

from smoothvla_ros.policies.weights_folder import folder_sha256

ENDED_S = 1500.0


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_real_graph_recorded_and_trained_from_again(tmp_path):
    """LIBERO, policy, monitor and trainer over DDS with record:=true; then no simulator at all."""
    run = TrainingRun(tmp_path, 'record:=true', f'recording:={tmp_path / "bag"}')
    try:
        run.process.wait(ENDED_S)
    finally:
        run.sweep()
    assert run.process.returncode == 0, run.text
    settings = tmp_path / 'train_again.yaml'
    own = CONFIG.partition('grpo_trainer:\n  ros__parameters:\n')[2]
    lines = [line.strip() for line in own.splitlines()]
    settings.write_text('\n'.join([*lines, 'robots: 2', 'deterministic: true']) + '\n')
    again = tmp_path / 'again'
    command = [sys.executable, '-m', 'smoothvla_ros.cli', 'train']
    command += ['--recording', str(tmp_path / 'bag'), '--config', str(settings)]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [*command, '--output', str(again)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, second = (folder_sha256(folder / 'policy') for folder in (run.output, again))
    start = folder_sha256(run.output / 'checkpoints' / 'iteration_0000' / 'policy')
    assert first == second != start
