"""What decides between a policy and an arm. Knows neither ROS nor torch."""
