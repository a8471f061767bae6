"""A motion whose figures are known, and what `smoothvla analyze` says of its recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from smoothvla_ros.cli import main

NAMES = [f'panda_joint{i}' for i in range(1, 8)]
HOME = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])


def reaches(time: np.ndarray, starts: list[float], lasts_s: float = 2.0) -> np.ndarray:
    """Minimum-jerk reaches to and fro, at rest in between: [T] in [0, 1]."""
    place = np.zeros_like(time)
    for index, start in enumerate(starts):
        share = np.clip((time - start) / lasts_s, 0.0, 1.0)
        place += (-1) ** index * share**3 * (10 - 15 * share + 6 * share**2)
    return place


def motion(time: np.ndarray, shake: float = 0.0) -> np.ndarray:
    """A reach of seven joints every 4 s, and a shaking at 3 Hz while they last."""
    place = reaches(time, list(np.arange(1.0, time[-1] - 2.0, 4.0)))
    moving = 16 * place**2 * (1 - place) ** 2
    shaken = place + shake * moving * np.sin(2 * np.pi * 3 * time)
    return HOME + 0.4 * np.linspace(0.5, 1.0, 7) * shaken[:, None]


def analysed(tmp_path: Path, *arguments: str) -> dict:
    """Run the command and return what it wrote as JSON."""
    out = tmp_path / 'out.json'
    if '--report' not in arguments:
        arguments = (*arguments, '--no-report')
    assert main(['analyze', *arguments, '--json', str(out)]) == 0
    return json.loads(out.read_text())
