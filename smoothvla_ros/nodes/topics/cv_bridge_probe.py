"""Whether cv_bridge converts here: one image there and back, in a process of its own.

Jazzy's cv_bridge is built for NumPy 1. Under NumPy 2 its compiled half may raise, or read where
nothing is and take the process with it, which no exception handler sees.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np

_MODULE = 'smoothvla_ros.nodes.topics.cv_bridge_probe'


def cv_bridge_works() -> bool:
    """Return whether cv_bridge is installed and gives back what it was given."""
    if find_spec('cv_bridge') is None:
        return False
    command = [sys.executable, '-m', _MODULE]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> int:
    """Convert an image there and back; 0 if it is the same."""
    from cv_bridge import CvBridge

    bridge = CvBridge()
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    message = bridge.cv2_to_imgmsg(image, encoding='rgb8')
    return int(not np.array_equal(bridge.imgmsg_to_cv2(message, desired_encoding='rgb8'), image))


if __name__ == '__main__':
    sys.exit(main())
