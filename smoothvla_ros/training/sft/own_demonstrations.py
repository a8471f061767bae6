"""Demonstrations that `smoothvla demos` wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import AGENTVIEW, WRIST
from smoothvla_ros.simulation.demonstrations import read_demonstration
from smoothvla_ros.simulation.splits import require_train
from smoothvla_ros.training.sft.demonstration_episode import LABEL_NAMES, DemonstrationEpisode


def read_own(paths: Sequence[Path]) -> Iterator[DemonstrationEpisode]:
    """Yield the successful demonstrations among `paths`.

    Raises UserError naming one that is damaged or begins in a held-out scene.
    """
    for path in paths:
        demonstration = read_demonstration(path)
        try:
            require_train(demonstration.name)
        except UserError as error:
            raise UserError(f'data={path}: {error}; take it out') from error
        if not demonstration.success:
            continue
        yield DemonstrationEpisode(
            source=str(path),
            instruction=demonstration.instruction,
            images={
                AGENTVIEW: demonstration.images_agentview,
                WRIST: demonstration.images_wrist,
            },
            image_steps=demonstration.image_steps,
            joint_positions=demonstration.joint_positions,
            joint_velocities=demonstration.joint_velocities,
            gripper_positions=demonstration.gripper_positions,
            actions=demonstration.actions,
            labels={name: getattr(demonstration, name) for name in LABEL_NAMES},
        )
