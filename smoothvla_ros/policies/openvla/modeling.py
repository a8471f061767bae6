"""OpenVLA and OpenVLA-OFT as one network: images and a prompt to logits of the action tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig

from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.adapters import adapted_rows
from smoothvla_ros.policies.openvla.heads import Projector, ProprioceptionProjector, RegressionHead
from smoothvla_ros.policies.openvla.key_value_cache import FixedCache
from smoothvla_ros.policies.openvla.language_model import (
    build_language_model,
    keep_exact_norms,
    rotary,
)
from smoothvla_ros.policies.openvla.prompt import END
from smoothvla_ros.policies.openvla.vision import VisionBackbone, VisionShape

_MOST_COMPILED = 64


@dataclass(frozen=True)
class Inputs:
    """What B rows are decided from, on the network's device.

    pixels: [B, images, 6, size, size], normalised for both vision transformers.
    prompts: ids of each row, from the first token to the one before the action, as numbers or
    tensors on the device.
    proprioception: [B, n] in [-1, 1], or None where the policy is told none.
    """

    pixels: torch.Tensor
    prompts: Sequence[Sequence[int] | torch.Tensor]
    proprioception: torch.Tensor | None = None


@dataclass(frozen=True)
class Prefix:
    """All that stands before the action, rows padded on the left to one length.

    embeddings: [B, length, width].  mask: int64 [B, length], 0 where padded, and positions int64
    [B, length]; both None where no row is padded, which lets attention run without a mask.
    """

    embeddings: torch.Tensor
    mask: torch.Tensor | None
    positions: torch.Tensor | None


class OpenVLANetwork(nn.Module):
    """The published modules under their published names.

    The first token of the prompt comes first, then the patches of every image, the proprioception
    where there is one, and the rest of the prompt.
    """

    def __init__(
        self,
        vision: tuple[VisionShape, VisionShape],
        llama: Mapping[str, Any],
        action_ids: ActionIds,
        *,
        parallel: bool,
    ) -> None:
        """llama: settings of the language model.

        parallel: every token sees every other, the later ones too, as OpenVLA-OFT was trained.
        """
        super().__init__()
        values = {**llama, 'attn_implementation': 'sdpa', 'is_causal': not parallel}
        config = LlamaConfig(**values)
        self.vision_backbone = VisionBackbone(*vision)
        self.projector = Projector(sum(shape.width for shape in vision), config.hidden_size)
        self.language_model = build_language_model(config)
        for layer in self.language_model.model.layers:
            layer.self_attn.is_causal = not parallel
        self.proprio_projector: ProprioceptionProjector | None = None
        self.action_head: RegressionHead | None = None
        self.parallel = parallel
        self._checkpointing = False
        self._compiled = False
        self._action_ids = action_ids

    @property
    def width(self) -> int:
        """Of the language model's hidden states."""
        return int(self.language_model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.projector.fc1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the published weights are kept as."""
        return self.projector.fc1.weight.dtype

    @property
    def shard_units(self) -> list[nn.Module]:
        """The blocks of all three transformers that run, which hold nearly all weights."""
        backbone = self.vision_backbone
        return [
            *backbone.featurizer.blocks[:-1],
            *backbone.fused_featurizer.blocks[:-1],
            *self.language_model.model.layers,
        ]

    def compile_blocks(self, backend: str = 'inductor') -> None:
        """Let torch.compile fuse what stands between the matrix products of every block.

        A first pass of each kind then takes some seconds more.
        """
        self._compiled = True
        for block in self.shard_units:
            block.compile(backend=backend)

    def lengths(self, prompts: Sequence[Sequence[int]], images: int, answer: int) -> list[int]:
        """Return the positions that each row takes with `answer` action tokens after its prompt."""
        told = images * self.vision_backbone.featurizer.shape.patches + answer
        told += self.proprio_projector is not None
        return [len(ids) + told for ids in prompts]

    def restore_buffers(self) -> None:
        """Compute what is not in the files, when the weights are in memory."""
        keep_exact_norms(self.language_model.model)
        made = rotary(self.language_model.config, self.dtype).to(self.device)
        self.language_model.model.rotary_emb = made

    def set_gradient_checkpointing(self, enabled: bool) -> None:
        """Compute activations again in the backward pass instead of keeping them."""
        for vision in (self.vision_backbone.featurizer, self.vision_backbone.fused_featurizer):
            vision.gradient_checkpointing = enabled
        self._checkpointing = enabled
        if enabled:
            self.language_model.activation_checkpointing_enable({'use_reentrant': False})
        else:
            self.language_model.activation_checkpointing_disable()

    def prefix(self, inputs: Inputs) -> Prefix:
        """Embed images, prompt and proprioception."""
        if self._compiled:
            # Every thread has a limit of its own, shared by all blocks of a kind, past which they
            # would run as they are: of shapes, with and without gradients, and of each adapter.
            torch._dynamo.config.recompile_limit = _MOST_COMPILED
        embed = self.language_model.get_input_embeddings()
        context = self.projector(self.vision_backbone(inputs.pixels.to(self.dtype)))
        if self.proprio_projector is not None:
            if inputs.proprioception is None:
                raise ValueError('this network needs proprioception')
            told = self.proprio_projector(inputs.proprioception.to(context.dtype))
            context = torch.cat([context, told.unsqueeze(1)], dim=1)
        lengths = [len(ids) for ids in inputs.prompts]
        longest = max(lengths)
        rows = []
        for ids, patches in zip(inputs.prompts, context, strict=True):
            words = embed(torch.as_tensor(ids, device=self.device))
            row = torch.cat([words[:1], patches, words[1:]])
            rows.append(functional.pad(row, (0, 0, longest - len(ids), 0)))
        embeddings = torch.stack(rows)
        if min(lengths) == longest:
            return Prefix(embeddings, None, None)
        padding = torch.tensor([longest - length for length in lengths], device=self.device)
        positions = torch.arange(embeddings.shape[1], device=self.device) - padding.unsqueeze(1)
        return Prefix(embeddings, (positions >= 0).long(), positions.clamp(min=0))

    def parallel_hidden(self, inputs: Inputs, count: int) -> torch.Tensor:
        """Return [B, count, width], the hidden states that say `count` action tokens at once.

        The tokens' own embeddings are zero, and an end token follows them, as in the training.
        Each is said by the position before its own.
        """
        prefix = self.prefix(inputs)
        batch, _, width = prefix.embeddings.shape
        # A view: nothing is sent to the device, which a recording could not hold.
        end = self.language_model.model.embed_tokens.weight[END : END + 1]
        empty = prefix.embeddings.new_zeros(batch, count, width)
        answer = torch.cat([empty, end.expand(batch, 1, -1)], dim=1)
        # The last layer sees all positions and is asked for these alone.
        return self._run(prefix, answer, last_positions=count + 2)[:, -(count + 2) : -2]

    def parallel_answer(self, inputs: Inputs, count: int) -> torch.Tensor:
        """Return logits [B, count, bins], or what a regression head makes of them: actions."""
        hidden = self.parallel_hidden(inputs, count)
        if self.action_head is None:
            return self.action_logits(hidden)
        answer: torch.Tensor = self.action_head(hidden)
        return answer

    def sequential_hidden(self, inputs: Inputs, tokens: torch.Tensor) -> torch.Tensor:
        """Return [B, n, width], the hidden states that say n given action tokens [B, n].

        One pass: each token is judged after those before it.
        """
        said = self.language_model.get_input_embeddings()(self._ids_of(tokens[:, :-1]))
        return self._run(self.prefix(inputs), said)[:, -tokens.shape[1] :]

    def action_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return float32 [..., bins], logits of the action tokens alone, in the order of actions.

        In float32 whatever the network is: bfloat16 has steps of 0.03 where logits are 8, which
        would be noise on every ratio.
        """
        ids = self._action_ids
        # These rows alone: the other 31,808 are not computed.
        actions = slice(ids.vocabulary - ids.bins, ids.vocabulary)
        rows = adapted_rows(self.language_model.lm_head, actions)
        return functional.linear(hidden.float(), rows).flip(-1)

    def start(self, inputs: Inputs, count: int) -> Decoding:
        """Run the prefix once; the answer decodes `count` tokens after it, one at a time."""
        return Decoding(self, self.prefix(inputs), count)

    def _ids_of(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._action_ids.vocabulary - 1 - tokens

    def _think(self, embeddings: torch.Tensor, **given: Any) -> torch.Tensor:
        """Return the language model's last hidden states.

        transformers checkpoints a layer in train mode only, which nothing else in it needs, and
        then takes its keys and values away: so not where nothing is learned.

        Tokens that are said one by one and tokens that are judged together go through other
        kernels. In bfloat16 throughout their log-probabilities come up to 0.04 apart, most of it
        from rounding the sums between blocks: so these are float32 there.
        """
        recompute = self._checkpointing and torch.is_grad_enabled()
        for layer in self.language_model.model.layers:
            layer.training = recompute
        summed = embeddings if self.parallel else embeddings.float()
        return self.language_model.model(inputs_embeds=summed, **given).last_hidden_state

    def _run(self, prefix: Prefix, answer: torch.Tensor, **given: Any) -> torch.Tensor:
        """Return the hidden states of prefix and answer, which has one length in all rows."""
        mask, positions = prefix.mask, prefix.positions
        if mask is not None and positions is not None:
            steps = torch.arange(1, answer.shape[1] + 1, device=self.device)
            positions = torch.cat([positions, positions[:, -1:] + steps], dim=1)
            mask = functional.pad(mask, (0, answer.shape[1]), value=1)
        return self._think(
            torch.cat([prefix.embeddings, answer], dim=1),
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            **given,
        )


class Decoding:
    """Token after token behind a prefix whose keys and values are kept: for inference only."""

    def __init__(self, network: OpenVLANetwork, prefix: Prefix, count: int) -> None:
        """count: tokens at most; the memory of keys and values is of that fixed size."""
        self._network = network
        self._llama = network.language_model.model
        self._mask = prefix.mask
        self._next = prefix.positions[:, -1:] + 1 if prefix.positions is not None else None
        # The last token is said by the one before it and never goes in itself.
        length = prefix.embeddings.shape[1] + count - 1
        self._cache = FixedCache(len(self._llama.layers), length)
        self._hidden = network._think(
            prefix.embeddings,
            attention_mask=prefix.mask,
            position_ids=prefix.positions,
            past_key_values=self._cache,
            use_cache=True,
            last_positions=1,
        )[:, -1]

    def logits(self) -> torch.Tensor:
        """Return [B, bins] of the next action token."""
        return self._network.action_logits(self._hidden)

    def say(self, tokens: torch.Tensor) -> None:
        """Take the tokens [B] that were chosen."""
        if self._mask is not None:
            self._mask = functional.pad(self._mask, (0, 1), value=1)
        said = self._llama.embed_tokens(self._network._ids_of(tokens).unsqueeze(1))
        self._hidden = self._network._think(
            said,
            attention_mask=self._mask,
            position_ids=self._next,
            past_key_values=self._cache,
            use_cache=True,
        )[:, -1]
        if self._next is not None:
            self._next = self._next + 1
