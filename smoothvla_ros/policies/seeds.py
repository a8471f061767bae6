"""Seeds of sampled chunks: who is batched with whom must not change what is sampled."""

from __future__ import annotations

import hashlib


def chunk_seed(run_seed: int, episode_id: str, chunk_index: int) -> int:
    """Return the seed, in [0, 2**63), from which one chunk of one episode is sampled.

    It depends on nothing but its arguments, so an episode that is lost and asked for again, on
    another robot and in another batch, samples the same noise.
    """
    identity = f'{run_seed}\x1f{episode_id}\x1f{chunk_index}'.encode()
    return int.from_bytes(hashlib.sha256(identity).digest()[:8], 'big') >> 1
