"""Who is evaluated, and where its episodes come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.policy_labels import (
    AFTER,
    BEFORE,
    EVALUATED,
    EXPERT,
    RIGHT_INSTRUCTION,
    WRONG_INSTRUCTION,
)
from smoothvla_ros.evaluation.reworded_policy import (
    RewordedPolicy,
    one_instruction,
    wrong_instructions,
)
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.libero_actions import require_libero_actions, require_temperatures
from smoothvla_ros.policies.loading import load_policy
from smoothvla_ros.policies.policy import Policy, PolicySpec
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource
from smoothvla_ros.training.rollouts.source import RolloutSource
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.expert_rollouts import ExpertRolloutSource

OpenSource = Callable[
    [Callable[[Path, str], Policy], RenderSettings], AbstractContextManager[RolloutSource]
]
"""What loads a policy on a device, and how scenes are drawn, to a source to be entered."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One policy of an evaluation, under the label of its rows; the expert has no spec."""

    label: str
    folder: Path
    sha256: str
    spec: PolicySpec | None
    rewording: Mapping[str, str] | None


@contextmanager
def serving(
    config: EvaluationConfig,
    version: int,
    contestant: Contestant,
    source: RolloutSource | None,
    open_source: OpenSource | None,
) -> Iterator[RolloutSource]:
    """Yield a source that answers with a contestant's policy."""
    if source is not None:
        if contestant.rewording is not None:
            raise UserError(
                'evaluation: instruction and wrong_instruction need the policy in this process; '
                'use `smoothvla eval`'
            )
        if contestant.spec is None:
            raise UserError(
                'evaluation: the expert plays in processes of its own; use `smoothvla eval`'
            )
        source.update_policy(version, contestant.folder, contestant.sha256)
        yield source
        return
    spec = contestant.spec
    if spec is None:
        yield ExpertRolloutSource(config.robots)
        return
    render = RenderSettings(config.render_profile, spec.image_size, spec.cameras)
    loader = partial(_load, rewording=contestant.rewording)
    if open_source is None:
        on_device = partial(loader, device=config.device)
        opened: AbstractContextManager[RolloutSource] = ProcessRolloutSource(
            on_device, config.robots, render
        )
    else:
        opened = open_source(loader, render)
    with opened as own:
        own.update_policy(version, contestant.folder, contestant.sha256)
        yield own


def _load(folder: Path, device: str, rewording: Mapping[str, str] | None) -> Policy:
    policy = load_policy(folder, device)
    return policy if rewording is None else RewordedPolicy(policy, rewording)


def contestants_of(config: EvaluationConfig, device: str) -> list[Contestant]:
    """Name the policies in the order they run: what is compared with comes first.

    device: where each is loaded once, to see that it can be.
    """
    told = None
    if config.instruction is not None:
        told = one_instruction(config.suite, config.instruction)
    if config.wrong_instruction:
        wrong = wrong_instructions(config.suite)
        plan = [
            (RIGHT_INSTRUCTION, config.policy, None),
            (WRONG_INSTRUCTION, config.policy, wrong),
        ]
    elif config.compare == EXPERT:
        plan = [(EXPERT, EXPERT, None), (EVALUATED, config.policy, told)]
    elif config.compare is not None:
        plan = [(BEFORE, config.compare, told), (AFTER, config.policy, told)]
    else:
        plan = [(EVALUATED, config.policy, told)]
    contestants = []
    for label, path, rewording in plan:
        if path == EXPERT:
            contestants.append(Contestant(label, Path(EXPERT), EXPERT, None, None))
            continue
        # Loaded here too, so that a bad one is named before anything is simulated.
        spec = load_policy(path, device).spec
        require_libero_actions(spec, path)
        require_temperatures(spec, path, config.temperatures)
        folder = policy_folder(path)
        contestants.append(Contestant(label, folder, folder_sha256(folder), spec, rewording))
    return contestants
