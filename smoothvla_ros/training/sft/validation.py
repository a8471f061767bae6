"""Figures of a model on demonstrations that it was not trained on."""

from __future__ import annotations

import numpy as np
import torch

from smoothvla_ros.libero import GRIPPER, POSE, ROTATION, TRANSLATION
from smoothvla_ros.policies.small_vla.modeling import SmallVLAModel
from smoothvla_ros.training.sft.demonstration_episode import LABEL_NAMES
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.goal_labels import LENGTH_UNIT_M
from smoothvla_ros.training.sft.losses import action_loss

_BATCH = 64
_NEAR_M = 0.06


def held_out_rows(episode: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers by whole episodes into (training, held-out).

    episode: int [rows], the episode each row belongs to. One episode's rows are nearly alike, so
    a split by rows would measure memory. Of two or more, a share above 0 holds out at least one.
    """
    names = np.unique(episode)
    least = 1 if share > 0.0 and len(names) > 1 else 0
    count = max(least, round(share * len(names)))
    chosen = np.random.default_rng((seed, 7)).permutation(names)[:count]
    held_out = np.isin(episode, chosen)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


@torch.no_grad()
def validate_model(
    model: SmallVLAModel,
    frames: FrameSet,
    rows: np.ndarray,
    sentences: np.ndarray,
    smoothing_bins: float,
) -> dict[str, float]:
    """Return action loss, greedy action error and goal errors in centimetres (medians).

    smoothing_bins: spread of the loss's target, as in training; the loss is a mean over all valid
    actions.
    """
    centres = torch.linspace(-1.0, 1.0, model.config.bins)
    losses, counts, errors, grips, goals = [], [], [], [], []
    for first in range(0, len(rows), _BATCH):
        batch = frames.batch(rows[first : first + _BATCH])
        words = torch.from_numpy(sentences[batch.sentences])
        output = model(batch.images, words, batch.body)
        loss = action_loss(output.logits, batch.actions, batch.valid, smoothing_bins)
        losses.append(float(loss))
        counts.append(int(batch.valid.sum()))
        greedy = centres[output.logits.argmax(-1)]
        error = (greedy - batch.actions)[batch.valid]
        errors.append(error[:, POSE].abs().numpy())
        grips.append((error[:, GRIPPER].abs() < 0.5).numpy())
        difference = (output.goal - batch.goal) * LENGTH_UNIT_M * 100.0
        goals.append(torch.where(batch.goal_valid, difference, torch.nan).numpy())
    absolute = np.concatenate(errors)
    figures = {
        'held_out/action_loss': float(np.average(losses, weights=counts)),
        'held_out/translation_error': float(absolute[:, TRANSLATION].mean()),
        'held_out/rotation_error': float(absolute[:, ROTATION].mean()),
        'held_out/gripper_accuracy': float(np.concatenate(grips).mean()),
    }
    goal = np.concatenate(goals)
    distance = np.linalg.norm(frames.goal[rows][:, -6:-3], axis=1) * LENGTH_UNIT_M
    for index, name in enumerate((*LABEL_NAMES, 'key_pose')):
        error_cm = np.linalg.norm(goal[:, 3 * index : 3 * index + 3], axis=1)
        if np.isfinite(error_cm).any():
            figures[f'held_out/{name}_cm'] = float(np.nanmedian(error_cm))
            near = error_cm[distance < _NEAR_M]
            if np.isfinite(near).any():
                figures[f'held_out/{name}_near_cm'] = float(np.nanmedian(near))
    return figures
