"""The small networks that OpenVLA-OFT puts beside the language model, by their published names."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Projector(nn.Module):
    """Patch features to the language model's width: three layers, GELU between them."""

    def __init__(self, width: int, language_width: int) -> None:
        """width: of the concatenated patch features."""
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, language_width)
        self.fc3 = nn.Linear(language_width, language_width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return [..., language_width]."""
        features = functional.gelu(self.fc1(features))
        return self.fc3(functional.gelu(self.fc2(features)))


class ProprioceptionProjector(nn.Module):
    """Normalised proprioception as one token of the language model."""

    def __init__(self, size: int, language_width: int) -> None:
        """size: of the proprioception."""
        super().__init__()
        self.fc1 = nn.Linear(size, language_width)
        self.fc2 = nn.Linear(language_width, language_width)

    def forward(self, proprioception: torch.Tensor) -> torch.Tensor:
        """Return [B, language_width] for [B, size]."""
        return self.fc2(functional.gelu(self.fc1(proprioception)))


class RegressionHead(nn.Module):
    """Hidden states of a step's action tokens to its normalised action, trained on the L1 error."""

    def __init__(self, width: int, action_dimension: int) -> None:
        """width: of one token's hidden state."""
        super().__init__()
        self._action_dimension = action_dimension
        self.model = _ResidualNetwork(width * action_dimension, width, action_dimension)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return [B, chunk, dimension] for [B, chunk * dimension, width]."""
        return self.model(hidden.unflatten(1, (-1, self._action_dimension)).flatten(2))


class _ResidualNetwork(nn.Module):
    def __init__(self, inputs: int, width: int, outputs: int, blocks: int = 2) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(inputs)
        self.fc1 = nn.Linear(inputs, width)
        self.mlp_resnet_blocks = nn.ModuleList([_ResidualBlock(width) for _ in range(blocks)])
        self.layer_norm2 = nn.LayerNorm(width)
        self.fc2 = nn.Linear(width, outputs)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.fc1(self.layer_norm1(hidden)))
        for block in self.mlp_resnet_blocks:
            hidden = block(hidden)
        return self.fc2(self.layer_norm2(hidden))


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ffn = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU())

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.ffn(hidden)
