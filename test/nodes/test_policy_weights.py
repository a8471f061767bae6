"""What the policy node checks about its weights and what they are shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nodes.policy.weights import PolicyWeights
from smoothvla_ros.records import Observation


def seen(size: int) -> Observation:
    """An observation with square images."""
    images = {name: np.zeros((size, size, 3), np.uint8) for name in ('agentview', 'wrist')}
    return Observation(images, np.zeros(7), np.zeros(7), np.zeros(2), 'go')


def test_images_that_are_drawn_too_small_are_named():
    """A policy of 256 pixels on a bridge that draws 128 would only do worse, and nobody know."""
    weights = PolicyWeights('cpu', ('agentview', 'wrist'), Arm.panda())
    weights.load_initial('default')
    size = weights.policy.spec.image_size
    weights.check_images(seen(size))
    with pytest.raises(UserError, match=f'image_size to {size}'):
        weights.check_images(seen(size - 1))


def test_a_policy_is_told_of_the_arm_that_the_node_serves():
    """An arm with as many joints would else be read as a Panda, and nobody would know."""
    panda = load_robot_description('panda')
    longer = dataclasses.replace(panda, tool_offset=(0.0, 0.0, 0.5)).arm()
    weights = PolicyWeights('cpu', ('agentview', 'wrist'), longer)
    weights.load_initial('default')
    assert weights.policy.arm is longer
