"""Supervised fine-tuning and reinforcement learning of a policy. Knows no ROS."""
