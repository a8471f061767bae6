"""One episode of the expert, played and not recorded."""

from __future__ import annotations

from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.expert import Expert
from smoothvla_ros.simulation.expert.goal import read_problem


def play(environment: Environment, name: EpisodeName, horizon: int | None = None) -> bool:
    """Let the expert play an episode up to its success or the horizon; says whether solved.

    horizon: most control steps; None is the suite's own.
    The motion is then `environment.trajectory()`. Raises UserError for a task without a skill.
    """
    environment.reset(name)
    expert = Expert(environment, read_problem(environment.task.bddl_file))
    steps = environment.horizon if horizon is None else horizon
    return any(environment.step(expert.step().action) for _ in range(steps))
