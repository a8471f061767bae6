"""The topics of simulated robots: the bridge's and the twin's."""
