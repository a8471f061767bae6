"""What a GPU must hold for OpenVLA, computed from its shapes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.adapters import Adapters
from smoothvla_ros.policies.openvla.modeling import OpenVLANetwork
from smoothvla_ros.policies.openvla.vision import VisionShape

GIB = 2.0**30
# The driver's context and the libraries' workspaces, and what an allocator loses to fragments.
CONTEXT_GIB = 1.0
FRAGMENTS = 0.1

PUBLISHED_VISION = (VisionShape(1024, 24, 16, 4096, 4), VisionShape(1152, 27, 16, 4304, 0))
PUBLISHED_LLAMA = {'vocab_size': 32064, 'pad_token_id': 32000, 'rms_norm_eps': 1e-6}

_BFLOAT16, _FLOAT32 = 2, 4
# Of an adapter's weight in training: itself, its gradient and AdamW's two moments, in float32.
_LEARNING = 4 * _FLOAT32


@dataclass(frozen=True)
class Footprint:
    """Sizes of a network, from which memory and work follow.

    parameters: of the published files.  adapter: weights of one LoRA adapter.
    """

    parameters: int
    adapter: int
    width: int
    hidden: int
    layers: int
    vision: tuple[VisionShape, VisionShape]
    # Of a number in the sums between the language model's blocks.
    sum_bytes: int

    @classmethod
    def of(cls, network: OpenVLANetwork, rank: int) -> Footprint:
        """Count a network without adapters, which may be on the meta device, without memory."""
        parameters = sum(parameter.numel() for parameter in network.parameters())
        config = network.language_model.config
        return cls(
            parameters,
            Adapters(network).size(rank),
            config.hidden_size,
            config.intermediate_size,
            config.num_hidden_layers,
            network.vision_backbone.shapes,
            _BFLOAT16 if network.parallel else _FLOAT32,
        )

    @classmethod
    def published(cls, rank: int = 32, *, parallel: bool = True) -> Footprint:
        """Return the size that all published 7 B checkpoints have."""
        with torch.device('meta'):
            network = OpenVLANetwork(
                PUBLISHED_VISION, PUBLISHED_LLAMA, ActionIds(), parallel=parallel
            )
        return cls.of(network, rank)

    def tokens(self, images: int, prompt: int, answer: int) -> int:
        """Return the positions of a row."""
        return images * self.vision[0].patches + prompt + answer

    def weights_bytes(self) -> int:
        """Return the network's own, in bfloat16."""
        return self.parameters * _BFLOAT16

    def inference_bytes(self, rows: int, tokens: int, images: int) -> int:
        """Return what inference of some rows needs beside the weights.

        One block at a time, and the keys and values of all blocks, as OpenVLA's seven tokens need.
        """
        layer = rows * tokens * (4 * self.width + 3 * self.hidden) * _BFLOAT16
        vision = max(
            rows * images * shape.tokens * (5 * shape.width + 2 * shape.hidden) * _BFLOAT16
            for shape in self.vision
        )
        return max(layer, vision) + rows * tokens * 2 * self.width * self.layers * _BFLOAT16

    def learning_bytes(self, others: int) -> int:
        """Return the adapter that learns with its optimiser, and others that only run.

        others: 1 is the copy that samples, 2 the reference too, which is an adapter where training
        began with one or was resumed.
        """
        return self.adapter * (_LEARNING + others * _FLOAT32)

    def checkpointed_bytes(self, rows: int, tokens: int, images: int) -> int:
        """Return what a checkpointed forward pass keeps.

        The input of every block and of the last norm; of the projector, which is not checkpointed,
        its activations.
        """
        blocks = (self.layers + 1) * tokens * self.width * self.sum_bytes
        seen = sum(shape.width for shape in self.vision)
        narrow = images * self.vision[0].patches * (9 * seen + 2 * self.width)
        narrow += sum(
            (shape.depth - 1) * images * shape.tokens * shape.width for shape in self.vision
        )
        return rows * (blocks + narrow * _BFLOAT16)

    def layer_bytes(self, rows: int, tokens: int) -> int:
        """Return what one block of the language model keeps for its gradient.

        What the two norms see and say, queries, keys, values and attention, and four of the
        feed-forward part.
        """
        narrow = (7 * self.width + 4 * self.hidden) * _BFLOAT16
        return rows * tokens * (narrow + 2 * self.width * self.sum_bytes)

    def kept_bytes(self, rows: int, tokens: int, images: int) -> int:
        """Return what a forward pass keeps that is not checkpointed."""
        vision = sum(
            (shape.depth - 1) * images * shape.tokens * (8 * shape.width + 2 * shape.hidden)
            for shape in self.vision
        )
        inputs = self.checkpointed_bytes(rows, tokens, images)
        return inputs + self.layers * self.layer_bytes(rows, tokens) + rows * vision * _BFLOAT16

    def update_bytes(
        self, rows: int, tokens: int, images: int, others: int = 2, *, checkpointed: bool = True
    ) -> int:
        """Return an update's need: weights, learning, what is kept, one block and its gradients.

        The comparison with the starting policy needs less: its passes keep nothing.
        others: as in `learning_bytes`.
        """
        kept = self.checkpointed_bytes if checkpointed else self.kept_bytes
        return (
            self.weights_bytes()
            + self.learning_bytes(others)
            + kept(rows, tokens, images)
            + 2 * self.layer_bytes(rows, tokens)
        )

    def most_rows(
        self,
        gpu_gib: float,
        tokens: int,
        images: int,
        others: int = 2,
        *,
        checkpointed: bool = True,
    ) -> int:
        """Return the largest micro-batch of an update on a GPU; 0 if not one row fits."""
        room = (gpu_gib - CONTEXT_GIB) * GIB / (1.0 + FRAGMENTS)
        none, one = (
            self.update_bytes(rows, tokens, images, others, checkpointed=checkpointed)
            for rows in (0, 1)
        )
        row = one - none
        return max(0, int((room - none) // row))

    def update_seconds(
        self,
        tokens: int,
        comparison_passes: int,
        utilisation: float,
        peak: float,
        *,
        checkpointed: bool = True,
    ) -> float:
        """Return the time of an update on a GPU of `peak` operations a second.

        tokens: of all its rows.  utilisation: the share of the peak that passes run at.
        A parameter and token cost 2 operations forward and 2 for the gradient of activations, 2
        more where activations are computed again, and 2 for a comparison.
        """
        operations = 4.0 + 2.0 * checkpointed + 2.0 * comparison_passes
        return operations * self.parameters * tokens / (utilisation * peak)


def with_allowances(count: float) -> float:
    """Return GiB on a GPU for so many bytes of tensors."""
    return count * (1.0 + FRAGMENTS) / GIB + CONTEXT_GIB
