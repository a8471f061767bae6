"""`smoothvla train --arm-recording BAG…`: one GRPO update from labelled episodes of a real arm.

Rollouts of an arm are on-policy for the weights that played them and for no others: a run is one
iteration, and the next one needs the arm to play with the new weights.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.evaluation.plain_json import plain
from smoothvla_ros.folder_lock import LOCK, FolderLock
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import ACTION_DIMENSION, CONTROL_PERIOD_S, CONTROL_RATE_HZ
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.policy import PolicySpec
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import ChunkRecord, Episode, EpisodeName, EpisodeRequest
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.grpo_trainer import GrpoTrainer, TrainerState
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.rewards.functions import TOOL_POSE_DELTAS
from smoothvla_ros.training.rewards.motion import JOINTS, rollout_outcome
from smoothvla_ros.training.rollouts.schedule import GroupPlan
from smoothvla_ros.training.rollouts.source import LostEpisode
from smoothvla_ros.workflows.training.arm_recordings import (
    ArmRecordings,
    ArmRollout,
    read_recordings,
)

SUITE = 'arm'
POLICY, FIGURES = 'policy', 'update.json'
WITHOUT_EFFECT = (
    'attempts',
    'averaged_updates',
    'cool_down_iterations',
    'deterministic',
    'evaluate_every',
    'evaluation_episodes',
    'evaluation_seed',
    'group_size',
    'groups',
    'iterations',
    'keep_checkpoints',
    'reference_successes',
    'refill_groups',
    'render_profile',
    'resume',
    'robots',
    'suite',
    'tasks',
    'temperature',
    'train_episodes',
    'video',
)
"""Settings of the rollouts, of a run of several iterations and of its evaluation."""

_FEWEST = 2
# Of the rate that is needed: drivers keep theirs not to the last per cent.
_RATE_SHARE = 0.98


class ArmRolloutSource:
    """A `RolloutSource` of labelled episodes; its groups are those of one instruction."""

    def __init__(self, recordings: ArmRecordings, seed: int, of_joints: bool = True) -> None:
        """Put the episodes into groups.

        of_joints: whether their jerk will be that of the joints.
        An instruction with one episode is left out: there is nothing to compare it with.
        Raises UserError where no group is left, or where temperature or control period is not the
        same for all.
        """
        groups: dict[str, list[ArmRollout]] = {}
        for rollout in recordings.rollouts:
            groups.setdefault(rollout.instruction, []).append(rollout)
        for instruction in [name for name, group in groups.items() if len(group) < _FEWEST]:
            recordings.left_out['alone with its instruction'] += len(groups.pop(instruction))
        if not groups:
            raise UserError(
                'no instruction has two labelled episodes, and GRPO learns from what sets one '
                f'apart from another ({recordings.line()}); record more of the same instruction'
            )
        temperatures = {rollout.temperature for group in groups.values() for rollout in group}
        if len(temperatures) > 1:
            values = ', '.join(f'{value:g}' for value in sorted(temperatures))
            raise UserError(f'the recordings were made at temperatures {values}; use those of one')
        self.temperature = temperatures.pop()
        rollouts = [rollout for group in groups.values() for rollout in group]
        self.estimator = _estimator(rollouts, of_joints)
        self.instructions = tuple(sorted(groups))
        self._episodes: dict[str, Episode] = {}
        self._plans: list[GroupPlan] = []
        for number, instruction in enumerate(self.instructions):
            requests = []
            for rollout in groups[instruction]:
                request = EpisodeRequest(
                    episode_id=rollout.episode_id,
                    name=EpisodeName(SUITE, number, 0, 0),
                    group=number,
                    temperature=self.temperature,
                    seed=seed,
                    policy_version=0,
                )
                requests.append(request)
                self._episodes[rollout.episode_id] = _episode(request, rollout)
            self._plans.append(GroupPlan(tuple(requests)))

    def groups(self, iteration: int) -> list[GroupPlan]:
        """Return every group: there is one iteration."""
        return self._plans

    def reference_requests(self, task: int, count: int) -> list[EpisodeRequest]:
        """Return nothing: the arm plays no more for the reference jerk."""
        return []

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Do nothing: whose episodes these are was seen when they were read."""

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield the episodes that were asked for."""
        for request in requests:
            yield dataclasses.replace(self._episodes[request.episode_id], request=request)

    def lost(self) -> Sequence[LostEpisode]:
        """Return nothing: what is not whole was left out before."""
        return ()

    def close(self) -> None:
        """Do nothing."""


def train_from_arm(
    config: TrainConfig, paths: Sequence[Path], arm: Arm, joint_states: str | None = None
) -> dict[str, Any]:
    """Update the policy once; return the figures of the iteration.

    joint_states: the recorded topic of the arm's joints, see `arm_joint_states.arm_topic`.
    Writes the policy and the figures below `config.output`, which may not exist yet.
    Raises UserError for recordings that cannot be learnt from, with the reason.
    """
    output = config.output
    # Before anything is learnt, which would be lost where it cannot be written.
    with disk_errors(f'output={output}'), FolderLock(output, 'output='):
        if any(path.name != LOCK for path in output.iterdir()):
            raise UserError(
                f'output={output} is not an empty folder; choose another, nothing is overwritten'
            )
        return _train(config, paths, arm, joint_states)


def _train(
    config: TrainConfig, paths: Sequence[Path], arm: Arm, joint_states: str | None
) -> dict[str, Any]:
    sha256 = folder_sha256(policy_folder(config.policy))
    of_joints = config.jerk_source == JOINTS
    widest_s = CONTROL_PERIOD_S if of_joints else math.inf
    recordings = read_recordings(paths, sha256, arm, joint_states, widest_s)
    source = ArmRolloutSource(recordings, config.seed, of_joints)
    print(recordings.line())
    settings = dataclasses.replace(
        config,
        iterations=1,
        cool_down_iterations=0,
        groups=len(source.instructions),
        refill_groups=0,
        temperature=source.temperature,
    )
    policy = load_policy(config.policy, config.device, arm)
    _require_course(policy.spec, config)
    reference = None
    if config.needs_reference:
        # The first step begins at the starting policy; the later ones are held to it.
        reference = load_policy(config.policy, config.device, arm)
        reference.module.requires_grad_(False)
    # A policy may draw what it adds to itself for training.
    torch.manual_seed(config.seed)
    learner = GrpoLearner(policy, settings, reference)
    trainer = GrpoTrainer(
        settings,
        range(len(source.instructions)),
        source,
        source,
        learner,
        partial(
            rollout_outcome,
            jacobian=arm.jacobian,
            estimator=source.estimator,
            source=config.jerk_source,
        ),
        TrainerState(),
        source.estimator,
    )
    figures = trainer.iterate()
    learner.policy.save(config.output / POLICY)
    text = json.dumps(plain(figures) | {'instructions': source.instructions}, indent=2)
    write_file(config.output / FIGURES, f'{text}\n')
    return figures


def require_effect(config: TrainConfig, given: Collection[str]) -> None:
    """Raise UserError for settings that an update from recordings has no use for.

    given: names of settings and other options that were given, whatever their value.
    """
    usual = TrainConfig()
    changed = {name for name in WITHOUT_EFFECT if getattr(config, name) != getattr(usual, name)}
    used = {field.name for field in dataclasses.fields(config)} - set(WITHOUT_EFFECT)
    names = sorted(changed | (set(given) - used))
    if names:
        raise UserError(
            f'with --arm-recording {", ".join(names)} would have no effect: it makes one update '
            'from the episodes that the arm played; leave out what is no setting of that update'
        )


def _require_course(spec: PolicySpec, config: TrainConfig) -> None:
    """Raise UserError where the course anchor would add up numbers of another meaning."""
    known = spec.action_space in TOOL_POSE_DELTAS and spec.action_dimension == ACTION_DIMENSION
    if config.keeps_course and not known:
        raise UserError(
            f'policy {config.policy} answers {spec.action_dimension} numbers of '
            f'{spec.action_space!r}, and a course is known of {ACTION_DIMENSION} of '
            f'{", ".join(TOOL_POSE_DELTAS)} alone; give --course-coefficient 0'
        )


def print_update(figures: dict[str, Any], config: TrainConfig) -> None:
    """Print what the arm did, and where the policy is that learnt from it."""
    print(
        f'success {figures["success"]:.0%}, mean tool jerk of successes {figures["jerk"]:.3g} m/s^3'
    )
    kept = f'{figures["groups_kept"]} of {figures["groups"]} instructions taught something'
    print(f'{kept}\npolicy: {config.output / POLICY}')


def _estimator(rollouts: Sequence[ArmRollout], of_joints: bool) -> EstimatorSettings:
    """Return settings whose rate is that of the control steps, or a multiple that is fast enough.

    Raises UserError for several control periods, or joints that were recorded too seldom for a
    jerk of theirs.
    """
    named = {rollout.trajectory.control_period_s: rollout.episode_id for rollout in rollouts[::-1]}
    if len(named) > 1:
        periods = ', '.join(f'{s:g} s (episode {name})' for s, name in sorted(named.items()))
        raise UserError(f'the recordings have control periods {periods}; use those of one')
    (period_s,) = named
    # At LIBERO's rate a window holds what the fit needs, whatever the policy's own rate is.
    readings = max(1, math.ceil(period_s * CONTROL_RATE_HZ - 1e-6))
    rate_hz = readings / period_s
    for rollout in rollouts if of_joints else ():
        if rollout.joint_rate_hz < _RATE_SHARE * rate_hz:
            raise UserError(
                f'episode {rollout.episode_id} has joint states {rollout.joint_rate_hz:.3g} times '
                f'a second, and its jerk needs {rate_hz:.3g} times; record its joints faster, or '
                'give --jerk-source commands'
            )
    return EstimatorSettings(rate_hz=rate_hz)


def _episode(request: EpisodeRequest, rollout: ArmRollout) -> Episode:
    parts = zip(rollout.decisions, rollout.chunks.executed, strict=True)
    chunks = [
        ChunkRecord(decision.observation, decision.tokens, decision.log_probs, executed)
        for decision, executed in parts
    ]
    return Episode(request, rollout.success, rollout.trajectory, chunks)
