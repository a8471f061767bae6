"""Control steps a second of whole episodes: our worker against two stock LIBERO loops.

All three execute the same actions from the same init states under the same scene seeds, with
chunks of 8, two cameras of 128 x 128 pixels and 10 settle steps; resets and settle steps count.
They take turns within one run, so that a machine that speeds up or slows down does so for all.

- `every_step`: ``OffScreenRenderEnv`` as it is, which renders both cameras in every step.
- `once_a_chunk`: the same environment without camera observations, rendered when a chunk is due.
- `ours`: one process of `WorkerPool`, profile `fast`, through its pipe.

Stock resets load the model again, as evaluations with LIBERO do; the figures without resets are
printed beside, so that nobody has to take the speed-up from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smoothvla_ros.libero import SETTLE_STEPS
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.rendering.settings import MODEL_CAMERAS, RenderSettings
from smoothvla_ros.simulation.scenes import libero_scene
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.scenes.scene_reset import SceneReset
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.workers.worker_pool import Worker, WorkerPool

SUITE = 'libero_spatial'
TASKS = (0, 5)
CHUNK = 8
CHUNKS = 15
SIZE = 128
SETTLE_ACTION = np.array([0, 0, 0, 0, 0, 0, -1.0])
AT_LEAST = {'speedup_every_step': 12.0, 'speedup_once_a_chunk': 2.5}
AT_MOST = {'worker_memory_mb': 1200.0, 'place_fixtures_ms': 50.0}


@dataclass
class Clock:
    """Seconds that one side took, resets apart from control steps."""

    reset_s: list[float] = field(default_factory=list)
    steps_s: list[float] = field(default_factory=list)

    def steps_per_second(self) -> float:
        """Return control steps a second of whole episodes, settle steps counted."""
        steps = (CHUNK * CHUNKS + SETTLE_STEPS) * len(self.steps_s)
        return steps / (sum(self.reset_s) + sum(self.steps_s))

    def steps_per_second_without_resets(self) -> float:
        """Return control steps a second between the resets."""
        return CHUNK * CHUNKS * len(self.steps_s) / sum(self.steps_s)


def measure(episodes: int = 2) -> dict[str, float]:
    """Run the three loops in turns and return the figures of `make bench`.

    episodes: of each task.
    Returns speedup_every_step, speedup_once_a_chunk, worker_memory_mb (the proportional share of
    its memory that the worker holds after its episodes), worker_peak_memory_mb, the control steps
    a second of each side, and place_fixtures_ms (what a scene seed costs).
    """
    names = [
        name
        for task in TASKS
        for name in episode_names(SUITE, task, Split.HELD_OUT, episodes, seed=0)
    ]
    clocks = {'every_step': Clock(), 'once_a_chunk': Clock(), 'ours': Clock()}
    with WorkerPool(1, RenderSettings('fast', SIZE)) as pool:
        worker = pool.workers[0]
        for task in TASKS:
            worker.reset(EpisodeName(SUITE, task, 0, 0))
        every_step, once_a_chunk = _StockLoop(True), _StockLoop(False)
        sides: dict[str, Callable[[EpisodeName], Any]] = {
            'every_step': every_step.begin,
            'once_a_chunk': once_a_chunk.begin,
            'ours': lambda name: _OurEpisode(worker, name),
        }
        progress = tqdm(total=len(names) * len(sides), unit='episode', desc='simulation')
        for number, name in enumerate(names):
            for side, begin in sides.items():
                _run_episode(begin, name, _actions(number), clocks[side])
                rates = {key: c.steps_per_second() for key, c in clocks.items() if c.steps_s}
                progress.set_postfix({key: f'{rate:.1f}/s' for key, rate in rates.items()})
                progress.update()
        progress.close()
        every_step.close()
        once_a_chunk.close()
        memory_mb = _status_mb(worker.pid, 'smaps_rollup', 'Pss:')
        peak_mb = _status_mb(worker.pid, 'status', 'VmHWM:')
    rates = {side: clock.steps_per_second() for side, clock in clocks.items()}
    return {
        'speedup_every_step': rates['ours'] / rates['every_step'],
        'speedup_once_a_chunk': rates['ours'] / rates['once_a_chunk'],
        'speedup_every_step_without_resets': _bare(clocks, 'every_step'),
        'speedup_once_a_chunk_without_resets': _bare(clocks, 'once_a_chunk'),
        'worker_memory_mb': memory_mb,
        'worker_peak_memory_mb': peak_mb,
        'place_fixtures_ms': _place_fixtures_ms(),
        **{f'steps_per_second_{side}': rate for side, rate in rates.items()},
        **{f'reset_s_{side}': float(np.mean(c.reset_s)) for side, c in clocks.items()},
    }


class _OurEpisode:
    """An episode in a worker process."""

    def __init__(self, worker: Worker, name: EpisodeName) -> None:
        self._worker = worker
        worker.reset(name)

    def execute(self, chunk: np.ndarray) -> None:
        """Execute a chunk and take the observation after it."""
        self._worker.execute(chunk)


class _StockLoop:
    """Stock environments, one a task, built once."""

    def __init__(self, render_every_step: bool) -> None:
        self._render_every_step = render_every_step
        self._environments = {task: self._build(task) for task in TASKS}

    def begin(self, name: EpisodeName) -> _StockEpisode:
        """Begin an episode as evaluations do."""
        return _StockEpisode(self._environments[name.task], name, self._render_every_step)

    def close(self) -> None:
        """Free the environments before the interpreter takes OpenGL away from them."""
        while self._environments:
            self._environments.popitem()[1].close()

    def _build(self, task: int) -> Any:
        libero_scene.silence()
        from libero.libero.envs import OffScreenRenderEnv

        return OffScreenRenderEnv(
            bddl_file_name=str(tasks.task(SUITE, task).bddl_file),
            camera_heights=SIZE,
            camera_widths=SIZE,
            use_camera_obs=self._render_every_step,
            ignore_done=True,
        )


class _StockEpisode:
    """An episode in a stock environment."""

    def __init__(self, env: Any, name: EpisodeName, render_every_step: bool) -> None:
        self._env = env
        self._render_every_step = render_every_step
        env.seed(name.scene_seed)
        env.reset()
        env.set_init_state(tasks.init_states(tasks.task(name.suite, name.task))[name.init_state])
        for _ in range(SETTLE_STEPS):
            env.step(SETTLE_ACTION)
        self._observe()

    def execute(self, chunk: np.ndarray) -> None:
        """Execute a chunk and have an observation after it."""
        for action in chunk:
            self._env.step(action)
        self._observe()

    def _observe(self) -> None:
        if not self._render_every_step:
            for camera in MODEL_CAMERAS.values():
                self._env.sim.render(width=SIZE, height=SIZE, camera_name=camera)


def _run_episode(
    begin: Callable[[EpisodeName], Any], name: EpisodeName, actions: np.ndarray, clock: Clock
) -> None:
    started = time.perf_counter()
    episode = begin(name)
    ready = time.perf_counter()
    for chunk in actions:
        episode.execute(chunk)
    clock.reset_s.append(ready - started)
    clock.steps_s.append(time.perf_counter() - ready)


def _actions(seed: int) -> np.ndarray:
    """Return smooth random actions that go down to the objects, [CHUNKS, CHUNK, 7]."""
    generator = np.random.default_rng(seed)
    wander = np.zeros(7)
    rows = []
    for step in range(CHUNKS * CHUNK):
        wander = 0.9 * wander + 0.2 * generator.normal(size=7)
        row = np.clip(wander, -1, 1)
        row[2] -= 0.6 if step < CHUNKS * CHUNK // 3 else 0.0
        rows.append(np.clip(row, -1, 1))
    return np.array(rows).reshape(CHUNKS, CHUNK, 7)


def _place_fixtures_ms() -> float:
    reset = SceneReset(libero_scene.build(tasks.task(SUITE, TASKS[0]), SceneLibrary()))
    durations = []
    for seed in range(9):
        started = time.perf_counter()
        reset.place_fixtures(seed)
        durations.append(time.perf_counter() - started)
    return 1000 * float(np.median(durations))


def _bare(clocks: dict[str, Clock], side: str) -> float:
    ours = clocks['ours'].steps_per_second_without_resets()
    return ours / clocks[side].steps_per_second_without_resets()


def _status_mb(pid: int | None, file: str, field: str) -> float:
    """Return one of Linux's memory figures of a process, MB."""
    for line in Path(f'/proc/{pid}/{file}').read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f'/proc/{pid}/{file} has no {field}')
