"""What every node is made of: parameters, lifecycle, threads, diagnostics."""
