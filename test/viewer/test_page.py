"""The page in a real browser: it shows the arm and its curves, and asks nobody but this machine."""

from __future__ import annotations

import io
import time

import browser
import numpy as np
import pytest
from PIL import Image

from smoothvla_ros.kinematics.robot import RobotDescription, load_robot_description
from smoothvla_ros.viewer.rerun_view import RerunView
from smoothvla_ros.viewer.robot_scene import Reading

REST = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])
START_NS = 1_790_000_000 * 10**9
STEP_NS = 50_000_000
PATIENCE_S = 300.0
# Curve, its two thresholds, and an image that nothing else looks like.
SKY, ORANGE, VERMILION, IMAGE = (86, 180, 233), (230, 159, 0), (213, 94, 0), (200, 20, 220)


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < 12).sum())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(browser.PROGRAM is None, reason='no Chromium: apt-get install chromium')
def test_a_browser_shows_arm_curves_limits_and_images(tmp_path):
    """Colours of each are on the screen, and every request went to loopback."""
    robot: RobotDescription = load_robot_description('panda')
    view = RerunView(['robot_0'], robot, ('agentview',), port=0, data_port=0, memory_mb=100)
    page = browser.Browser(tmp_path / 'profile')
    try:
        scene = view.scenes['robot_0']
        for step in range(100):
            stamp, place = START_NS + step * STEP_NS, REST + 0.3 * np.sin(0.05 * step)
            scene.joints(stamp, dict(zip(robot.joints, place, strict=True)))
            scene.remember(stamp, place)
            jerk = 25.0 + step % 40
            scene.draw(Reading(stamp, jerk, jerk, np.ones(7), 'ok', 20.0, 50.0, None))
            scene.image('agentview', stamp, np.full((64, 64, 3), IMAGE, np.uint8))
        view.flush()
        page.open(view.url)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert('RGB'))
            counts = {c: pixels_of(picture, c) for c in (SKY, ORANGE, VERMILION, IMAGE)}
            grey = picture[60:400, 20:600].astype(int)
            # The arm is pale and grey; nothing else of its view is.
            arm = int(((grey.min(axis=2) > 110) & (np.ptp(grey, axis=2) < 25)).sum())
            if min(counts.values()) > 30 and arm > 2000:
                break
            assert time.monotonic() < deadline, (counts, arm, page.console[-5:])
        assert page.evaluate('window.viewer.has_panicked()') is False
        hosts = {url.split('/')[2].split(':')[0] for url in page.requests if '//' in url}
        assert hosts == {'127.0.0.1'}
    finally:
        page.close()
        view.close()
