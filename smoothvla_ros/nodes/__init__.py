"""The ROS 2 nodes: parameters, topics, lifecycle and time. They call the packages below."""
