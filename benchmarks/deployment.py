"""The shipped policy through the whole deployment path, against LIBERO's own controller.

The same held-out scenes on both sides. One side is `deploy.launch.py hardware:=twin`: twin, policy
and guard as processes, with an operator here who arms, disarms and resets. The other is the
evaluation's own loop in process. Success, and the tool's jerk at the physics' 500 Hz with one
estimator, over the scenes that both sides solve, from the first commanded motion on. With
--one-process guard and twin run here and in simulated time, with delays of a fixed length: the
figures then do not depend on how busy the machine is.

python -m benchmarks.deployment --episodes 50; not part of `make bench`, because it takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smoothvla_ros.control.motion_guard.guard import GuardSettings, MotionGuard
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.kinematics import Arm, InverseKinematics
from smoothvla_ros.policies.policy import load_policy, policy_folder
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation
from smoothvla_ros.ros_domain import free_domain
from smoothvla_ros.simulation.rendering import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin
from smoothvla_ros.smoothness import EstimatorSettings, SmoothnessSummary, summarise
from smoothvla_ros.training.checkpoints import folder_sha256
from smoothvla_ros.training.process_rollouts import ProcessRolloutSource
from smoothvla_ros.workflows.guarded_episode import play_guarded

CONFIG = Path(__file__).parents[1] / 'config'
SUITE, TASK = 'libero_object', 0
SEED = 0
AT_LEAST = {'jerk_reduction_percent': 50.0}
AT_MOST = {'success_points_lost': 5.0, 'speed_change_percent': 10.0}
PATIENCE_S = 600.0
SETTLE_NS = 200_000_000
_SUBSTEPS = 25
_MOVED_RAD = 1e-5


def measure(
    suite: str = SUITE,
    task: int = TASK,
    episodes: int = 5,
    policy: str = 'default',
    one_process: bool = False,
) -> dict[str, float]:
    """Play the first held-out scenes of a task on both sides and return the figures."""
    names = episode_names(suite, task, Split.HELD_OUT, episodes, SEED)
    arm = Arm.panda()
    guarded = (_in_process if one_process else _over_topics)(names, policy, arm)
    own = _own_controller(names, policy, arm)
    solved = [name for name in names if guarded[name] is not None and own[name] is not None]
    figures = {
        'episodes': float(len(names)),
        'success_percent': 100.0 * sum(s is not None for s in guarded.values()) / len(names),
        'own_success_percent': 100.0 * sum(s is not None for s in own.values()) / len(names),
    }
    figures['success_points_lost'] = figures['own_success_percent'] - figures['success_percent']
    if solved:
        ours = [guarded[name] for name in solved]
        theirs = [own[name] for name in solved]
        jerks = [np.mean([s.mean_jerk_substep for s in side]) for side in (ours, theirs)]
        speeds = [np.mean([s.mean_speed for s in side]) for side in (ours, theirs)]
        figures |= {
            'jerk': float(jerks[0]),
            'own_jerk': float(jerks[1]),
            'jerk_reduction_percent': float(100.0 * (1.0 - jerks[0] / jerks[1])),
            'speed': float(speeds[0]),
            'own_speed': float(speeds[1]),
            'speed_change_percent': float(100.0 * abs(speeds[0] / speeds[1] - 1.0)),
        }
    return figures


def _over_topics(
    names: list[EpisodeName], policy: str, arm: Arm
) -> dict[EpisodeName, SmoothnessSummary | None]:
    """Play the scenes with the launch file's own processes; None for a failure."""
    with tempfile.TemporaryDirectory(prefix='smoothvla_deployment_') as folder:
        verdicts = _through_the_guard(names, policy, Path(folder))
        return {
            name: _recorded(Path(folder), name, arm) if verdicts[name] else None for name in names
        }


def _in_process(
    names: list[EpisodeName], policy: str, arm: Arm
) -> dict[EpisodeName, SmoothnessSummary | None]:
    """Play the scenes with guard and twin in this process; None for a failure, said with why."""
    loaded = load_policy(policy)
    spec = loaded.spec
    twin = ArmTwin(RenderSettings('fast', spec.image_size, spec.cameras))
    settings = GuardSettings()
    robot = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml')
    limits, posture = robot.limits('comfort'), np.array(robot.posture)
    parameters = OscParameters.from_file(CONFIG / 'action_spaces' / f'{spec.action_space}.yaml')
    found: dict[EpisodeName, SmoothnessSummary | None] = {}

    def decide(observation: Observation, chunk: int) -> np.ndarray:
        return loaded.act([observation], temperature=0.0, seeds=[SEED]).actions[0]

    for name in tqdm(names, desc='through the guard'):
        guarded_arm = robot.arm()
        inverse = InverseKinematics(guarded_arm, limits.lower, limits.upper, posture)
        guard = MotionGuard(settings, limits, OscReference(parameters, guarded_arm, inverse))
        episode = play_guarded(twin, guard, settings.rate_hz, spec.action_space, decide, name)
        found[name] = None
        if episode.success:
            found[name] = _summary(episode.joint_positions, episode.period_s, arm)
        ended = 'succeeded' if episode.success else episode.ended
        off = f'at most {episode.tracking_error_rad:.4f} rad off'
        tqdm.write(f'{name}: {ended}, {episode.chunks} chunks, refused {episode.refusals}, {off}')
    return found


def _recorded(folder: Path, name: EpisodeName, arm: Arm) -> SmoothnessSummary:
    """Measure what the twin wrote, from the first commanded motion on."""
    path = folder / f'{name.suite}_{name.task}_{name.init_state}_{name.scene_seed}.npz'
    with np.load(path, allow_pickle=False) as archive:
        joints, commanded = archive['joint_positions'], archive['commanded_positions']
        period_s = float(archive['period_s'])
    moved = np.abs(commanded - commanded[0]).max(axis=1) > _MOVED_RAD
    return _summary(joints[int(np.argmax(moved)) :], period_s, arm)


def _summary(joints: np.ndarray, period_s: float, arm: Arm) -> SmoothnessSummary:
    steps = joints[::_SUBSTEPS]
    dt = _SUBSTEPS * period_s
    return summarise(steps, arm.jacobian, None, dt, EstimatorSettings(), joints, period_s)


def _own_controller(
    names: list[EpisodeName], policy: str, arm: Arm
) -> dict[EpisodeName, SmoothnessSummary | None]:
    """Play the scenes as `smoothvla eval` does, greedily; None for a failure."""
    folder = policy_folder(policy)
    spec = load_policy(folder).spec
    requests = [
        EpisodeRequest(f'own-{index}', name, 0, 0.0, SEED, 0) for index, name in enumerate(names)
    ]
    found: dict[EpisodeName, SmoothnessSummary | None] = {}
    render = RenderSettings('fast', spec.image_size, spec.cameras)
    with ProcessRolloutSource(load_policy, 1, render) as source:
        source.update_policy(0, folder, folder_sha256(folder))
        for episode in tqdm(source.collect(requests), total=len(names), desc='own controller'):
            trajectory = episode.trajectory
            found[episode.request.name] = (
                _summary(
                    trajectory.substep_joint_positions.astype(float),
                    trajectory.substep_period_s,
                    arm,
                )
                if episode.success
                else None
            )
        if len(found) != len(names):
            raise RuntimeError(f'episodes were lost: {source.lost()}')
    return found


def _through_the_guard(
    names: list[EpisodeName], policy: str, folder: Path
) -> dict[EpisodeName, bool]:
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
            'auto_arm': 'false',
            'monitor': 'false',
            # A machine that is too slow then stretches time instead of losing images.
            'publish_clock': 'true',
            'record': folder,
        }
        words = [f'{name}:={value}' for name, value in values.items()]
        command = [sys.executable, '-m', 'smoothvla_ros.cli', 'launch', '--runner', 'own']
        graph = subprocess.Popen(
            [*command, 'deploy.launch.py', *words], cwd=Path(__file__).parents[1]
        )
        try:
            return _operate(names, lambda: graph.poll() is None)
        finally:
            graph.send_signal(signal.SIGINT)
            graph.wait()


def _operate(names: list[EpisodeName], alive: Callable[[], bool]) -> dict[EpisodeName, bool]:
    """Arm, wait for the verdict, disarm, reset: once a scene."""
    # Imported here: the domain has to be chosen first.
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import JointState
    from std_srvs.srv import Trigger

    from smoothvla_ros import msg
    from smoothvla_ros.nodes.quality_of_service import profiles, with_depth
    from smoothvla_ros.nodes.stamps import to_nanoseconds

    rclpy.init()
    node = Node('operator')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    latest: dict[str, Any] = {}
    quality = profiles('real_arm')
    for kind, topic, key, profile in (
        (msg.EpisodeState, 'robot_0/episode_state', 'episode', quality.state),
        (msg.GuardState, 'robot_0/motion_guard/state', 'guard', quality.state),
        (JointState, 'robot_0/joint_states', 'joints', with_depth(quality.joint_states, 1)),
    ):
        node.create_subscription(kind, topic, lambda m, key=key: latest.update({key: m}), profile)
    services = {
        name: node.create_client(Trigger, f'robot_0/{name}')
        for name in ('reset', 'motion_guard/arm', 'motion_guard/disarm', 'motion_guard/clear_fault')
    }

    def until(condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if not alive() or time.monotonic() > deadline:
                raise RuntimeError(f'waited in vain for {what}; see the output above')
            executor.spin_once(timeout_sec=0.1)

    def call(name: str) -> bool:
        until(services[name].service_is_ready, f'the service {name}')
        future = services[name].call_async(Trigger.Request())
        until(future.done, f'an answer of {name}')
        return future.result().success

    def phase() -> int | None:
        return latest['guard'].phase if 'guard' in latest else None

    def stands_in(number: int) -> bool:
        """Whether the arm was measured in this scene: before, it was somewhere else."""
        episode, joints = latest.get('episode'), latest.get('joints')
        if episode is None or joints is None or episode.attempt != number:
            return False
        since_ns = to_nanoseconds(joints.header.stamp) - to_nanoseconds(episode.first_stamp)
        return since_ns > SETTLE_NS

    verdicts = {}
    try:
        for number, name in enumerate(tqdm(names, desc='through the guard'), start=1):
            until(lambda number=number: stands_in(number), f'episode {number}')
            until(lambda: call('motion_guard/arm'), 'the guard to be armed')
            until(
                lambda: (
                    latest['episode'].phase == msg.EpisodeState.PHASE_FINISHED
                    or phase() == msg.GuardState.PHASE_FAULTED
                ),
                f'the end of episode {number}',
            )
            verdicts[name] = bool(latest['episode'].success)
            if phase() == msg.GuardState.PHASE_FAULTED:
                node.get_logger().warning(f'{name}: {latest["guard"].reason}')
                call('motion_guard/clear_fault')
            call('motion_guard/disarm')
            until(lambda: phase() == msg.GuardState.PHASE_DISARMED, 'the guard to be disarmed')
            if number < len(names):
                call('reset')
        return verdicts
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--suite', default=SUITE)
    parser.add_argument('--task', type=int, default=TASK)
    parser.add_argument('--episodes', type=int, default=5)
    parser.add_argument('--policy', default='default')
    parser.add_argument('--one-process', action='store_true')
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
