"""Jobs that join training and evaluation, and their command lines. Knows no ROS."""
