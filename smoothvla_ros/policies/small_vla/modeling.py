"""The small vision-language-action model: images, instruction and body in, action tokens out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, DetrConfig, PreTrainedModel, ResNetConfig
from transformers.models.detr.modeling_detr import DetrDecoderLayer, DetrEncoderLayer

from smoothvla_ros.policies.instructions import PADDING, UNKNOWN
from smoothvla_ros.policies.small_vla.configuration import SmallVLAConfig
from smoothvla_ros.policies.small_vla.row_linear import RowLinear
from smoothvla_ros.policies.small_vla.vision import CameraEncoder

_SMALLEST_SCALE_BINS = 1.0


@dataclass
class SmallVLAOutput:
    """logits: float32 [B, chunk, dimension, bins].  goal: float32 [B, goal_dimension]."""

    logits: torch.Tensor
    goal: torch.Tensor


class SmallVLAModel(PreTrainedModel):
    """Two image trunks read at points, a word encoder, and a decoder with one query a step.

    The points of both cameras, the words, the body and an estimate of the goal (where the tool is
    heading, relative to where it is) are the memory; `chunk` queries attend to it in parallel. Each
    action is a mixture of Gaussians discretised over the bins, so that neighbouring bins share
    what they learn, in imitation and under a policy gradient alike.
    """

    config_class = SmallVLAConfig
    base_model_prefix = 'smoothvla_small'
    main_input_name = 'images'

    config: SmallVLAConfig
    body_mean: torch.Tensor
    body_scale: torch.Tensor
    centres: torch.Tensor

    def __init__(self, config: SmallVLAConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        layers = DetrConfig(
            d_model=size,
            encoder_ffn_dim=config.feedforward_size,
            decoder_ffn_dim=config.feedforward_size,
            encoder_attention_heads=config.attention_heads,
            decoder_attention_heads=config.attention_heads,
            dropout=0.0,
            activation_function='gelu',
            backbone_config=ResNetConfig(),
        )
        self._attention = layers
        self.words = nn.Embedding(config.vocabulary_size, size, padding_idx=PADDING)
        self.word_places = nn.Parameter(torch.zeros(config.instruction_length, size))
        self.word_encoder = DetrEncoderLayer(layers)
        self.body = nn.Sequential(
            RowLinear(config.proprioception_size, size), nn.GELU(), RowLinear(size, size)
        )
        self.condition = nn.Sequential(RowLinear(2 * size, size), nn.GELU())
        self.cameras = nn.ModuleList(CameraEncoder(config, size) for _ in config.cameras)
        read = config.stage_channels[-2]
        self.point_features = nn.ModuleList(nn.Linear(read + 2, size) for _ in config.cameras)
        self.point_places = nn.Parameter(torch.zeros(len(config.cameras), config.keypoints, size))
        coordinates = 2 * config.keypoints * len(config.cameras)
        self.goal = nn.Sequential(
            RowLinear(coordinates + 2 * size, 2 * size),
            nn.GELU(),
            RowLinear(2 * size, size),
            nn.GELU(),
            RowLinear(size, config.goal_dimension),
        )
        # Points of a camera and the tool's place map almost linearly to relative positions.
        direct = coordinates + config.proprioception_size
        self.goal_direct = RowLinear(direct, config.goal_dimension)
        self.goal_feature = nn.Sequential(
            RowLinear(config.goal_dimension + coordinates, size), nn.GELU(), RowLinear(size, size)
        )
        self.steps = nn.Parameter(torch.zeros(config.chunk, size))
        self.decoder = nn.ModuleList(DetrDecoderLayer(layers) for _ in range(config.decoder_layers))
        self.head = nn.Linear(size, config.action_dimension * 3 * config.mixture)
        self.register_buffer('body_mean', torch.zeros(config.proprioception_size))
        self.register_buffer('body_scale', torch.ones(config.proprioception_size))
        # In the file although it could be computed: from_pretrained fills what a file lacks with
        # nothing in particular.
        self.register_buffer('centres', torch.linspace(-1.0, 1.0, config.bins))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise as torch does, by fan-in: transformers' 0.02 is made for far wider layers.

        Written with `nn.init`, which transformers guards while it loads weights.
        """
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5.0))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
        elif isinstance(module, SmallVLAModel):
            for places in (module.word_places, module.point_places, module.steps):
                nn.init.normal_(places, std=0.2)

    def forward(
        self, images: torch.Tensor, words: torch.Tensor, body: torch.Tensor
    ) -> SmallVLAOutput:
        """Predict a chunk for each row.

        images: uint8 [B, cameras, H, W, 3].  words: int64 [B, instruction_length], padded.
        body: float32 [B, proprioception_size], in SI units as `proprioception` returns it.
        """
        present = words != PADDING
        text = self._encode_words(words, present)
        sentence = (text * present.unsqueeze(-1)).sum(1) / present.sum(1, keepdim=True)
        state = (body - self.body_mean) / self.body_scale
        body = self.body(state)
        condition = self.condition(torch.cat([sentence, body], dim=-1))

        coordinates, points = [], []
        for camera, encoder in enumerate(self.cameras):
            with torch.set_grad_enabled(torch.is_grad_enabled() and self._learns_to_see()):
                places, features = self._look(encoder, images[:, camera], condition)
            coordinates.append(places.flatten(1))
            features = self.point_features[camera](torch.cat([features, places], dim=-1))
            points.append(features + self.point_places[camera])
        where = torch.cat(coordinates, dim=-1)
        with torch.autocast(images.device.type, enabled=False):
            goal = self.goal_direct(torch.cat([where, state], dim=-1))
        goal = goal + self.goal(torch.cat([where, body, condition], dim=-1)).float()
        heading = self.goal_feature(torch.cat([goal, where], dim=-1))

        singles = torch.stack([heading, body, condition], dim=1)
        memory = torch.cat([*points, singles, text], dim=1)
        others = present.new_ones(len(words), memory.shape[1] - words.shape[1])
        mask = _attention_mask(torch.cat([others, present], dim=1), memory.dtype)
        queries = self.steps.expand(len(words), -1, -1)
        hidden = (heading + body + condition).unsqueeze(1) + queries
        for layer in self.decoder:
            hidden = layer(
                hidden,
                object_queries_position_embeddings=queries,
                encoder_hidden_states=memory,
                encoder_attention_mask=mask,
            )
        return SmallVLAOutput(logits=self._logits(hidden), goal=goal)

    def resize_vocabulary(self, size: int) -> None:
        """Grow the word table; known words keep their vectors, new ones start as unknown."""
        old = self.words.weight.data
        if size < len(old):
            raise ValueError(f'{len(old)} words cannot shrink to {size}')
        self.words = nn.Embedding(size, self.config.hidden_size, padding_idx=PADDING)
        self.words.weight.data[:] = old[UNKNOWN]
        self.words.weight.data[: len(old)] = old
        self.config.vocabulary_size = size

    def train(self, mode: bool = True) -> SmallVLAModel:
        """Choose the mode, and with it how attention is computed.

        Plain products train faster: there are a few dozen tokens. The fused kernel rounds each
        row alike in every batch, which `evaluate` owes to `act`.
        """
        self._attention._attn_implementation = 'eager' if mode else 'sdpa'
        return super().train(mode)

    def _look(
        self, encoder: nn.Module, images: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a batch at once in supervised training, and row by row in eval mode.

        The convolutions' algorithm depends on the size of the batch, and with it the last bits;
        row by row, a learner finds the very log-probabilities that were sampled. Forward it costs
        nothing; backward through the trunks it doubles the time.
        """
        if self.training or len(images) == 1:
            return encoder(images, condition)
        rows = [encoder(images[i : i + 1], condition[i : i + 1]) for i in range(len(images))]
        places, features = zip(*rows, strict=True)
        return torch.cat(places), torch.cat(features)

    def _learns_to_see(self) -> bool:
        """Whether the trunks are trained; if not, their condition is not trained through them."""
        return any(parameter.requires_grad for parameter in self.cameras.parameters())

    def _encode_words(self, words: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        embedded = self.words(words) + self.word_places
        return self.word_encoder(embedded, _attention_mask(present, embedded.dtype))

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log-density of a mixture of Gaussians at the bin centres, always in float32.

        The Gaussians are normalised by their continuous density; the softmax over the bins that
        follows makes the mixture a distribution over tokens.
        """
        with torch.autocast(hidden.device.type, enabled=False):
            shape = (*hidden.shape[:2], self.config.action_dimension, 3, self.config.mixture)
            weights, means, scales = self.head(hidden.float()).view(shape).unbind(dim=-2)
            smallest = _SMALLEST_SCALE_BINS * 2.0 / (self.config.bins - 1)
            deviations = smallest + 0.2 * nn.functional.softplus(scales)
            distance = self.centres - means.unsqueeze(-1)
            heights = (torch.log_softmax(weights, dim=-1) - deviations.log()).unsqueeze(-1)
            precision = deviations.unsqueeze(-1).pow(-2)
            return torch.logsumexp(heights - 0.5 * precision * distance.square(), dim=-2)


def to_channels_last(model: SmallVLAModel) -> SmallVLAModel:
    """Lay the convolutions' weights out as a CPU computes them; returns the same model."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return model


def _attention_mask(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return [B, 1, 1, keys]: 0 where attention may go, and a very negative number elsewhere."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill(~visible, torch.finfo(dtype).min)[:, None, None, :]


AutoConfig.register(SmallVLAConfig.model_type, SmallVLAConfig)
AutoModel.register(SmallVLAConfig, SmallVLAModel)
