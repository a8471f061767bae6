"""Figures and the video."""
