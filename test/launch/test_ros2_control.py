"""The deployment on ros2_control's mock hardware: where ros2_control is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from smoothvla_ros import msg
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.ros_domain import free_domain

LAUNCH = Path(__file__).parents[2] / 'launch' / 'deploy.launch.py'
NEEDED = ('controller_manager', 'joint_trajectory_controller', 'robot_state_publisher', 'xacro')
PATIENCE_S = 120.0


def missing():
    """What this test needs and this machine lacks."""
    lacking = [] if shutil.which('ros2') else ['ros2']
    for package in NEEDED:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            lacking.append(package)
    return lacking


@pytest.mark.skipif(bool(missing()), reason=f'no {", ".join(missing())}: they come with ROS 2')
def test_the_guard_takes_the_mocked_arm_over():
    """Controllers come up, joint states with the Panda's names arrive, and ~/arm succeeds."""
    import rclpy

    with free_domain() as domain:
        environment = os.environ | {'ROS_DOMAIN_ID': str(domain)}
        command = ['ros2', 'launch', str(LAUNCH), 'hardware:=mock', 'camera_source:=pattern']
        launched = subprocess.Popen(command, env=environment, start_new_session=True)
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = Node('operator', namespace='robot_0', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        quality = profiles(Graph.REAL_ARM)
        joints, states = [], []
        node.create_subscription(JointState, 'joint_states', joints.append, quality.joint_states)
        node.create_subscription(
            msg.GuardState, 'motion_guard/state', states.append, quality.status
        )
        arm = node.create_client(Trigger, 'motion_guard/arm')

        def until(condition):
            deadline = time.monotonic() + PATIENCE_S
            while not condition():
                assert launched.poll() is None, 'the launch ended'
                assert time.monotonic() < deadline, 'waited in vain'
                executor.spin_once(timeout_sec=0.1)

        try:
            until(lambda: joints and set(panda_description().joints) <= set(joints[-1].name))
            until(arm.service_is_ready)
            answer = arm.call_async(Trigger.Request())
            until(answer.done)
            assert answer.result().success, answer.result().message
            until(lambda: states and states[-1].phase == msg.GuardState.PHASE_ARMED)
        finally:
            os.killpg(launched.pid, signal.SIGINT)
            launched.wait(timeout=60.0)
            node.destroy_node()
            rclpy.shutdown(context=context)
