"""The benchmark: cells of episodes become figures with intervals, bars and a page."""
