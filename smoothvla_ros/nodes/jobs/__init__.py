"""What the trainer and the evaluator share: one piece of work over the graph, then the end."""
