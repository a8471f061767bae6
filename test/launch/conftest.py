"""Where launch files are planned in tests."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Not where somebody has a run: launch files look at the folder that they would write to."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fake_xacro(monkeypatch):
    """Where a description comes from, for what does not look into it."""
    monkeypatch.setitem(sys.modules, 'xacro', SimpleNamespace(process_file=_processed))


def _processed(*arguments, **keywords):
    return SimpleNamespace(toxml=lambda: '<robot/>')
