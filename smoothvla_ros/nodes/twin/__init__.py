"""The twin's node; the simulated arm is in `simulation.twin`."""
