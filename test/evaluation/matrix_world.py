"""Rows of a benchmark as they might be measured, for tests of its statistics."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow


def made_row(
    task: int,
    index: int,
    roughness: float,
    *,
    suite: str = 'libero_spatial',
    temperature: float = 0.0,
    label: str = 'policy',
    seed: int = 0,
    success: bool = True,
    surprise: float = 1.5,
) -> EpisodeRow:
    """Return one episode whose jerk is `roughness` times what its scene has."""
    rng = np.random.default_rng([task, index, seed])
    jerk = roughness * float(rng.uniform(1.0, 2.0))
    return EpisodeRow(
        policy=label,
        episode_id=f'{label}-t{temperature:g}-task{task:02d}-{index:04d}',
        suite=suite,
        task=task,
        init_state=5 * (index % 10) + 4,
        scene_seed=100_000 + 1000 * seed + 100 * task + index,
        greedy=temperature == 0.0,
        temperature=temperature,
        seed=1000 + seed,
        success=success,
        steps=90 + index,
        chunks=12,
        duration_s=4.5,
        jerk=jerk,
        rms_jerk=1.3 * jerk,
        peak_jerk=4.0 * jerk,
        angular_jerk=3.0 * jerk,
        rms_angular_jerk=4.0 * jerk,
        commanded_jerk=20.0 * jerk,
        substep_jerk=10.0 * jerk,
        seam_jerk=1.1 * jerk,
        seam_action_change=0.2,
        action_total_variation=0.1,
        ldlj=-10.0 + float(rng.normal(0.0, 0.1)),
        sparc=-2.0,
        mean_speed=0.14,
        path_length=0.6,
        negative_log_prob=surprise,
        rate_hz=20.0,
        window_s=0.3,
        order=4,
    )


def made_rows(roughness: float, *, tasks: int = 3, episodes: int = 10, **row: object) -> list:
    """Return `episodes` rows of each task."""
    return [
        made_row(task, index, roughness, **row)  # type: ignore[arg-type]
        for task in range(tasks)
        for index in range(episodes)
    ]
