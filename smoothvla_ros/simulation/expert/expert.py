"""The scripted expert: privileged geometry in, smooth actions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.close_drawer import CloseDrawer
from smoothvla_ros.simulation.expert.drawer import drawer_joint
from smoothvla_ros.simulation.expert.goal import Goal, Problem
from smoothvla_ros.simulation.expert.motion import ExpertCommand, Servo
from smoothvla_ros.simulation.expert.open_drawer import OpenDrawer
from smoothvla_ros.simulation.expert.pick_and_place import PickAndPlace
from smoothvla_ros.simulation.expert.scene import ExpertScene
from smoothvla_ros.simulation.expert.turn_knob import TurnKnob


@dataclass(frozen=True)
class ExpertStep:
    """What the expert does at one control step, and what it knows.

    action: [7] in [-1, 1].  waypoint, object_position, target_position: [3] m, robot base frame.
    noise: share of the injected noise that this moment bears.
    """

    action: np.ndarray
    waypoint: np.ndarray
    object_position: np.ndarray
    target_position: np.ndarray
    noise: float


PREDICATES = ('on', 'in', 'open', 'close', 'turnon', 'turnoff')


class Skill(Protocol):
    """Steers the arm towards one goal."""

    def focus(self, scene: ExpertScene) -> np.ndarray: ...

    def done(self, scene: ExpertScene) -> bool: ...

    def steer(self, scene: ExpertScene) -> ExpertCommand: ...


def skill_for(goal: Goal) -> Skill:
    """Return the skill that reaches a goal."""
    if goal.predicate == 'open':
        return OpenDrawer(goal)
    if goal.predicate == 'close':
        return CloseDrawer(goal)
    if goal.predicate in ('turnon', 'turnoff'):
        return TurnKnob(goal)
    return PickAndPlace(goal)


def skills_for(problem: Problem, scene: ExpertScene) -> list[Skill]:
    """Return the skills that reach all goals, in their order; what must be shut is shut last.

    Raises UserError for a goal that no skill reaches.
    """
    skills: list[Skill] = []
    for goal in problem.goals:
        slides = scene.has_joint(drawer_joint(goal.subject))
        if goal.predicate not in PREDICATES or (goal.predicate in ('open', 'close') and not slides):
            raise UserError(
                f'the expert cannot reach the goal {" ".join(goal.expression)}; leave its task out'
            )
    for goal in sorted(problem.goals, key=lambda goal: goal.predicate == 'close'):
        skill = skill_for(goal)
        if goal.predicate == 'in' and scene.has_joint(drawer_joint(goal.target)):
            skills.append(Beforehand(OpenDrawer(Goal('open', goal.target)), skill))
        skills.append(skill)
    return skills


class Beforehand:
    """A skill that only prepares another: there is no need for it once that one is done."""

    def __init__(self, preparing: Skill, prepared: Skill):
        self._preparing, self._prepared = preparing, prepared

    def focus(self, scene: ExpertScene) -> np.ndarray:
        """What the preparation is about, [3] m."""
        return self._preparing.focus(scene)

    def done(self, scene: ExpertScene) -> bool:
        """Whether nothing is left to prepare."""
        return self._prepared.done(scene) or self._preparing.done(scene)

    def steer(self, scene: ExpertScene) -> ExpertCommand:
        """Return what to do now."""
        return self._preparing.steer(scene)


class Expert:
    """Solves one episode of one task; make a new one for every episode, after the reset."""

    def __init__(self, environment: Environment, problem: Problem):
        self._scene = ExpertScene(environment, problem)
        self._servo = Servo()
        self._skills = skills_for(problem, self._scene)

    @property
    def skill(self) -> Skill:
        """The skill for the first goal that is not reached yet; the last one when all are."""
        for skill in self._skills[:-1]:
            if not skill.done(self._scene):
                return skill
        return self._skills[-1]

    def step(self) -> ExpertStep:
        """Return the action for the state that is measured now."""
        skill = self.skill
        command = skill.steer(self._scene)
        return ExpertStep(
            action=self._servo.action(command, self._scene.tool_rotation),
            waypoint=command.waypoint,
            object_position=skill.focus(self._scene),
            target_position=command.target,
            noise=command.noise,
        )
