"""A GRPO update of OpenVLA-OFT on a GPU: its time, its memory, and which smaller GPUs it fits."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.openvla_checkpoint import observation, wait
from smoothvla_ros.policies.openvla.memory import CONTEXT_GIB, GIB, Footprint, with_allowances
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learning.chunk_batch import ChunkBatch
from smoothvla_ros.training.learning.learner import GrpoLearner


def batch_of(policy: OpenVLAPolicy, count: int) -> ChunkBatch:
    """Return chunks that the policy decides, with advantages of chance."""
    seen = [observation(number) for number in range(count)]
    acted = policy.act(seen, temperature=1.0, seeds=range(count))
    advantages = np.random.default_rng(0).normal(size=acted.tokens.shape).astype(np.float32)
    mask = np.ones(acted.tokens.shape, bool)
    return ChunkBatch(seen, acted.tokens, acted.log_probs, advantages, mask, 1.0)


class Updates:
    """Updates of one policy, whose activations are kept or computed again."""

    def __init__(self, policy: OpenVLAPolicy, footprint: Footprint, batch: ChunkBatch) -> None:
        """footprint: of its network before there was an adapter.  batch: decided without one."""
        policy.prepare_training()
        self._policy = policy
        self._footprint = footprint
        self._batch = batch
        self._tokens = policy.lengths(batch.observations[:1])[0]
        self._device = policy.base.device

    def timed(
        self,
        chunks: int,
        rows: int,
        peak_flops: float,
        *,
        checkpointed: bool,
        reference: OpenVLAPolicy | None = None,
    ) -> dict[str, Any]:
        """An update by the learner, images prepared in it; with the course anchor or without.

        Utilisation counts 4 * parameters * tokens: forward and the gradient of activations, without
        what checkpointing computes again (the weights' own gradients are not needed), and without
        the comparison with the reference.
        """
        batch = self._batch.take(np.arange(chunks))
        coefficient = GrpoConfig.course_coefficient if reference is not None else 0.0
        config = GrpoConfig(micro_batch=rows, course_coefficient=coefficient)
        learner = self._learner(config, checkpointed, reference)
        learner.accumulate(batch.take(np.arange(rows) % len(batch)), 1.0)
        wait(self._device)
        self._reset_peak()
        started = time.perf_counter()
        done = learner.update(batch, 0)
        wait(self._device)
        seconds = time.perf_counter() - started
        work = 4.0 * self._footprint.parameters * self._tokens * len(batch)
        return {
            'checkpointed': checkpointed,
            'rows': rows,
            'chunks': len(batch),
            'tokens_a_row': self._tokens,
            'seconds': seconds,
            'utilisation': work / seconds / peak_flops,
            'first_ratio_drift': done.first_ratio_drift,
            **self._peak(),
        }

    def memory(self, rows: int, *, checkpointed: bool) -> dict[str, Any]:
        """A pass of some rows forward and backward: its peak, and what was computed for it."""
        learner = self._learner(
            GrpoConfig(micro_batch=rows, course_coefficient=0.0), checkpointed, None
        )
        self._reset_peak()
        learner.accumulate(self._batch.take(np.arange(rows) % len(self._batch)), 1.0)
        learner.optimiser.step()
        wait(self._device)
        needed = self._footprint.update_bytes(rows, self._tokens, 1, 0, checkpointed=checkpointed)
        return {
            'checkpointed': checkpointed,
            'rows': rows,
            'computed_gib': needed / GIB,
            'computed_with_allowances_gib': with_allowances(needed),
            **self._peak(),
        }

    def fits(self, gib: float, *, checkpointed: bool) -> dict[str, Any]:
        """Whether the most rows of `smoothvla memory` fit on a smaller GPU, which is played."""
        rows = self._footprint.most_rows(gib, self._tokens, 1, 0, checkpointed=checkpointed)
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(self._device).total_memory / GIB
        if gib - CONTEXT_GIB > whole:
            return {'gib': gib, 'fits': None, 'why': f'this GPU has {whole:.0f} GiB'}
        torch.cuda.set_per_process_memory_fraction((gib - CONTEXT_GIB) / whole)
        try:
            return {'gib': gib, 'fits': True, **self.memory(rows, checkpointed=checkpointed)}
        except torch.cuda.OutOfMemoryError:
            return {'gib': gib, 'fits': False, 'rows': rows, 'checkpointed': checkpointed}
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    def _learner(
        self, config: GrpoConfig, checkpointed: bool, reference: OpenVLAPolicy | None
    ) -> GrpoLearner:
        learner = GrpoLearner(self._policy, config, reference)
        self._policy.base.network.set_gradient_checkpointing(checkpointed)
        return learner

    def _reset_peak(self) -> None:
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def _peak(self) -> dict[str, float]:
        if self._device.type != 'cuda':
            return {}
        return {
            'peak_gib': torch.cuda.max_memory_allocated() / GIB,
            'peak_reserved_gib': torch.cuda.max_memory_reserved() / GIB,
        }
