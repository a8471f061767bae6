"""NumPy archives found on disk: never unpickled, and every kind of damage is one error."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

# All of them were seen for one flipped bit: each library on the way down has its own.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class DamagedArchive(Exception):
    """A file that cannot be read, is no archive of arrays, or is damaged; the message says how."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return every array of an .npz file by name.  Raises DamagedArchive."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        if 'allow_pickle' in str(error):
            # NumPy takes anything it does not know for a pickle, and advises to trust it.
            raise DamagedArchive('no archive of arrays; a pickled object is never read') from error
        raise DamagedArchive(' '.join(str(error).split()) or type(error).__name__) from error
