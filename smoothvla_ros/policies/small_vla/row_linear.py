"""A linear layer for one vector a row."""

from __future__ import annotations

import torch
from torch import nn

_FEWEST_ROWS = 8


class RowLinear(nn.Linear):
    """A linear layer whose rows come out alike in small and in large batches.

    Matrix libraries take other kernels for fewer than four rows, which round differently; a sharp
    action distribution turns that last bit into more than 1e-5 of log-probability between one
    robot asking and a learner recomputing. Repeating a row until there are enough costs nothing
    beside the images. (Convolutions and layers over tokens have enough rows at any batch size.)
    """

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map `vectors` [B, in_features] to [B, out_features]."""
        absent = _FEWEST_ROWS - len(vectors)
        if absent <= 0:
            return super().forward(vectors)
        padded = torch.cat([vectors, vectors[:1].expand(absent, -1)])
        return super().forward(padded)[: len(vectors)]
