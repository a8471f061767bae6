"""A frozen network over several GPUs: every process keeps a part of it and borrows the rest."""

from __future__ import annotations

from smoothvla_ros.policies.policy import Shardable
from smoothvla_ros.training.learning.learner_group import LearnerGroup


def shard_frozen(policy: object, group: LearnerGroup) -> None:
    """Split the frozen weights of a policy's units among the group, if it has any.

    A unit's weights are gathered when it runs and let go after it. What learns stays whole in
    every process (an adapter is small), so that checkpoints, clipping and the optimiser know
    nothing of it; its gradients are summed by the group.
    """
    if group.size == 1 or not isinstance(policy, Shardable):
        return
    # Imported here: a second that only a group needs.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    units = policy.shard_units()
    weights = [parameter for unit in units for parameter in unit.parameters()]
    mesh = init_device_mesh(weights[0].device.type, (group.size,))
    learns = {parameter for parameter in weights if parameter.requires_grad}
    for unit in units:
        fully_shard(unit, mesh=mesh, ignored_params=learns)
