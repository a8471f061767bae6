"""`smoothvla eval`: policies on held-out scenes, one alone or two on the same."""
