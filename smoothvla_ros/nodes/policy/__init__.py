"""The policy node: one answers every robot, simulated or real."""
