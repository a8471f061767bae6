"""Whether LIBERO can play what a policy answers."""

from __future__ import annotations

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_DIMENSION, ACTION_SPACE
from smoothvla_ros.policies.policy import PolicySpec


def require_libero_actions(spec: PolicySpec, policy: str) -> None:
    """Raise UserError naming `policy` if its actions are no tool-pose deltas of LIBERO's.

    Numbers of another meaning would be played as such, and the failures be taken for the policy's.
    """
    if (spec.action_space, spec.action_dimension) != (ACTION_SPACE, ACTION_DIMENSION):
        raise UserError(
            f'policy {policy} answers {spec.action_dimension} numbers of action space '
            f'{spec.action_space!r}; LIBERO takes {ACTION_DIMENSION} of {ACTION_SPACE!r}'
        )


def require_temperatures(spec: PolicySpec, policy: str, temperatures: tuple[float, ...]) -> None:
    """Raise UserError naming `policy` if it cannot be sampled at one of the temperatures."""
    if not spec.samples and max(temperatures) > 0.0:
        raise UserError(
            f'policy {policy} has no distribution to sample from at temperature '
            f'{max(temperatures):g}; give temperatures=0'
        )
