"""What the SmoothVLA paper prints (arXiv 2603.13925v1), to stand beside what is measured here."""

from __future__ import annotations

from smoothvla_ros.evaluation.benchmark.matrix import SFT
from smoothvla_ros.records.reward_names import BINARY, SMOOTH

JERK = {
    # suite: (after SFT, after standard RL), printed as m/s^3; its table 1
    'libero_spatial': (0.337, 0.360),
    'libero_object': (0.374, 0.390),
    'libero_goal': (0.383, 0.407),
    'libero_10': (0.402, 0.448),
}
MEAN_JERK = (0.374, 0.402)
JERK_AGAINST_STANDARD_RL_PERCENT = -13.8
MEAN_SUCCESS_PERCENT = 80.5
PERTURBED_SUCCESS_PERCENT = {SFT: 22.0, BINARY: 39.2, SMOOTH: 46.2}
