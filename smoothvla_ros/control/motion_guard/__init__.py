"""The motion guard: chunks of a policy in, a motion inside of every limit out. No ROS, no clock.

`guard.py` puts the parts together; docs/guard.md says why each is as it is.
"""
