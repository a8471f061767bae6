"""The few classes of `launch` and `launch_ros` that our launch files use, and nothing more.

They behave like the originals for what is here; `modules` puts them under the original names.
"""
