"""The policy node as a process of its own, and a network that swings a joint at speed."""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from smoothvla_ros.nodes import policy as policy_node
from smoothvla_ros.nodes import policy_weights
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec

CHUNK = 16
STEP_S = 0.05


class SwingingPolicy:
    """Decides by the clock where the arm is to be, from where it stood when it was first seen."""

    spec = PolicySpec(CHUNK, 8, 256, 'joint_positions', ('agentview', 'wrist'), 16)
    module = torch.nn.Identity()

    def __init__(self, speed: float) -> None:
        """speed: of the first joint, rad/s."""
        self._speed = speed
        self._began_s: float | None = None

    def act(self, observations, *, temperature, seeds):
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s, self._start = now_s, observations[0].joint_positions
        steps = now_s - self._began_s + STEP_S * np.arange(1, CHUNK + 1)
        targets = np.tile(self._start, (CHUNK, 1))
        targets[:, 0] = np.minimum(targets[:, 0] + self._speed * steps, 2.8)
        actions = np.column_stack([targets, -np.ones(CHUNK)])[None]
        return ActionChunks(actions, np.zeros(actions.shape, np.int64), np.zeros(actions.shape))


if __name__ == '__main__':
    policy_weights.load_policy = lambda *_: SwingingPolicy(float(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    sys.exit(policy_node.main())
