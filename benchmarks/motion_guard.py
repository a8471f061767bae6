"""The motion guard: time of a tick, chunk to command, and jerk of a sawtooth at the arm.

Ticks and lateness are measured on a guard that holds its rate beside a policy on another thread of
execution: a process of its own that infers without a pause, as the policy node's would at worst.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.controller_model import (
    CONTROLLER_RATE_HZ,
    ControllerModel,
    sampled_jerk,
)
from smoothvla_ros.control.motion_guard.guard import GuardCommand, MotionGuard
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.joint_positions import JointPositions
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.control.motion_guard.refusals import Chunk, ChunkLimits
from smoothvla_ros.control.motion_guard.watchdogs import WatchdogLimits
from smoothvla_ros.kinematics.robot import COMFORT, RobotDescription, panda_description
from smoothvla_ros.libero import CONTROL_PERIOD_S
from smoothvla_ros.nanoseconds import NANOSECONDS
from smoothvla_ros.ros_domain import free_domain

CONFIG = Path(__file__).resolve().parents[1] / 'config'
CHUNK = 8
CHUNK_PERIOD_S = 0.2
AT_MOST = {'tick_p99_ms': 1.0, 'late_ticks_percent': 0.5, 'chunk_to_command_ms': 5.0}


def measure(seconds: float = 60.0, with_policy: bool = True) -> dict[str, float]:
    """Run a guard in real time for so long, and a sawtooth of chunks through a model of time.

    seconds: `make bench` takes a minute; the ten minutes of docs/guard.md are
    ``python -m benchmarks.motion_guard 600``.
    Returns tick_p99_ms (the guard's tick: watchdogs, the model of the arm's controller, the
    motion), command_p99_ms (all that the arm waits for: the tick, its message, and that on its way
    to a subscription), the same as processor time (what is left where other programs take no
    turns), the message's part of it (message_processor_median_ms),
    chunk_judged_p99_ms (the same of a chunk's arrival, which comes between two ticks),
    late_ticks_percent (began more than a period late), chunk_to_command_ms
    (median, from a chunk's arrival between two ticks to the first command that follows from it),
    and of the sawtooth the peak joint jerk at the arm, that of the same targets held, rad/s^3, and
    the largest limit.
    """
    with _busy_policy() if with_policy else contextlib.nullcontext(), _published() as send:
        figures = _real_time(seconds, send)
    return figures | _sawtooth()


class _Rig:
    """A guard, the controller's model, and chunks."""

    def __init__(self, action_space: str, **arguments: Any) -> None:
        self.robot = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml')
        self.limits = self.robot.limits(COMFORT)
        self.joints = np.array(self.robot.posture)
        self.settings = GuardSettings(skip_elapsed=False)
        if action_space == JointPositions.name:
            self.space: JointPositions | OscReference = JointPositions(self.limits)
        else:
            parameters = OscParameters.from_file(CONFIG / 'action_spaces' / f'{action_space}.yaml')
            rate_hz = self.settings.rate_hz
            self.space = OscReference.for_robot(parameters, self.robot, COMFORT, rate_hz)
        self.guard = MotionGuard(self.settings, self.limits, self.space, **arguments)
        self.controller = ControllerModel(self.joints)
        self.seq = 0

    def listen(self, now_ns: int) -> None:
        """Let the arm be where it was commanded to be, and the policy live."""
        self.guard.hear_joints(now_ns, now_ns, self.controller.update(now_ns)[0])
        self.guard.hear_heartbeat(now_ns)

    def chunk(self, now_ns: int, actions: np.ndarray) -> Chunk:
        """Return a chunk that was made just now."""
        self.seq += 1
        return Chunk(
            epoch=1,
            seq=self.seq,
            stamp_ns=now_ns,
            observation_stamp_ns=now_ns,
            dt=CONTROL_PERIOD_S,
            action_space=self.space.name,
            horizon=len(actions),
            dimension=actions.shape[1],
            actions=actions.ravel(),
        )


def _real_time(seconds: float, send: Callable[[GuardCommand], None]) -> dict[str, float]:
    patient = WatchdogLimits(max_late_s=10.0, max_lag_rad=10.0)
    rig = _Rig('libero_osc_pose', watchdog_limits=patient)
    period_ns = round(NANOSECONDS / rig.settings.rate_hz)
    generator = np.random.default_rng(0)
    due_ns = time.monotonic_ns()
    rig.listen(due_ns)
    if reason := rig.guard.arm(due_ns):
        raise RuntimeError(f'the guard was not armed: {reason}')
    ticks, commands, computing, sending = [], [], [], []
    judged, waits, late = [], [], 0
    wander = np.zeros(7)
    chunk_ns = due_ns + NANOSECONDS
    # As the node does once it is configured.
    gc.collect()
    gc.freeze()
    for _ in range(round(seconds * rig.settings.rate_hz)):
        due_ns += period_ns
        offered_ns = 0
        if due_ns > chunk_ns:
            # Chunks arrive at any time between two ticks, as over a topic.
            arrives_ns = due_ns - round(generator.uniform(0, 1) * period_ns)
            _sleep_until(arrives_ns)
            rows = []
            for _ in range(CHUNK):
                wander = 0.9 * wander + generator.normal(0, 0.15, 7) - 0.05 * wander
                rows.append(np.clip(wander, -1, 1) * [1, 1, 0.5, 0.3, 0.3, 0.3, 1])
            now_ns = time.monotonic_ns()
            chunk = rig.chunk(now_ns, np.array(rows))
            started = time.perf_counter()
            refusal = rig.guard.offer(now_ns, chunk)
            judged.append(time.perf_counter() - started)
            if refusal is None:
                offered_ns = now_ns
            wander = wander if refusal is None else -0.5 * wander
            chunk_ns += round(CHUNK_PERIOD_S * NANOSECONDS)
        _sleep_until(due_ns)
        now_ns = time.monotonic_ns()
        if now_ns - due_ns > period_ns:
            late += 1
            due_ns = now_ns
        rig.listen(now_ns)
        started, worked = time.perf_counter(), time.thread_time()
        command = rig.guard.tick(now_ns)
        known = time.thread_time()
        ticks.append(time.perf_counter() - started)
        send(command)
        sent = time.thread_time()
        commands.append(time.perf_counter() - started)
        computing.append(sent - worked)
        sending.append(sent - known)
        if command.motion is not None:
            rig.controller.deliver(now_ns, command.start_ns, command.motion)
            if offered_ns:
                waits.append((time.monotonic_ns() - offered_ns) * 1e-6)
    return {
        'tick_p99_ms': 1e3 * float(np.quantile(ticks, 0.99)),
        'tick_median_ms': 1e3 * float(np.median(ticks)),
        'command_p99_ms': 1e3 * float(np.quantile(commands, 0.99)),
        'command_median_ms': 1e3 * float(np.median(commands)),
        'command_processor_p99_ms': 1e3 * float(np.quantile(computing, 0.99)),
        'message_processor_median_ms': 1e3 * float(np.median(sending)),
        'chunk_judged_p99_ms': 1e3 * float(np.quantile(judged, 0.99)),
        'late_ticks_percent': 100.0 * late / len(ticks),
        'chunk_to_command_ms': float(np.median(waits)),
    }


def _sawtooth(seconds: float = 5.0) -> dict[str, float]:
    """Anchor the chunks of a steady swing anew five times a second, 20 to 70 mrad off."""
    wide = ChunkLimits(max_start_distance_rad=0.5)
    rig = _Rig(JointPositions.name, chunk_limits=wide)
    millisecond = NANOSECONDS // CONTROLLER_RATE_HZ
    period_ms = round(CONTROLLER_RATE_HZ / rig.settings.rate_hz)
    generator = np.random.default_rng(0)
    now_ns = NANOSECONDS
    rig.listen(now_ns)
    if reason := rig.guard.arm(now_ns):
        raise RuntimeError(f'the guard was not armed: {reason}')
    received, held, lag, steps = [], [], 0.0, 0
    executed = round(CHUNK_PERIOD_S / CONTROL_PERIOD_S)
    for tick in range(round(seconds * rig.settings.rate_hz)):
        now_ns += period_ms * millisecond
        rig.listen(now_ns)
        if tick % round(CHUNK_PERIOD_S * rig.settings.rate_hz) == 0:
            anchors = generator.uniform(0.02, 0.07, 7) * generator.choice([-1, 1], 7)
            swing = 0.3 * np.sin(0.8 * CONTROL_PERIOD_S * np.arange(steps + 1, steps + CHUNK + 1))
            targets = rig.joints + anchors + swing[:, None]
            chunk = rig.chunk(now_ns, np.column_stack([targets, -np.ones(CHUNK)]))
            rig.guard.offer(now_ns, chunk)
            repeats = round(CONTROL_PERIOD_S * CONTROLLER_RATE_HZ)
            held.append(np.repeat(targets[:executed], repeats, axis=0))
            steps += executed
        command = rig.guard.tick(now_ns)
        lag = max(lag, rig.guard.lag_rad)
        if command.motion is not None:
            rig.controller.deliver(now_ns + millisecond, command.start_ns, command.motion)
        for step in range(1, period_ms + 1):
            received.append(rig.controller.update(now_ns + step * millisecond)[0])
    jerk = np.abs(sampled_jerk(np.array(received), 1 / CONTROLLER_RATE_HZ)).max(axis=0)
    jerk_held = np.abs(sampled_jerk(np.concatenate(held), 1 / CONTROLLER_RATE_HZ)).max(axis=0)
    worst = int(np.argmax(jerk / rig.limits.jerk))
    return {
        'sawtooth_peak_jerk': float(jerk[worst]),
        'sawtooth_peak_jerk_held': float(jerk_held[worst]),
        'jerk_limit': float(rig.limits.jerk[worst]),
        'sawtooth_lag_rad': lag,
    }


@contextlib.contextmanager
def _published() -> Iterator[Callable[[GuardCommand], None]]:
    """Yield what publishes a command as the guard's node does, heard by a subscription."""
    with free_domain() as domain:
        os.environ['ROS_DOMAIN_ID'] = str(domain)
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        # Imported here: the domain has to be chosen first.
        import rclpy
        from rclpy.node import Node
        from trajectory_msgs.msg import JointTrajectory

        from smoothvla_ros.nodes.motion_guard.commands import ArmCommands
        from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig
        from smoothvla_ros.nodes.topics.quality_of_service import profiles

        rclpy.init()
        node = Node('guard_benchmark')
        config, quality = MotionGuardConfig(command_topic='commands'), profiles('real_arm').command
        node.create_subscription(JointTrajectory, 'commands', lambda _: None, quality)
        try:
            yield ArmCommands(node, config, panda_description().joints, quality).send
        finally:
            node.destroy_node()
            rclpy.try_shutdown()


@contextlib.contextmanager
def _busy_policy() -> Iterator[None]:
    """Let the shipped policy infer in another process for as long as the block runs."""
    context = multiprocessing.get_context('spawn')
    ready, ended = context.Event(), context.Event()
    process = context.Process(target=_infer, args=(ready, ended), daemon=True)
    process.start()
    try:
        ready.wait(300.0)
        yield
    finally:
        ended.set()
        process.join(30.0)


def _infer(ready: Any, ended: Any) -> None:
    # Imported here: the guard's own process has no use for torch.
    import torch

    from benchmarks.policy_latency import observation
    from smoothvla_ros.policies.loading import load_policy

    torch.set_num_threads(1)
    policy = load_policy('default')
    seen = observation(policy.spec.cameras, policy.spec.image_size)
    while not ended.is_set():
        policy.act([seen], temperature=1.0, seeds=[0])
        ready.set()


def _sleep_until(due_ns: int) -> None:
    remaining = due_ns - time.monotonic_ns()
    if remaining > 0:
        time.sleep(remaining / NANOSECONDS)


if __name__ == '__main__':
    import json
    import sys

    print(json.dumps(measure(float(sys.argv[1]) if sys.argv[1:] else 60.0), indent=2))
