"""The weights of the policy node: announced by topic, read from disk, checked by hash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.loading import load_policy
from smoothvla_ros.policies.policy import Policy
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import Observation


class PolicyWeights:
    """The loaded policy with its version, and what was announced since. Not thread-safe."""

    def __init__(self, device: str, cameras: Sequence[str], arm: Arm) -> None:
        """cameras: what the node subscribes to; a policy that needs another is refused.

        arm: whose tool a policy is told of.
        """
        self._device = device
        self._arm = arm
        self._cameras = tuple(cameras)
        self._policy: Policy | None = None
        self._announced: tuple[int, str, str] | None = None
        self.version = -1
        self.path = self.sha256 = ''

    @property
    def policy(self) -> Policy:
        """The loaded policy; an error before the first `load`."""
        if self._policy is None:
            raise RuntimeError('no policy is loaded')
        return self._policy

    @property
    def action_space(self) -> str:
        """What the loaded policy's actions mean; empty while there is none."""
        return self._policy.spec.action_space if self._policy is not None else ''

    @property
    def announced(self) -> bool:
        """Whether there is an announcement that nobody took."""
        return self._announced is not None

    def announce(self, version: int, path: str, sha256: str) -> None:
        """Note newer weights; only the latest announcement counts."""
        self._announced = (version, path, sha256)

    def take_announced(self) -> tuple[int, str, str] | None:
        """Return the latest announcement, once."""
        announced, self._announced = self._announced, None
        return announced

    def load_initial(self, path_or_name: str) -> None:
        """Load the weights that the node starts with, as version 0."""
        policy = load_policy(path_or_name, self._device, self._arm)
        folder = policy_folder(path_or_name)
        self._use(policy, 0, str(folder), folder_sha256(folder))

    def load(self, version: int, path: str, sha256: str) -> None:
        """Load announced weights; the former ones stay where this raises.

        Raises UserError if the files are not those that were announced, or are no policy.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise UserError(f'{path} is not a folder on this machine; share it with the trainer')
        found = folder_sha256(folder)
        if found != sha256:
            raise UserError(
                f'{path} has sha256 {found[:12]}…, announced was {sha256[:12]}…; '
                'the files changed since or are damaged'
            )
        self._use(load_policy(path, self._device, self._arm), version, path, sha256)

    def check_images(self, observation: Observation) -> None:
        """Raise UserError for a simulated image that shows less than the policy was made for."""
        size = self.policy.spec.image_size
        for camera in self.policy.spec.cameras:
            height, width = observation.images[camera].shape[:2]
            if min(height, width) < size:
                raise UserError(
                    f'camera {camera!r} is drawn at {width} x {height} pixels and the policy was '
                    f"made for {size}; set libero_bridge's parameter image_size to {size}"
                )

    def _use(self, policy: Policy, version: int, path: str, sha256: str) -> None:
        missing = [name for name in policy.spec.cameras if name not in self._cameras]
        if missing:
            raise UserError(
                f'policy {path} needs camera {missing[0]!r}; add it to the parameter cameras '
                f'({", ".join(self._cameras)})'
            )
        policy.module.eval()
        self._policy, self.version, self.path, self.sha256 = policy, version, path, sha256


def to_policy_update(weights: PolicyWeights) -> msg.PolicyUpdate:
    """Return what says which weights are loaded."""
    return msg.PolicyUpdate(version=weights.version, path=weights.path, sha256=weights.sha256)
