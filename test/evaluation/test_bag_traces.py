"""Curves of a recording: bounded, whole, and with every peak in them."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.evaluation.bags.traces import Envelope


@pytest.mark.parametrize('samples', [1600, 30_000, 400_000])
def test_a_curve_is_bounded_without_holes_and_keeps_the_peak(samples):
    """Stamps off the grid by microseconds, as Unix seconds are, leave no stretch empty."""
    rng = np.random.default_rng(0)
    time = np.arange(samples) * 0.01 + rng.uniform(0, 1e-6, samples)
    values = rng.uniform(0, 1, (samples, 2))
    values[samples // 3, 1] = -7.0
    envelope = Envelope(2, 0.01)
    for block in np.array_split(np.arange(samples), 7):
        envelope.add(time[block], values[block])
    middles, curves = envelope.curves()
    assert len(curves) <= 4096
    assert np.isfinite(curves).all()
    assert curves[:, 1].max() == 7.0
    assert abs(middles[np.argmax(curves[:, 1])] - time[samples // 3]) <= np.diff(middles)[0]


def test_a_pause_stays_empty():
    """Where nothing was read the curve says nothing."""
    envelope = Envelope(1, 0.01)
    time = np.r_[np.arange(100), np.arange(300, 400)] * 0.01
    envelope.add(time, np.ones((200, 1)))
    middles, curves = envelope.curves()
    pause = (middles > 1.0) & (middles < 3.0)
    assert np.isnan(curves[pause]).all()
    assert np.isfinite(curves[~pause]).all()
