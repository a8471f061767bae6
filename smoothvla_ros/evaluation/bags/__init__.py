"""The jerk of any recorded robot: from a bag to a table, a page and a file of figures."""
