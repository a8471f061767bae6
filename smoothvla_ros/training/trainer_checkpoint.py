"""What a GRPO run saves after every iteration, and how it goes on from there, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from smoothvla_ros.training.checkpoints import Checkpoint, CheckpointStore, DamagedCheckpoint
from smoothvla_ros.training.grpo_trainer import TrainerState
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.random_states import random_states, restore_random_states

_LEARNER = 'learner'
_RANDOM = 'random_states'
_WEIGHT, _MEAN = 'weight.', 'mean.'


def save_trainer(
    store: CheckpointStore,
    state: TrainerState,
    learner: GrpoLearner,
    config: dict[str, Any],
    wall_seconds: float,
) -> Checkpoint:
    """Write the checkpoint of `state.iteration`."""
    moments = {
        f'{key}.{name}': value
        for name, parameter in learner.parameters.items()
        for key, value in learner.optimiser.state.get(parameter, {}).items()
    }
    # The policy's own files may round (half precision, merged adapters); the learner's may not.
    weights = {f'{_WEIGHT}{name}': value for name, value in learner.parameters.items()}
    means = {f'{_MEAN}{name}': value for name, value in learner.average.means.items()}
    random_tensors, random_values = random_states()
    groups = learner.optimiser.state_dict()['param_groups']
    return store.save(
        state.iteration,
        learner.policy.save,
        {_LEARNER: {**weights, **moments, **means}, _RANDOM: random_tensors},
        {
            **state.to_plain(),
            'config': config,
            'wall_seconds': wall_seconds,
            'optimiser': [
                {name: value for name, value in group.items() if name != 'params'}
                for group in groups
            ],
            'random': random_values,
            'averaged': learner.average.count,
        },
    )


def restore_trainer(checkpoint: Checkpoint, learner: GrpoLearner) -> tuple[TrainerState, float]:
    """Put weights, optimiser and random generators back; return the state and the seconds so far.

    learner: on the policy loaded from `checkpoint.policy_folder`.
    A parameter that no loss has reached yet has no moments, as in the run that was saved.
    Raises DamagedCheckpoint for a parameter without its weights, or with some of its moments.
    """
    values, tensors = checkpoint.read_state(), checkpoint.read_tensors(_LEARNER)
    with torch.no_grad():
        for name, parameter in learner.parameters.items():
            _require(checkpoint, tensors, [f'{_WEIGHT}{name}'])
            parameter.copy_(tensors[f'{_WEIGHT}{name}'])
    optimiser = learner.optimiser
    keys = {name.split('.', 1)[0] for name in tensors if not name.startswith((_WEIGHT, _MEAN))}
    for name, parameter in learner.parameters.items():
        if not any(f'{key}.{name}' in tensors for key in keys):
            continue
        _require(checkpoint, tensors, [f'{key}.{name}' for key in sorted(keys)])
        # The step counter lives on the CPU wherever the parameter is.
        optimiser.state[parameter] = {
            key: _own(tensors[f'{key}.{name}'], 'cpu' if key == 'step' else parameter.device)
            for key in sorted(keys)
        }
    means = {
        name: _own(tensors[f'{_MEAN}{name}'], parameter.device)
        for name, parameter in learner.parameters.items()
        if f'{_MEAN}{name}' in tensors
    }
    learner.average.restore(int(values.get('averaged', 0)), means)
    for group, stored in zip(optimiser.param_groups, values['optimiser'], strict=True):
        group.update({k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()})
    restore_random_states(checkpoint.read_tensors(_RANDOM), values['random'])
    return TrainerState.from_plain(values), float(values['wall_seconds'])


def _require(
    checkpoint: Checkpoint, tensors: Mapping[str, torch.Tensor], keys: Sequence[str]
) -> None:
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise DamagedCheckpoint(
            f'checkpoint {checkpoint.folder}: {_LEARNER}.safetensors has no {missing[0]}; resume '
            'from an intact checkpoint'
        )


def _own(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Copy a tensor out of the mapped file, to where its parameter is."""
    return tensor.clone().to(device)
