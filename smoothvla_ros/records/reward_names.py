"""What the shipped rewards are called: a setting of a training, the cells of a benchmark."""

from __future__ import annotations

BINARY = 'binary'
SMOOTH = 'smooth'
DECOUPLED = 'decoupled'
