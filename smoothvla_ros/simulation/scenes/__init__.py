"""From a name to a scene that is ready to be acted in."""
