"""The camera node over real DDS: images with their stamps, calibration, and its diagnostics."""

from __future__ import annotations

import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from waiting import spin_until

from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.camera import Camera, CameraConfig
from smoothvla_ros.nodes.topics.image_conversion import to_image_array
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.nodes.twin_operator import TwinOperatorConfig
from smoothvla_ros.simulation.twin.config import TwinConfig

CALIBRATION = """
image_width: 640
image_height: 480
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 500, 240, 0, 0, 1]}
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [500, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def watch(ros):
    """Run the node until a condition on what was heard holds."""
    made = []

    def run(enough, **parameters):
        node = Camera(
            parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
        )
        listener = Node('listener')
        made.extend([node, listener])
        heard = {'images': [], 'infos': [], 'diagnostics': []}
        quality = profiles('real_arm').image
        for kind, topic, name, profile in (
            (Image, 'robot_0/camera/wrist/image_raw', 'images', quality),
            (CameraInfo, 'robot_0/camera/wrist/camera_info', 'infos', quality),
            (DiagnosticArray, '/diagnostics', 'diagnostics', 10),
        ):
            listener.create_subscription(kind, topic, heard[name].append, profile)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.add_node(listener)
        node.autostart()
        spin_until(executor, lambda: enough(heard))
        executor.shutdown()
        return heard

    yield run
    for node in made:
        if isinstance(node, Camera):
            node.stop()
        node.destroy_node()


def test_image_and_calibration_share_stamp_and_frame(watch, tmp_path):
    """Sensor data quality, true stamps, the published size in CameraInfo, a line of diagnostics."""
    path = tmp_path / 'wrist.yaml'
    path.write_text(CALIBRATION)
    before = time.time_ns()
    heard = watch(
        lambda heard: len(heard['infos']) > 3 and any(a.status for a in heard['diagnostics']),
        source='pattern',
        camera='wrist',
        width=320,
        height=240,
        encoding='bgr8',
        calibration=str(path),
    )
    image = heard['images'][0]
    assert (image.width, image.height, image.encoding) == (320, 240, 'bgr8')
    assert before < to_nanoseconds(image.header.stamp) < time.time_ns()
    assert image.header.frame_id == 'robot_0/wrist_optical_frame'
    pixels = to_image_array(image)
    assert pixels[120, 310, 0] > pixels[120, 10, 0], 'red grows to the right'
    stamps = {to_nanoseconds(m.header.stamp) for m in heard['images']}
    info = heard['infos'][0]
    assert to_nanoseconds(info.header.stamp) in stamps
    assert (info.width, info.k[0], info.p[5]) == (320, 250.0, 250.0)
    (status,) = heard['diagnostics'][-1].status
    assert status.name == 'camera: wrist'
    assert {value.key for value in status.values} == {'rate_hz', 'age_s', 'frames', 'reconnections'}


def test_camera_that_is_not_there_is_one_line(watch):
    """The node does not start, and says what to look at."""
    with pytest.raises(UserError, match='camera /dev/video_none does not exist; is it plugged in'):
        watch(lambda heard: True, source='v4l2', path='/dev/video_none')


def test_arm_of_a_file_for_all_nodes_is_no_namespace(watch):
    """`/**: robot: fr3` is the arm's model; the policy listens on robot_0 all the same."""
    heard = watch(lambda heard: heard['images'], source='pattern', camera='wrist', robot='fr3')
    assert heard['images'][0].header.frame_id == 'robot_0/wrist_optical_frame'


@pytest.mark.parametrize('name', ['', '/', 'my arm', '1st', 'lab//left', '/home/me/fr3.yaml'])
@pytest.mark.parametrize(
    ('kind', 'place'),
    [(CameraConfig, 'camera'), (TwinConfig, 'twin'), (TwinOperatorConfig, 'operator')],
)
def test_robot_name_that_is_no_ros_name_is_one_line(kind, place, name):
    """Of every node that has one: a topic of that name would be a traceback."""
    with pytest.raises(UserError) as refusal:
        kind(robot_name=name)
    assert str(refusal.value).startswith(f'{place}: robot_name={name!r} is no ROS name; use lett')
    assert kind(robot_name='lab/left_arm').robot_name == 'lab/left_arm'
