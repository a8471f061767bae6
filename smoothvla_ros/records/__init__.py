"""The plain records that the layers hand to each other. NumPy only; nothing is computed here."""

from smoothvla_ros.records.episode import ChunkRecord, Episode, EpisodeName, EpisodeRequest
from smoothvla_ros.records.observation import Observation
from smoothvla_ros.records.trajectory import Trajectory

__all__ = [
    'ChunkRecord',
    'Episode',
    'EpisodeName',
    'EpisodeRequest',
    'Observation',
    'Trajectory',
]
