"""What a GPU must hold for OpenVLA, computed from its shapes: nothing here was measured on one."""

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
        )

    @classmethod
    def published(cls, rank: int = 32) -> Footprint:
        """Return the size that all published 7 B checkpoints have."""
        with torch.device('meta'):
            network = OpenVLANetwork(PUBLISHED_VISION, PUBLISHED_LLAMA, ActionIds(), parallel=True)
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

        The input of every block; of the projector, which is not checkpointed, its activations, and
        in float32 the inputs of its adapters; in float32 the last norm's input and output.
        """
        blocks = self.layers * tokens * self.width
        blocks += sum(
            (shape.depth - 1) * images * shape.tokens * shape.width for shape in self.vision
        )
        seen = sum(shape.width for shape in self.vision)
        half = images * self.vision[0].patches * (4 * seen + self.width)
        full = images * self.vision[0].patches * (5 * seen + self.width) + 2 * tokens * self.width
        return rows * ((blocks + half) * _BFLOAT16 + full * _FLOAT32)

    def layer_bytes(self, rows: int, tokens: int) -> int:
        """Return what one block of the language model keeps while it is computed again.

        In bfloat16 queries, keys, values, attention and the three of the feed-forward part; in
        float32 the two norms' inputs and outputs, and the inputs of its seven adapters, which peft
        casts.
        """
        half = (4 * self.width + 3 * self.hidden) * _BFLOAT16
        full = ((4 + 6) * self.width + self.hidden) * _FLOAT32
        return rows * tokens * (half + full)

    def update_bytes(self, rows: int, tokens: int, images: int, others: int = 2) -> int:
        """Return an update's need: weights, learning, kept inputs, one block and its gradients.

        The comparison with the starting policy needs less: its passes keep nothing.
        others: as in `learning_bytes`.
        """
        return (
            self.weights_bytes()
            + self.learning_bytes(others)
            + self.checkpointed_bytes(rows, tokens, images)
            + 2 * self.layer_bytes(rows, tokens)
        )

    def most_rows(self, gpu_gib: float, tokens: int, images: int, others: int = 2) -> int:
        """Return the largest micro-batch of an update on a GPU; 0 if not one row fits."""
        room = (gpu_gib - CONTEXT_GIB) * GIB / (1.0 + FRAGMENTS)
        none = self.update_bytes(0, tokens, images, others)
        row = self.update_bytes(1, tokens, images, others) - none
        return max(0, int((room - none) // row))

    def update_seconds(
        self, tokens: int, comparison_passes: int, utilisation: float, peak: float
    ) -> float:
        """Return the time of an update on a GPU of `peak` operations a second.

        tokens: of all its rows.  utilisation: of its learning, 4 operations a parameter and token:
        2 for the forward pass, 2 for the gradient of activations. Two more compute activations
        again; they are not counted, but take time. A comparison's pass runs as fast as these.
        """
        learning = 4.0 * self.parameters * tokens / (utilisation * peak)
        return learning * (6.0 + 2.0 * comparison_passes) / 6.0


def with_allowances(count: float) -> float:
    """Return GiB on a GPU for so many bytes of tensors."""
    return count * (1.0 + FRAGMENTS) / GIB + CONTEXT_GIB
