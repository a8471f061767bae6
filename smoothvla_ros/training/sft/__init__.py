"""Supervised fine-tuning of the small policy on demonstrations."""
