"""Every setting of a GRPO run, described and ranged, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import FAST, RENDER_PROFILES
from smoothvla_ros.records.reward_names import DECOUPLED
from smoothvla_ros.simulation.tasks import task, tasks
from smoothvla_ros.training.rewards.functions import RewardSettings
from smoothvla_ros.training.rewards.motion import JERK_SOURCES

# Of `frozen`: image trunks, which a policy has under this name or not at all.
AUTO, CAMERAS = 'auto', 'cameras'


@dataclass(frozen=True)
class GrpoConfig(RewardSettings):
    """The algorithm: what an iteration samples, and how the policy learns from it."""

    iterations: int = setting(16, 'Iterations of rollouts and update', minimum=0, maximum=100_000)
    groups: int = setting(
        5, 'Groups an iteration: scenes that are rolled out again', minimum=1, maximum=10_000
    )
    group_size: int = setting(
        8, 'Rollouts of one scene, compared with each other', minimum=2, maximum=10_000
    )
    refill_groups: int = setting(
        1,
        'Most groups an iteration that replace those which teach nothing',
        minimum=0,
        maximum=10_000,
    )
    attempts: int = setting(
        2,
        'How often a lost rollout is asked for before its group is dropped',
        minimum=1,
        maximum=100,
    )
    temperature: float = setting(0.3, 'Sampling temperature of training', minimum=0.01, maximum=5.0)
    jerk_source: str = setting(
        'joints',
        'What a reward takes jerk from: the joints as they moved, or the commands',
        choices=JERK_SOURCES,
    )
    learning_rate: float = setting(1.2e-4, 'Learning rate of AdamW', minimum=0.0, maximum=1.0)
    warm_up_steps: int = setting(
        10, 'Optimiser steps over which the learning rate rises', minimum=0, maximum=100_000
    )
    cool_down_iterations: int = setting(
        -1,
        'Last iterations of the run, over which the learning rate falls to zero; -1: half of '
        'them, 0: it stays',
        before=0,
        minimum=-1,
        maximum=100_000,
    )
    weight_decay: float = setting(0.0, 'Weight decay of AdamW', minimum=0.0, maximum=1.0)
    frozen: tuple[str, ...] = setting(
        (AUTO,),
        'Parameters that are not trained, by the first parts of their names, which must exist; '
        "empty trains all. 'auto': the part `cameras` where the policy has one, as the small "
        "policy's image trunks, which cost most of an update",
    )
    epochs: int = setting(1, 'Passes over the rollouts of an iteration', minimum=1, maximum=1000)
    averaged_updates: int = setting(
        1,
        'Of about so many of the last iterations the mean of the weights is what comes out: '
        'rollouts are drawn from the last ones, evaluation and policy have the mean; 1: the last',
        minimum=1,
        maximum=100_000,
    )
    minibatches: int = setting(2, 'Optimiser steps a pass', minimum=1, maximum=10_000)
    micro_batch: int = setting(
        16, 'Chunks a forward pass; only memory depends on it', minimum=1, maximum=100_000
    )
    micro_tokens: int = setting(
        0,
        'Most tokens a forward pass of a large policy; 0 is micro_batch alone '
        '(`smoothvla memory` computes it)',
        minimum=0,
        maximum=10_000_000,
    )
    clip_low: float = setting(0.2, 'How far a ratio may fall below 1', minimum=0.0, maximum=1.0)
    clip_high: float = setting(0.28, 'How far a ratio may rise above 1', minimum=0.0)
    max_gradient_norm: float = setting(1.0, 'Gradients are scaled down to this norm', minimum=1e-6)
    entropy_coefficient: float = setting(
        0.0, 'Weight of an entropy bonus a token', minimum=0.0, maximum=1.0
    )
    kl_coefficient: float = setting(
        0.0, 'Weight of the divergence from the starting policy; 0 goes without', minimum=0.0
    )
    course_coefficient: float = setting(
        20.0,
        'decoupled: weight of the penalty on expecting a chunk to end elsewhere than the starting '
        'policy does; 0 goes without',
        minimum=0.0,
    )
    course_gripper_weight: float = setting(
        1.0,
        "decoupled: weight in that penalty of the gripper's commands where they are expected to "
        'differ from the starting policy, beside the way of the tool; 0 lets them drift',
        before=0.0,
        minimum=0.0,
    )
    reference_successes: int = setting(
        4,
        'Successes a task that the reference jerk is averaged over at least',
        minimum=1,
        maximum=10_000,
    )
    threads: int = setting(
        2, 'Threads of the update; part of what makes a run repeatable', minimum=1, maximum=256
    )
    seed: int = setting(
        0, 'Seed of the run; everything that is drawn follows from it', minimum=0, maximum=2**63 - 1
    )

    def __post_init__(self) -> None:
        # First, or the rewards would call every setting theirs.
        validate(self, 'training')
        super().__post_init__()

    @property
    def cooled_iterations(self) -> int:
        """Over how many of the last iterations the learning rate falls; 0 is none."""
        if self.cool_down_iterations < 0:
            return self.iterations // 2
        return self.cool_down_iterations

    @property
    def keeps_course(self) -> bool:
        """Whether the policy is held to the starting policy's course: a part of `decoupled`."""
        return self.reward == DECOUPLED and self.course_coefficient > 0.0

    @property
    def without_effect(self) -> frozenset[str]:
        """Settings that decide nothing in such a run: two that differ in them alone are one."""
        if self.reward != DECOUPLED:
            return frozenset({'course_coefficient', 'course_gripper_weight'})
        return frozenset() if self.keeps_course else frozenset({'course_gripper_weight'})

    @property
    def needs_reference(self) -> bool:
        """Whether the loss compares with the starting policy."""
        return self.kl_coefficient > 0.0 or self.keeps_course


@dataclass(frozen=True)
class TrainConfig(GrpoConfig):
    """The job: what is trained, where, how it is evaluated and what is kept."""

    suite: str = setting('libero_spatial', 'Task suite')
    tasks: tuple[int, ...] = setting((0, 1, 2, 3), 'Tasks of the suite; empty for all')
    policy: str = setting('default', "Starting policy: a folder, or 'default' for the shipped one")
    output: Path = setting(Path('runs/train'), 'Folder for everything the run leaves behind')
    resume: bool = setting(
        True, 'Go on with an unfinished run of the same settings found in the output folder'
    )
    evaluation_episodes: int = setting(
        10,
        'Held-out episodes a task, before and after each; 0 measures neither',
        minimum=0,
        maximum=10_000,
    )
    evaluation_seed: int = setting(
        1000, 'Seed that draws the held-out episodes', minimum=0, maximum=2**63 - 1
    )
    evaluate_every: int = setting(
        0,
        'Iterations from one greedy evaluation on scenes of the train split to the next; 0: never',
        minimum=0,
        maximum=100_000,
    )
    train_episodes: int = setting(
        2, 'Train scenes a task of each of these, always the same', minimum=1, maximum=10_000
    )
    robots: int = setting(2, 'Simulated robots, one process each', minimum=1, maximum=64)
    render_profile: str = setting(
        FAST, 'Rendering: stock is what LIBERO draws', choices=RENDER_PROFILES
    )
    video: bool = setting(True, 'Replay one episode before and after into a video')
    keep_checkpoints: int = setting(
        2, 'Latest checkpoints to keep beside the first', minimum=2, maximum=100_000
    )
    device: str = setting(
        'cpu',
        'Torch device of the update and of the inference: cpu, cuda, or auto for a GPU where there '
        'is one',
    )
    deterministic: bool = setting(
        True, 'Bit-identical runs of one seed: one request an inference, deterministic kernels'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.tasks)) != len(self.tasks):
            raise UserError(f'training: tasks={list(self.tasks)} names one twice; name each once')
        for index in self.task_indices:
            task(self.suite, index)
        if self.iterations == 0 and self.evaluation_episodes == 0:
            raise UserError(
                'training: iterations=0 and evaluation_episodes=0 leave nothing to do; raise one'
            )

    @property
    def task_indices(self) -> tuple[int, ...]:
        """The tasks to train on, all of the suite where none is named."""
        return self.tasks or tuple(item.index for item in tasks(self.suite))
