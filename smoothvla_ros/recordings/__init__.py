"""Recordings of ROS 2 topics (rosbag2: MCAP, SQLite), read without ROS."""

from smoothvla_ros.recordings.bag import Bag, Topic
from smoothvla_ros.recordings.joint_states import JOINT_STATE, JointSamples, joint_samples

__all__ = ['JOINT_STATE', 'Bag', 'JointSamples', 'Topic', 'joint_samples']
