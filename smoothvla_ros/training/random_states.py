"""Every global random generator's state, saved and restored without pickle.

The trainer draws nothing from global generators; a policy from elsewhere might.
"""

from __future__ import annotations

import logging
import random
from typing import Any

import numpy as np
import torch

log = logging.getLogger(__name__)


def random_states() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the states of torch, NumPy and Python: tensors, and values that JSON can hold."""
    tensors = {'torch': torch.get_rng_state()}
    if torch.cuda.is_available():
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f'cuda.{index}'] = state
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    tensors['numpy'] = torch.from_numpy(np.asarray(keys, dtype=np.uint32).view(np.int32).copy())
    version, internal, gauss_next = random.getstate()
    values = {
        'numpy': [name, position, has_gauss, gauss],
        'python': [version, list(internal), gauss_next],
    }
    return tensors, values


def restore_random_states(tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Put back what `random_states` returned."""
    torch.set_rng_state(tensors['torch'])
    cuda = {int(name[5:]): state for name, state in tensors.items() if name.startswith('cuda.')}
    if cuda and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all([cuda[index] for index in range(len(cuda))])
    elif cuda:
        log.warning(
            'the checkpoint has random states of %d GPUs, this machine has %d: a policy that draws '
            'from them draws other numbers than the run would have',
            len(cuda),
            torch.cuda.device_count(),
        )
    name, position, has_gauss, gauss = values['numpy']
    keys = tensors['numpy'].numpy().view(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, gauss))  # noqa: NPY002
    version, internal, gauss_next = values['python']
    random.setstate((version, tuple(internal), gauss_next))
