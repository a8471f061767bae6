"""The trainer's only view of the world: episodes go out as requests and come back complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Episode, EpisodeRequest

_REASONS = 3


@dataclass(frozen=True)
class LostEpisode:
    """A request that was given up after its bounded number of attempts."""

    request: EpisodeRequest
    reason: str


def reasons(lost: Sequence[LostEpisode]) -> str:
    """Return why episodes were lost, the most frequent reasons first, for an error in one line."""
    counts = Counter(episode.reason for episode in lost).most_common(_REASONS)
    return '; '.join(f'{reason} ({count} of {len(lost)})' for reason, count in counts)


def require_version(request: EpisodeRequest, version: int) -> None:
    """Raise UserError if a request asks for another version of the policy than the loaded one."""
    if request.policy_version != version:
        raise UserError(
            f'episode {request.episode_id} asks for policy version {request.policy_version}, '
            f'but version {version} is loaded'
        )


class RolloutSource(Protocol):
    """Where rollouts come from: this process's workers, the topics of a graph, another engine."""

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Make the policy saved in `folder` answer every request of `version`.

        sha256: `weights_folder.folder_sha256(folder)`. Raises UserError if the folder does not
        match.
        """
        ...

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield each request's episode as it finishes, in any order, each at most once.

        A request that is not answered when the iterator ends is lost; `lost` says why.
        """
        ...

    def lost(self) -> Sequence[LostEpisode]:
        """Return the requests of the latest `collect` that were given up."""
        ...

    def close(self) -> None:
        """Stop everything that `collect` uses; safe to call twice."""
        ...
