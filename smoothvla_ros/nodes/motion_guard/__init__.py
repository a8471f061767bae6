"""The motion guard node; its rules are in `control.motion_guard`."""
