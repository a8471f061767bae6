"""Every setting of `smoothvla eval`, described and ranged, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.policy_labels import EXPERT
from smoothvla_ros.libero import FAST, RENDER_PROFILES
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.splits import EvaluationSplit


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated, on which episodes, and where the results go."""

    policy: str = setting('default', "Policy: a folder, or 'default' for the shipped one")
    compare: str | None = setting(
        None,
        'Another policy, run first on the same episodes: what `policy` is compared with; '
        f"'{EXPERT}' is the scripted one, which sees the simulator's state",
    )
    suite: str = setting('libero_spatial', 'Task suite')
    tasks: tuple[int, ...] = setting((), 'Tasks of the suite; empty for all')
    episodes: int = setting(
        10, 'Episodes a task, each from a scene of its own', minimum=1, maximum=10_000
    )
    split: str = setting(
        'held_out',
        'Init states and scene seeds; all: the 50 init states of both splits, which include what '
        'was trained on',
        choices=tuple(split.value for split in EvaluationSplit),
    )
    horizon: int = setting(
        0, "Most control steps of an episode; 0: the suite's own", minimum=0, maximum=10_000
    )
    seed: int = setting(
        1000, 'Seed that draws the scenes and the samples', minimum=0, maximum=2**63 - 1
    )
    temperatures: tuple[float, ...] = setting(
        (0.0,), 'Sampling temperatures, 0 for greedy; each runs every episode once'
    )
    instruction: str | None = setting(
        None, 'Tell the policy this instead of the instruction of the task'
    )
    wrong_instruction: bool = setting(
        False,
        "Compare the policy with itself told the next task's instruction: does it listen?",
    )
    robots: int = setting(2, 'Simulated robots, one process each', minimum=1, maximum=64)
    render_profile: str = setting(
        FAST, 'Rendering: stock is what LIBERO draws', choices=RENDER_PROFILES
    )
    device: str = setting(
        'cpu', 'Torch device of the inference: cpu, cuda, or auto for a GPU where there is one'
    )
    deterministic: bool = setting(
        True,
        'One request an inference, so that bits do not depend on who asks beside whom; over topics '
        'the policy node decides',
    )
    video: bool = setting(True, 'Replay one compared episode into a video')
    out: Path = setting(Path('runs/eval'), 'Folder for everything the evaluation leaves behind')

    def __post_init__(self) -> None:
        validate(self, 'evaluation')
        for index in self.task_indices:
            tasks.task(self.suite, index)
        if len(set(self.tasks)) != len(self.tasks):
            raise UserError(f'evaluation: tasks={list(self.tasks)} names one twice; name each once')
        if not self.temperatures or min(self.temperatures) < 0.0:
            raise UserError(
                f'evaluation: temperatures={list(self.temperatures)}; give one or more, 0 or above'
            )
        sampled = [temperature for temperature in self.temperatures if temperature > 0.0]
        if len(sampled) > 1 or len(set(self.temperatures)) != len(self.temperatures):
            raise UserError(
                f'evaluation: temperatures={list(self.temperatures)}; a run holds greedy episodes '
                'and one sampling temperature, so evaluate the others into another out'
            )
        if self.wrong_instruction and (self.compare is not None or self.instruction is not None):
            raise UserError(
                'evaluation: wrong_instruction compares the policy with itself; leave out compare '
                'and instruction'
            )

    @property
    def task_indices(self) -> tuple[int, ...]:
        """The tasks to run, all of the suite where none is named."""
        return self.tasks or tuple(task.index for task in tasks.tasks(self.suite))
