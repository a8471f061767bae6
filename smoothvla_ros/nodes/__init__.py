"""The ROS 2 nodes: parameters, topics, lifecycle and time. They call the packages below.

A file here is a node that runs; the folders hold what nodes and launch files are made of.
"""
