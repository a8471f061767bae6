"""The ROS 2 nodes: parameters, topics, lifecycle and time. They call the packages below.

A node is a file here, or a folder of its name with `node.py`. What nodes share is in `base`,
`topics` and `jobs`, what launch files share in `launching`.
"""
