"""The ROS 2 nodes: parameters, topics, lifecycle and time. They call the packages below.

A node is a file here, or a folder of its name with `node.py`. No nodes are `base`, `topics` and
`jobs`, which hold what nodes share, `launching` what launch files share, `launch_runner`, which
runs these where there is no `launch`, and `parameter_reference`, which prints what nodes declare.
"""
