"""Parameter files as the nodes will read them, and what in them no node would read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CAMERAS
from smoothvla_ros.nodes.base.node_settings import (
    DROPPED,
    NAMES,
    SETTINGS,
    misspelt,
    names_of,
    names_of_all,
    unknown_parameter,
)
from smoothvla_ros.robot_name import ROBOT
from smoothvla_ros.user_path import user_path

# They run in the arm's own namespace.
_OF_ROBOT = ('motion_guard', 'episodes', 'controller_manager')
# So begins the name of every camera's node.
_CAMERA = 'camera_'
# Every node that a launch file of ours starts, by its name: its executable.
_EXECUTABLES = (
    {NAMES.get(node, node): node for node in SETTINGS if node != 'camera'}
    | {f'{_CAMERA}{camera}': 'camera' for camera in CAMERAS}
    | {'commanded_jerk_monitor': 'jerk_monitor'}
)
# Of every node of ROS, or of all of ours but two.
_COMMON = {'use_sim_time', 'start_type_description_service', 'autostart'}
_QUALITY = 'qos_overrides'
_WILDCARDS = {'*': r'/\w+', '**': r'(/\w+)*'}


def parameters_of(
    node: str, configurations: Mapping[str, str], argument: str = 'config'
) -> dict[str, Any]:
    """Return a node's parameters in the file of an argument, as the node itself will read it.

    Raises UserError for a file that cannot be read, is no parameter file or, as `config`, has what
    none of our nodes would read.
    """
    sections = read_sections(configurations, argument)
    if argument == 'config':
        check_sections(sections, configurations, argument)
    return read_by(full_name(node, configurations), [sections])


def effective(
    node: str, own_file: Path | None, configurations: Mapping[str, str]
) -> dict[str, Any]:
    """Return a node's parameters in its own file and the file `config`, as the node reads both.

    Raises UserError as `parameters_of`.
    """
    return read_by(full_name(node, configurations), sections_of(own_file, configurations))


def sections_of(
    own_file: Path | None, configurations: Mapping[str, str]
) -> list[dict[str, dict[str, Any]]]:
    """Return what a node's own file and the file `config` say, in that order; checked."""
    files = [] if own_file is None else [{**configurations, 'config': str(own_file)}]
    found = []
    for one in (*files, configurations):
        sections = read_sections(one, 'config')
        check_sections(sections, one, 'config')
        found.append(sections)
    return found


def read_by(name: str, files: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return what a node of that full name reads of several files' sections, in their order.

    ROS makes one list of all files: what a later one says below a pattern stands where the pattern
    stood first, and of two patterns that match the one that stood first is the weaker.
    """
    sections: dict[str, dict[str, Any]] = {}
    for file in files:
        for pattern, values in file.items():
            sections.setdefault(pattern, {}).update(values)
    parameters: dict[str, Any] = {}
    for pattern, values in sections.items():
        if matches(pattern, name):
            parameters |= values
    return parameters


def read_sections(configurations: Mapping[str, str], argument: str) -> dict[str, dict[str, Any]]:
    """Return what the parameter file of an argument says: by pattern of full names, parameters.

    ROS takes `a: {b: {ros__parameters: ...}}` for `a/b`, and puts a / before it.
    Raises UserError for a file that cannot be read, or is no parameter file.
    """
    file = user_path(configurations[argument])
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise UserError(f'{argument}:={file}: {error.strerror}; give a parameter file') from error
    except (ValueError, yaml.YAMLError) as error:
        line = ' '.join(str(error).split())
        raise UserError(f'{argument}:={file} is not valid YAML: {line}') from error
    sections: dict[str, dict[str, Any]] = {}
    try:
        for pattern, parameters in _sections('', content or {}):
            sections.setdefault(pattern, {}).update(parameters)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f'{argument}:={file} is no parameter file; give one like config/train.yaml'
        ) from error
    return sections


def full_name(node: str, configurations: Mapping[str, str]) -> str:
    """Return a node's full name: below the launch's namespace, and that of a launch around it."""
    inside = configurations.get('namespace', '')
    around = '' if inside.startswith('/') else configurations.get('ros_namespace', '')
    parts = [around, inside, ROBOT if node in _OF_ROBOT else '', node]
    return '/' + '/'.join(part.strip('/') for part in parts if part.strip('/'))


def matches(pattern: str, name: str) -> bool:
    """Return whether a section's pattern is of the node with that full name, as ROS decides."""
    parts = pattern.lstrip('/').split('/')
    words = ''.join(_WILDCARDS.get(part, f'/{re.escape(part)}') for part in parts)
    return re.fullmatch(words, name, re.ASCII) is not None


def check_sections(
    sections: Mapping[str, Mapping[str, Any]], configurations: Mapping[str, str], argument: str
) -> None:
    """Raise UserError for a section that was meant for a node of ours and that it does not read.

    So are parameters that a section's nodes do not know. A file may speak of all our nodes,
    whichever of them the launch starts, of those in another namespace, where another arm has its
    own, and of other packages' nodes. An empty value, which ROS takes for something else than YAML,
    is refused too.
    """
    places = {node: full_name(node, configurations) for node in _EXECUTABLES}
    for pattern, parameters in sections.items():
        place = f'{argument}:={configurations[argument]}: {pattern}'
        space, _, last = pattern.rpartition('/')
        readers = {_EXECUTABLES[node] for node, name in places.items() if matches(pattern, name)}
        if not readers:
            why = _unread(space, last, parameters, places)
            if why:
                raise UserError(f'{place}: {why}')
            readers = _elsewhere(last)
        if not readers:
            continue
        known = _COMMON.union(*map(names_of, readers))
        for name, value in parameters.items():
            if name not in known and str(name).partition('.')[0] != _QUALITY:
                if last in _WILDCARDS and not misspelt(str(name), names_of_all()):
                    # Of another package's node, which the pattern is of, too.
                    continue
                raise UserError(f'{place}: {unknown_parameter(str(name), known)}')
            if value == []:
                raise UserError(f'{place}: {name}=[] {DROPPED}')
            if value is None:
                raise UserError(f"{place}: {name}=null is text for ROS; write '' for empty")


def _elsewhere(last: str) -> set[str]:
    """Return the executable of a node of that name which another launch or a person starts."""
    if last.startswith(_CAMERA):
        return {'camera'}
    return {_EXECUTABLES[last]} if last in _EXECUTABLES else set()


def _unread(space: str, last: str, parameters: Mapping[str, Any], places: Mapping[str, str]) -> str:
    """Say why no node reads a section that was meant for one, and what it should be called."""
    if last in places:
        if space:
            return ''
        name = places[last]
        return f'{last} runs as {name}, which is another name; write /**/{last}: or {name}:'
    if last in _WILDCARDS or last.startswith(_CAMERA):
        return ''
    near = misspelt(last, places)
    said = set(parameters) - _COMMON
    if not near and not (said and said <= names_of_all()):
        return ''
    meant = f'did you mean /**/{near}:?' if near else f'known: {", ".join(sorted(places))}'
    return f'there is no node {last!r}; {meant}'


def _sections(above: str, content: Mapping[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, body in content.items():
        if key == 'ros__parameters':
            if not above:
                raise ValueError('parameters of no node')
            yield above, dict(body or {})
        else:
            yield from _sections(f'{above}/{key if above else key.lstrip("/")}', body)
