"""Rollouts from the actors of a Ray cluster: the same episodes as in one process."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from smoothvla_ros.policies.policy import Policy
from smoothvla_ros.policies.weights_folder import require_unchanged
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.worker_pool import WorkerPool
from smoothvla_ros.training.rollouts.ray_actors import InferenceActor, RolloutActor
from smoothvla_ros.training.rollouts.ray_cluster import RayCluster
from smoothvla_ros.training.rollouts.ray_fleet import Interrupted, RayFleet
from smoothvla_ros.training.rollouts.ray_settings import RaySettings
from smoothvla_ros.training.rollouts.robot_crew import Pool
from smoothvla_ros.training.rollouts.source import LostEpisode, require_version
from smoothvla_ros.training.rollouts.waiting_requests import WaitingRequests

log = logging.getLogger(__name__)


class RayRolloutSource:
    """Actors that own simulations, and each a policy or others that decide for them.

    Weights travel once a version through the object store, with their hash. An actor that is lost
    costs the episodes that it had under way: they are run again elsewhere, `attempts` times at
    most, while another actor is started in its place.
    """

    def __init__(
        self,
        load: Callable[[Path, str], Policy],
        robots: int,
        render: RenderSettings,
        settings: RaySettings,
        *,
        deterministic: bool = True,
        attempts: int = 3,
        make_pool: Callable[[], Pool] | None = None,
    ) -> None:
        """Start the actors; `update_policy` must be called before the first `collect`.

        load: folder and device to a policy.  robots: of every rollout actor.  deterministic: one
        question an inference, so that bits do not depend on who asks beside whom.
        make_pool: makes an actor's robots; None is a `WorkerPool`.
        Raises UserError if Ray is missing or the cluster is too small.
        """
        self._attempts = attempts
        self._version = -1
        self._lost: list[LostEpisode] = []
        everyone = settings.actors * robots
        gpu = 1 if settings.inference_device.startswith('cuda') else 0
        self._cluster = RayCluster(
            settings, everyone + settings.inference_actors, gpu * settings.inference_actors
        )
        remote = self._cluster.ray.remote
        # One more call than robots: an update, or one that was overtaken by another.
        player = remote(RolloutActor).options(num_cpus=robots, max_concurrency=robots + 2)
        thinker = remote(InferenceActor).options(
            num_cpus=1, num_gpus=gpu, max_concurrency=everyone + 2
        )
        self._fleet = RayFleet(
            self._cluster.ray,
            partial(
                player.remote,
                partial(_load, load, 'cpu'),
                make_pool or partial(WorkerPool, robots, render),
                attempts,
                deterministic,
            ),
            settings.actors,
            robots,
            partial(
                thinker.remote,
                partial(_load, load, settings.inference_device),
                1 if deterministic else everyone,
                deterministic,
            ),
            settings.inference_actors,
            attempts,
            settings.start_timeout_s,
        )

    def __enter__(self) -> RayRolloutSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Send the policy in a folder to all who decide, and wait for the first that can work.

        Raises UserError if its files changed, or no actor starts.
        """
        require_unchanged(folder, version, sha256)
        self._version = version
        self._fleet.announce(version, folder, sha256)
        while not self._fleet.ready:
            self._fleet.next()

    def lost(self) -> Sequence[LostEpisode]:
        """Return the requests of the latest `collect` that were given up."""
        return tuple(self._lost)

    def close(self) -> None:
        """Stop the actors, and Ray if it was started here."""
        self._fleet.close()
        self._cluster.close()

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield the episodes as they finish.

        Raises UserError for a request of another policy version, and whatever the policy or the
        simulator raises for the user.
        """
        self._lost = []
        for request in requests:
            require_version(request, self._version)
        waiting, interruptions = WaitingRequests(requests), Counter[str]()
        unanswered = len(requests)
        try:
            while unanswered > 0:
                self._fleet.hand_out(waiting)
                outcome = self._fleet.next()
                if isinstance(outcome, Interrupted):
                    request = outcome.request
                    log.warning('episode %s: %s', request.episode_id, outcome.reason)
                    interruptions[request.episode_id] += 1
                    if interruptions[request.episode_id] < self._attempts:
                        waiting.put_back(request)
                        continue
                    outcome = LostEpisode(request, outcome.reason)
                if outcome is None:
                    continue
                unanswered -= 1
                if isinstance(outcome, LostEpisode):
                    log.warning(
                        'episode %s is lost: %s', outcome.request.episode_id, outcome.reason
                    )
                    self._lost.append(outcome)
                else:
                    yield outcome
        finally:
            self._fleet.drain()


def _load(load: Callable[[Path, str], Policy], device: str, folder: Path) -> Policy:
    return load(folder, device)
