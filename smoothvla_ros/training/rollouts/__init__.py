"""Where rollouts come from: this process, a Ray cluster, or, from `nodes/`, the graph."""
