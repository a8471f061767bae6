"""What was sent to Rerun, read back from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rerun


def logged(path: Path, entity: str, component: str) -> list[tuple[int, object]]:
    """Return (stamp in ns, 0 if static; value) of a component of an entity, in order of stamps."""
    found = []
    for chunk in rerun.chunk.RrdReader(path).stream():
        if chunk.entity_path != f'/{entity}':
            continue
        batch = chunk.to_record_batch()
        if component not in batch.schema.names:
            continue
        stamps = (
            batch.column('time').cast('int64').to_pylist()
            if 'time' in batch.schema.names
            else [0] * batch.num_rows
        )
        values = batch.column(component).to_pylist()
        found += [(s, v) for s, v in zip(stamps, values, strict=True) if v is not None]
    return sorted(found, key=lambda item: item[0])


def curve(path: Path, entity: str) -> np.ndarray:
    """Return [N, 2] of a curve: stamps in ns, values."""
    values = logged(path, entity, 'Scalars:scalars')
    return np.array([(stamp, value[0]) for stamp, value in values])
