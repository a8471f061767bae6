"""The shipped policy through the whole deployment path, against LIBERO's own controller.

The same held-out scenes on both sides. One side is `deploy.launch.py hardware:=twin`: twin, policy
and guard as processes, with an operator here who arms, disarms and resets. The other is the
evaluation's own loop in process. Success, and the tool's jerk at the physics' 500 Hz with one
estimator, over the scenes that both sides solve, from the first commanded motion on. With
--one-process guard and twin run here and in simulated time, with delays of a fixed length: the
figures then do not depend on how busy the machine is.

python -m benchmarks.deployment --tasks libero_object:0 --episodes 50; not part of `make bench`,
because it takes minutes. Scenes that are in the file --out already are not played again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.deployment_operator import operate
from benchmarks.guarded_episode import Delays, play_guarded
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.evaluation.intervals.bootstrap import paired_change_percent
from smoothvla_ros.evaluation.intervals.rates import PairedCounts, success_difference
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import COMFORT, RobotDescription
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.loading import load_policy
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation
from smoothvla_ros.ros_domain import free_domain
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin
from smoothvla_ros.smoothness import EstimatorSettings, summarise
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource

CONFIG = Path(__file__).parents[1] / 'config'
TASKS = (('libero_object', 0),)
SEED = 0
AT_LEAST = {'jerk_reduction_percent': 50.0}
AT_MOST = {'success_points_lost': 5.0, 'speed_change_percent': 10.0}
OWN, TOPICS, ONE_PROCESS = 'own controller', 'guard, topics', 'guard, one process'
_SUBSTEPS = 25
_MOVED_RAD = 1e-5


@dataclass(frozen=True)
class Played:
    """A scene that was played on one side; jerk m/s^3 and speed m/s are means, NaN where it failed.

    jerk: at the physics' 500 Hz.  duration_s: from the first commanded motion to the success.
    """

    side: str
    suite: str
    task: int
    init_state: int
    scene_seed: int
    success: bool
    jerk: float = math.nan
    speed: float = math.nan
    duration_s: float = math.nan
    note: str = ''

    @property
    def name(self) -> EpisodeName:
        """Which scene it was."""
        return EpisodeName(self.suite, self.task, self.init_state, self.scene_seed)


def measure(
    tasks: Sequence[tuple[str, int]] = TASKS,
    episodes: int = 5,
    policy: str = 'default',
    one_process: bool = False,
    delays: Delays | None = None,
    out: Path | None = None,
) -> dict[str, float]:
    """Play the first held-out scenes of each task on both sides and return the figures.

    out: a line of JSON a scene; what is in it already is not played again.
    """
    arm = Arm.panda()
    guarded = ONE_PROCESS if one_process else TOPICS
    played = _read(out)

    def missing(side: str, names: list[EpisodeName]) -> list[EpisodeName]:
        return [name for name in names if (side, name) not in played]

    def keep(scenes: Iterator[Played]) -> None:
        for scene in scenes:
            played[scene.side, scene.name] = scene
            print(json.dumps(asdict(scene)), file=sys.stderr, flush=True)
            if out is not None:
                with out.open('a') as lines:
                    lines.write(json.dumps(asdict(scene)) + '\n')

    wanted = []
    for suite, task in tasks:
        names = episode_names(suite, task, Split.HELD_OUT, episodes, SEED)
        wanted += names
        if one_process:
            keep(_in_process(missing(guarded, names), policy, arm, delays))
        elif missing(guarded, names):
            keep(_over_topics(names, policy, arm))
        keep(_own_controller(missing(OWN, names), policy, arm))
    return figures([played[guarded, name] for name in wanted], [played[OWN, n] for n in wanted])


def figures(guarded: list[Played], own: list[Played]) -> dict[str, float]:
    """Return the figures of the same scenes on both sides, with 95% intervals of the changes.

    Of success Newcombe's for pairs; of jerk and speed a bootstrap of tasks, and of scenes within.
    """
    counts = PairedCounts.of([scene.success for scene in own], [s.success for s in guarded])
    lost = success_difference(counts)
    found = {
        'episodes': float(len(own)),
        'success_percent': 100.0 * float(np.mean([scene.success for scene in guarded])),
        'own_success_percent': 100.0 * float(np.mean([scene.success for scene in own])),
        'success_points_lost': -100.0 * lost.mean,
        'success_points_lost_low': -100.0 * lost.high,
        'success_points_lost_high': -100.0 * lost.low,
    }
    solved = [pair for pair in zip(own, guarded, strict=True) if all(s.success for s in pair)]
    if not solved:
        return found
    levels = [((own.suite, own.task), own.scene_seed) for own, _ in solved]
    for measure in ('jerk', 'speed', 'duration_s'):
        theirs, ours = (
            [getattr(scene, measure) for scene in side] for side in zip(*solved, strict=True)
        )
        change = paired_change_percent(theirs, ours, seed=SEED, levels=levels)
        found |= {
            measure: float(np.mean(ours)),
            f'own_{measure}': float(np.mean(theirs)),
            f'{measure}_change_percent': change.mean,
            f'{measure}_change_percent_low': change.low,
            f'{measure}_change_percent_high': change.high,
        }
    found['jerk_reduction_percent'] = -found['jerk_change_percent']
    return found


def _read(path: Path | None) -> dict[tuple[str, EpisodeName], Played]:
    if path is None or not path.exists():
        return {}
    rows = [Played(**json.loads(line)) for line in path.read_text().splitlines()]
    return {(row.side, row.name): row for row in rows}


def _played(
    side: str,
    name: EpisodeName,
    joints: np.ndarray | None,
    period_s: float,
    arm: Arm,
    note: str = '',
) -> Played:
    """Measure a motion, one row a substep from the first commanded motion on; None: a failure."""
    if joints is None:
        return Played(side, *_fields(name), success=False, note=note)
    dt = _SUBSTEPS * period_s
    settings = EstimatorSettings()
    summary = summarise(joints[::_SUBSTEPS], arm.jacobian, None, dt, settings, joints, period_s)
    return Played(
        side,
        *_fields(name),
        success=True,
        jerk=summary.mean_jerk_substep,
        speed=summary.mean_speed,
        duration_s=summary.duration_s,
        note=note,
    )


def _fields(name: EpisodeName) -> tuple[str, int, int, int]:
    return name.suite, name.task, name.init_state, name.scene_seed


def _over_topics(names: list[EpisodeName], policy: str, arm: Arm) -> Iterator[Played]:
    """Play the scenes of a task with the launch file's own processes."""
    with tempfile.TemporaryDirectory(prefix='smoothvla_deployment_') as folder:
        for name, success in _through_the_guard(names, policy, Path(folder)):
            joints, period_s = _recorded(Path(folder), name) if success else (None, 0.0)
            yield _played(TOPICS, name, joints, period_s, arm)


def _in_process(
    names: list[EpisodeName], policy: str, arm: Arm, delays: Delays | None
) -> Iterator[Played]:
    """Play the scenes with guard and twin in this process."""
    loaded = load_policy(policy)
    spec = loaded.spec
    twin = ArmTwin(RenderSettings('fast', spec.image_size, spec.cameras))
    settings = GuardSettings()
    robot = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml')
    limits = robot.limits(COMFORT)
    parameters = OscParameters.from_file(CONFIG / 'action_spaces' / f'{spec.action_space}.yaml')

    def decide(observation: Observation, chunk: int) -> np.ndarray:
        return loaded.act([observation], temperature=0.0, seeds=[SEED]).actions[0]

    for name in names:
        space = OscReference.for_robot(parameters, robot, COMFORT, settings.rate_hz)
        guard = MotionGuard(settings, limits, space)
        episode = play_guarded(
            twin, guard, settings.rate_hz, spec.action_space, decide, name, delays
        )
        joints = episode.joint_positions if episode.success else None
        note = f'{episode.ended or "succeeded"}, {episode.chunks} chunks'
        note += f', refused {episode.refusals}' if episode.refusals else ''
        yield _played(ONE_PROCESS, name, joints, episode.period_s, arm, note)


def _recorded(folder: Path, name: EpisodeName) -> tuple[np.ndarray, float]:
    """Return what the twin wrote, from the first commanded motion on, and its period, s."""
    path = folder / f'{name.suite}_{name.task}_{name.init_state}_{name.scene_seed}.npz'
    with np.load(path, allow_pickle=False) as archive:
        joints, commanded = archive['joint_positions'], archive['commanded_positions']
        period_s = float(archive['period_s'])
    moved = np.abs(commanded - commanded[0]).max(axis=1) > _MOVED_RAD
    return joints[int(np.argmax(moved)) :], period_s


def _own_controller(names: list[EpisodeName], policy: str, arm: Arm) -> Iterator[Played]:
    """Play the scenes as `smoothvla eval` does, greedily."""
    if not names:
        return
    folder = policy_folder(policy)
    spec = load_policy(folder).spec
    requests = [
        EpisodeRequest(f'own-{index}', name, 0, 0.0, SEED, 0) for index, name in enumerate(names)
    ]
    render = RenderSettings('fast', spec.image_size, spec.cameras)
    with ProcessRolloutSource(load_policy, 1, render) as source:
        source.update_policy(0, folder, folder_sha256(folder))
        for episode in source.collect(requests):
            trajectory = episode.trajectory
            joints = trajectory.substep_joint_positions.astype(float) if episode.success else None
            yield _played(OWN, episode.request.name, joints, trajectory.substep_period_s, arm)
        if source.lost():
            raise RuntimeError(f'episodes were lost: {source.lost()}')


def _through_the_guard(
    names: list[EpisodeName], policy: str, folder: Path
) -> Iterator[tuple[EpisodeName, bool]]:
    with free_domain() as domain:
        os.environ['ROS_DOMAIN_ID'] = str(domain)
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        values = {
            'hardware': 'twin',
            'suite': names[0].suite,
            'task': names[0].task,
            'episodes': len(names),
            'seed': SEED,
            'policy': policy,
            'operator': 'false',
            'monitor': 'false',
            # A machine that is too slow then stretches time instead of losing images.
            'publish_clock': 'true',
            'motions': folder,
        }
        words = [f'{name}:={value}' for name, value in values.items()]
        command = [sys.executable, '-m', 'smoothvla_ros.cli', 'launch', '--runner', 'own']
        graph = subprocess.Popen(
            [*command, 'deploy.launch.py', *words], cwd=Path(__file__).parents[1]
        )
        try:
            yield from operate(names, lambda: graph.poll() is None)
        finally:
            graph.send_signal(signal.SIGINT)
            graph.wait()


def _task(word: str) -> tuple[str, int]:
    suite, _, task = word.partition(':')
    return suite, int(task)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', type=_task, nargs='+', default=TASKS, metavar='SUITE:TASK')
    parser.add_argument('--episodes', type=int, default=5, help='held-out scenes a task')
    parser.add_argument('--policy', default='default')
    parser.add_argument('--one-process', action='store_true')
    parser.add_argument('--observation-s', type=float, help='one process: from image to chunk')
    parser.add_argument('--lead-s', type=float, help='one process: as the policy node has it')
    parser.add_argument('--max-lead-s', type=float, help='one process: as the policy node has it')
    parser.add_argument('--out', type=Path, help='JSON lines, a scene each; goes on from them')
    values = vars(parser.parse_args())
    given = {key: values.pop(key) for key in ('observation_s', 'lead_s', 'max_lead_s')}
    delays = Delays(**{key: value for key, value in given.items() if value is not None})
    print(json.dumps(measure(**values, delays=delays), indent=2))
