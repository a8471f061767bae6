"""A Ray cluster to work on: one that runs already, or one of this machine for a while."""

from __future__ import annotations

import os
from types import ModuleType

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.rollouts.ray_settings import RaySettings

_MEBIBYTE = 2**20
# Ray's own switch for machines without a cluster: all its ports on the loopback interface.
_LOOPBACK = {'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER': '0', 'RAY_USAGE_STATS_ENABLED': '0'}


class RayCluster:
    """A connection to Ray, given back by `close`; one that was there before stays."""

    def __init__(self, settings: RaySettings, cpus: int, gpus: int) -> None:
        """Connect.  cpus, gpus: what the run will reserve.

        Raises UserError if Ray is not installed, no cluster answers or it is too small.
        """
        self.ray = _import(loopback=not settings.address)
        self._ours = not self.ray.is_initialized()
        if self._ours:
            self._connect(settings, cpus)
        found = self.ray.cluster_resources()
        for name, wanted in (('CPU', cpus), ('GPU', gpus)):
            if found.get(name, 0.0) < wanted:
                self.close()
                raise UserError(
                    f'ray: {settings.actors} rollout and {settings.inference_actors} inference '
                    f'actors need {wanted} {name}s, the cluster has {found.get(name, 0.0):g}; '
                    'start its other machines first, or ask for fewer actors or robots'
                )

    def close(self) -> None:
        """Disconnect, and stop what was started here; safe to call twice."""
        if self._ours and self.ray.is_initialized():
            self.ray.shutdown()

    def _connect(self, settings: RaySettings, cpus: int) -> None:
        if not settings.address:
            self.ray.init(
                address='local',
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=settings.object_store_mb * _MEBIBYTE,
            )
            return
        try:
            self.ray.init(address=settings.address)
        except (
            ConnectionError,
            RuntimeError,
            ValueError,
            self.ray.exceptions.RayError,
        ) as error:
            line = ' '.join(str(error).split())[:200]
            raise UserError(
                f'ray: no cluster at address={settings.address} ({line}); start one with '
                '`ray start --head` and give its address'
            ) from error


def _import(loopback: bool) -> ModuleType:
    if loopback:
        for name, value in _LOOPBACK.items():
            os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "rollouts on Ray need the extra 'scale': pip install 'ray>=2.40,<3'"
        ) from error
    return ray
