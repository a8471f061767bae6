"""The viewer is an extra: without it these tests have nothing to test."""

from __future__ import annotations

import pytest

pytest.importorskip('rerun', reason='no rerun-sdk: pip install rerun-sdk')
