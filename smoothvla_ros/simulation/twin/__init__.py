"""A simulated arm that stands where ros2_control and a real one would."""
