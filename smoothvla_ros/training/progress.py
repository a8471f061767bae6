"""Where a training job stands: what the progress bar and the `train_status` topic show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The stages of a training job, in order."""

    EVALUATE_BEFORE = 'evaluate_before'
    ROLLOUTS = 'rollouts'
    UPDATE = 'update'
    EVALUATE = 'evaluate'
    EVALUATE_AFTER = 'evaluate_after'
    REPORT = 'report'
    FINISHED = 'finished'


@dataclass(frozen=True)
class TrainStatus:
    """A snapshot of a training job.

    iteration: of `iterations`, counted from 1; 0 before the first; of EVALUATE
    the last one that is finished.  episodes_done of
    `episodes_planned` belong to the present phase.  success: share, jerk: mean tool jerk of the
    successes in m/s^3, entropy: nat a token; NaN while not yet known.
    """

    phase: Phase
    iteration: int
    iterations: int
    episodes_done: int = 0
    episodes_planned: int = 0
    success: float = float('nan')
    jerk: float = float('nan')
    entropy: float = float('nan')
    episodes_per_minute: float = float('nan')


Report = Callable[[TrainStatus], None]


def silent(status: TrainStatus) -> None:
    """Report to nobody."""
