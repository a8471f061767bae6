"""Files of tensors: the errors that other files have, and values that no network can use."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError

from smoothvla_ros.errors import UserError


@contextlib.contextmanager
def tensor_file_errors() -> Iterator[None]:
    """Raise OSError where safetensors could not write: its own error hides the number in words."""
    try:
        yield
    except SafetensorError as error:
        found = re.search(r'os error (\d+)', str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


def check_finite(
    path: Path, name: str, value: torch.Tensor, remedy: str = 'download it again'
) -> None:
    """Raise UserError if a tensor holds NaN or an infinity.

    One sum shows it, a small part of the time that reading takes; only where the sum is not finite
    is every value looked at, because large finite ones could overflow.
    """
    if not value.sum().isfinite() and not value.isfinite().all():
        raise UserError(f'{path}: {name} has values that are not finite; {remedy}')
