"""`smoothvla train`: from a policy to a smoother one, in simulation or from recordings."""
