"""`smoothvla benchmark`: which cells are run, how, and what is written when."""
