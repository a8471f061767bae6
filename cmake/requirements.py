"""Print the requirements of pyproject.toml with those of the extras named as arguments."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(__file__).parents[1].joinpath('pyproject.toml').read_text())['project']
for group in (project['dependencies'], *map(project['optional-dependencies'].get, sys.argv[1:])):
    print('\n'.join(group))
