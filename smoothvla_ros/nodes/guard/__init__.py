"""What the motion guard node is made of; its rules are in `control.motion_guard`."""
