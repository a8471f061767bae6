"""Names of the Hugging Face hub, looked up in its local cache and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

from smoothvla_ros.errors import UserError

_NAME = re.compile(r'[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*')


def is_hub_name(path_or_name: str | Path) -> bool:
    """Say whether this is no folder here, but written as ``owner/name``."""
    return (
        isinstance(path_or_name, str)
        and _NAME.fullmatch(path_or_name) is not None
        and not Path(path_or_name).exists()
    )


def cached_snapshot(name: str) -> Path:
    """Return the folder in the cache that holds the newest downloaded revision of ``owner/name``.

    Raises UserError with the command that downloads it.
    """
    # Imported here: most policies are folders.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except HFValidationError as error:
        raise UserError(
            f'policy {name!r} is no folder here, and no name of the Hugging Face hub either; give '
            'the folder of a policy'
        ) from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f'policy {name!r} is neither a folder here nor in the Hugging Face cache; '
            f'`hf download {name}` fetches it'
        ) from error
