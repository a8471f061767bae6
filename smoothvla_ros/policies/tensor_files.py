"""Files of tensors, with the errors that other files have."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from safetensors import SafetensorError


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
