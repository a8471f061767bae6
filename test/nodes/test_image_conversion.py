"""Images cross the wire as they are, whoever converts them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from sensor_msgs.msg import Image

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.topics import image_conversion

RGB = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def test_round_trip_gives_back_the_pixels():
    """Also for an image that is a view, as a flipped one is."""
    for image in (RGB, RGB[::-1]):
        message = image_conversion.to_image_message(image)
        assert (message.encoding, message.step) == ('rgb8', 12)
        assert np.array_equal(image_conversion.to_image_array(message), image)


@pytest.mark.parametrize(
    ('encoding', 'order'), [('bgr8', [2, 1, 0]), ('rgba8', [0, 1, 2, 0]), ('bgra8', [2, 1, 0, 0])]
)
def test_own_converter_reads_what_cameras_publish(encoding, order):
    """Channel order and an alpha channel are undone; padding at the end of a row is skipped."""
    pixels = RGB[:, :, order]
    padded = np.concatenate([pixels.reshape(5, -1), np.zeros((5, 6), np.uint8)], axis=1)
    message = Image(height=5, width=4, encoding=encoding, step=padded.shape[1])
    message.data = padded.tobytes()
    assert np.array_equal(image_conversion._own_to_array(message), RGB)


def test_unusable_images_are_named():
    """An unknown encoding and too few bytes are user errors, not garbage."""
    with pytest.raises(UserError, match='16UC1'):
        image_conversion.to_image_array(Image(height=1, width=1, encoding='16UC1', step=2))
    message = image_conversion.to_image_message(RGB)
    message.data = message.data[:-1]
    with pytest.raises(UserError, match='59 bytes'):
        image_conversion.to_image_array(message)
    with pytest.raises(ValueError, match='float64'):
        image_conversion.to_image_message(RGB.astype(float))


CV_BRIDGE = """
import os, signal
import numpy as np
from sensor_msgs.msg import Image

class CvBridge:
    def cv2_to_imgmsg(self, image, encoding):
        height, width, _ = image.shape
        message = Image(height=height, width=width, encoding=encoding, step=3 * width)
        message.data = image.tobytes()
        return message

    def imgmsg_to_cv2(self, message, desired_encoding):
        {fault}
        pixels = np.frombuffer(message.data, np.uint8)
        return pixels.reshape(message.height, message.width, 3)
"""


@pytest.mark.parametrize(
    ('fault', 'converter'),
    [
        ('', 'cv_bridge'),
        ('os.kill(os.getpid(), signal.SIGSEGV)', 'own'),
        ('raise AttributeError("_ARRAY_API not found")', 'own'),
        ('return np.zeros((message.height, message.width, 3), np.uint8)', 'own'),
    ],
    ids=['works', 'crashes', 'raises', 'is wrong'],
)
def test_cv_bridge_is_used_where_it_works(tmp_path, fault, converter):
    """One that was built for another NumPy may end the process that calls it, and must not ours."""
    (tmp_path / 'cv_bridge.py').write_text(CV_BRIDGE.format(fault=fault))
    code = (
        'from smoothvla_ros.nodes.topics import image_conversion as c\n'
        'import numpy as np\n'
        'image = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)\n'
        'assert np.array_equal(c.to_image_array(c.to_image_message(image)), image)\n'
        'print(c.CONVERTER)'
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    ended = subprocess.run(
        [sys.executable, '-c', code],
        env=os.environ | {'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=100.0,
        check=True,
    )
    assert ended.stdout.split() == [converter]
