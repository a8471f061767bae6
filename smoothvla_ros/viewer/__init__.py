"""The jerk of robots in a web page of Rerun's, without ROS."""
