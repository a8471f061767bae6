"""What may stand between a policy's chunks and the robot, without any training."""

from smoothvla_ros.policies.chunk_filters.chunk_filter import ChunkFilter, ChunkFilterFactory
from smoothvla_ros.policies.chunk_filters.registry import chunk_filter_factory, try_chunk_filter

__all__ = ['ChunkFilter', 'ChunkFilterFactory', 'chunk_filter_factory', 'try_chunk_filter']
