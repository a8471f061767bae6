"""Settings of rollouts on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate


@dataclass(frozen=True)
class RaySettings:
    """Which cluster, and what runs on it.  They change how fast a run is, never what comes out."""

    address: str = setting(
        '',
        "Ray cluster to join: 'auto' for this machine's, or host:port; empty starts one on this "
        'machine, for this run alone',
    )
    actors: int = setting(
        2, 'Rollout actors; each owns as many robots as the run asks for', minimum=1, maximum=10_000
    )
    inference_actors: int = setting(
        0,
        'Actors that decide for all robots; 0 gives every rollout actor a policy of its own, on '
        'the CPU',
        minimum=0,
        maximum=1000,
    )
    inference_device: str = setting(
        'cuda', 'Torch device of the inference actors; cuda reserves a GPU for each'
    )
    start_timeout_s: float = setting(
        600.0, 'How long actors may take to start and to load a policy, s', minimum=1.0
    )
    object_store_mb: int = setting(
        512, 'Memory of the object store of a cluster that is started here, MB', minimum=80
    )

    def __post_init__(self) -> None:
        validate(self, 'ray')
