"""OpenVLA and OpenVLA-OFT from their published checkpoints, without remote code."""
