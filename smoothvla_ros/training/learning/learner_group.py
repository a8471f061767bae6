"""The processes that compute one update together, each on a device of its own."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.distributed as distributed

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.loading import named_device

# Rank 0 samples for as long as it takes while the others wait for the next update.
_PATIENCE = datetime.timedelta(days=30)


class LearnerGroup:
    """This process among those that learn; alone unless a launcher says otherwise.

    rank: of this process, 0 for the one that does everything but learning too.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: str | None = None) -> None:
        """Describe a group that is connected already, or needs no connection."""
        self.rank, self.size, self.device = rank, size, device
        self._commands = (
            distributed.new_group(backend='gloo', timeout=_PATIENCE) if size > 1 else None
        )

    @classmethod
    def launched(cls, device: str) -> LearnerGroup:
        """Return the group that `accelerate launch` (or torchrun) started this process in.

        device: the kind, such as cuda, or auto; each process of a machine takes its own.
        Raises UserError if there are more processes than GPUs.
        """
        device = named_device(device)
        if int(os.environ.get('WORLD_SIZE', '1')) == 1:
            return cls(device=device)
        local = int(os.environ.get('LOCAL_RANK', '0'))
        if device.startswith('cuda') and local >= torch.cuda.device_count():
            raise UserError(
                f'device={device}: process {local} of this machine has no GPU of its own, there '
                f'are {torch.cuda.device_count()}; launch that many'
            )
        from accelerate import PartialState

        state = PartialState(cpu=not device.startswith('cuda'))
        return cls(state.process_index, state.num_processes, str(state.device))

    def broadcast(self, value: Any = None) -> Any:
        """Return, in every process, what rank 0 gives here, however long that takes."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, group=self._commands)
        return box[0]

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Add up what every process computed for these parameters, a missing gradient as zero.

        What no process has a gradient for keeps none, so that weight decay leaves it alone as it
        does in one process.
        """
        if self.size == 1:
            return
        parameters = list(parameters)
        having = self.sum([float(parameter.grad is not None) for parameter in parameters])
        for parameter, processes in zip(parameters, having, strict=True):
            if not processes:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)

    def sum(self, values: list[float]) -> list[float]:
        """Add up numbers of every process."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total, group=self._commands)
        return [float(value) for value in total]

    def sum_array(self, values: np.ndarray) -> np.ndarray:
        """Add up arrays of one shape, element by element."""
        if self.size == 1:
            return values
        total = torch.from_numpy(values.copy())
        distributed.all_reduce(total, group=self._commands)
        return total.numpy()

    def close(self) -> None:
        """Leave the group, if there is one."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()
