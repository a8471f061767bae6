"""metrics.jsonl of supervised training over a run that was killed and goes on."""

from __future__ import annotations

import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from smoothvla_ros.training.sft.metrics_log import METRICS, SFTMetricsLog


def test_no_figure_stands_twice_after_a_kill(tmp_path):
    """State is saved less often than figures: those after it come again, half a line goes."""
    with SFTMetricsLog(tmp_path) as log:
        for step in (50, 100, 150):
            log.add(step, {'loss': 1.0 / step})
    with (tmp_path / METRICS).open('a') as file:
        file.write('{"step": 200, "lo')
    with SFTMetricsLog(tmp_path, 100) as log:
        log.add(150, {'loss': 0.5})
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [(line['step'], line['loss']) for line in lines] == [(50, 0.02), (100, 0.01), (150, 0.5)]
    board = EventAccumulator(str(tmp_path / 'tensorboard'))
    board.Reload()
    assert [event.step for event in board.Scalars('loss')] == [50, 100, 150]


def test_a_finished_run_that_is_started_again_says_nothing_twice(tmp_path):
    """Its last validation is written after the last state, and would come with every start."""
    for _ in range(2):
        with SFTMetricsLog(tmp_path, 100) as log:
            log.add(100, {'held_out/loss': 0.3})
    assert len((tmp_path / METRICS).read_text().splitlines()) == 1
