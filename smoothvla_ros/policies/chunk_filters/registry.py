"""Chunk filters by name, from plain settings: what a configuration file can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smoothvla_ros.configuration import from_mapping
from smoothvla_ros.policies.chunk_filters.chunk_filter import ChunkFilterFactory
from smoothvla_ros.policies.chunk_filters.low_pass import LowPass, LowPassSettings
from smoothvla_ros.policies.chunk_filters.own_filter import OwnFilter, made_up_chunk
from smoothvla_ros.policies.chunk_filters.temporal_ensemble import (
    TemporalEnsemble,
    TemporalEnsembleSettings,
)
from smoothvla_ros.policies.policy import PolicySpec
from smoothvla_ros.user_function import fresh_copy, user_function

KIND = 'filter'
_LOW_PASS, _ENSEMBLE = KINDS = ('low_pass', 'temporal_ensemble')


def chunk_filter_factory(values: Mapping[str, Any], place: str) -> ChunkFilterFactory:
    """Return what makes the filter that `values` describe; `place` names them in an error.

    values: under 'filter' its name, or ``module:function`` of one's own, which is called with the
    other values by keyword for every episode; the rest are its settings.
    Raises UserError for a filter or a setting that does not exist; what it makes raises one for an
    own filter that fails or whose answer is no chunk.
    """
    settings = _settings(values)
    kind = str(values.get(KIND))
    if kind == _LOW_PASS:
        low_pass = from_mapping(LowPassSettings, settings, place)
        return lambda: LowPass(low_pass)
    if kind == _ENSEMBLE:
        ensemble = from_mapping(TemporalEnsembleSettings, settings, place)
        return lambda: TemporalEnsemble(ensemble)
    own = user_function(kind, f'{place}: {KIND}', KINDS)
    return lambda: OwnFilter(own, settings, f'{place}: {KIND}={kind!r}')


def try_chunk_filter(values: Mapping[str, Any], place: str, spec: PolicySpec) -> None:
    """Give a made-up chunk to the filter that `values` describe, before hours of episodes are run.

    spec: of the policy whose chunks it is to filter; the made-up one has their shape.
    Raises UserError as `chunk_filter_factory` does, and as what that makes.
    """
    chunk_filter_factory(values, place)
    kind = str(values.get(KIND))
    if kind not in KINDS:
        own = fresh_copy(kind, f'{place}: {KIND}')
        tried = OwnFilter(own, _settings(values), f'{place}: {KIND}={kind!r} on a made-up chunk')
        tried(made_up_chunk(spec.chunk, spec.action_dimension))


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != KIND}
