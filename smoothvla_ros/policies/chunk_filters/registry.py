"""Chunk filters by name, from plain settings: what a configuration file can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from smoothvla_ros.configuration import from_mapping
from smoothvla_ros.own_function import own_function
from smoothvla_ros.policies.chunk_filters.chunk_filter import ChunkFilterFactory
from smoothvla_ros.policies.chunk_filters.low_pass import LowPass, LowPassSettings
from smoothvla_ros.policies.chunk_filters.temporal_ensemble import (
    TemporalEnsemble,
    TemporalEnsembleSettings,
)

KIND = 'filter'


def chunk_filter_factory(values: Mapping[str, Any], place: str) -> ChunkFilterFactory:
    """Return what makes the filter that `values` describe; `place` names them in an error.

    values: under 'filter' its name, or ``module:function`` of one's own, which is called with the
    other values by keyword for every episode; the rest are its settings.
    Raises UserError for a filter or a setting that does not exist.
    """
    settings = {name: value for name, value in values.items() if name != KIND}
    kind = str(values.get(KIND))
    if kind == 'low_pass':
        low_pass = from_mapping(LowPassSettings, settings, place)
        return lambda: LowPass(low_pass)
    if kind == 'temporal_ensemble':
        ensemble = from_mapping(TemporalEnsembleSettings, settings, place)
        return lambda: TemporalEnsemble(ensemble)
    own = own_function(kind, f'{place}: {KIND}', ('low_pass', 'temporal_ensemble'))
    return cast(ChunkFilterFactory, lambda: own(**settings))
