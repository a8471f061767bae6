"""RViz ignores a name that it does not know, in silence: ours are held against its own sources."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from smoothvla_ros.kinematics.robot import panda_description

ROOT = Path(__file__).parents[2]
# Read from RViz 2's property constructors and plugin descriptions; `source` says which commit.
KNOWN = json.loads((Path(__file__).parent / 'data' / 'rviz_names.json').read_text())
# What rviz_common saves of every display, and the parts of a vector.
ALWAYS = {'Class', 'Name', 'Enabled', 'Value'}
VECTOR = {'X', 'Y', 'Z'}


def unknown(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield every class and property of a configuration that RViz does not have."""
    manager = config['Visualization Manager']
    yield from set(manager['Global Options']) - set(KNOWN['global'])
    view = manager['Views']['Current']
    for item in (*config['Panels'], *manager['Tools'], *manager['Displays'], view):
        if item['Class'] not in KNOWN['classes']:
            yield item['Class']
        properties = KNOWN['properties'].get(item['Class'])
        for name, value in item.items():
            if name not in ALWAYS and name not in (properties or ()):
                yield f'{item["Class"]}: {name}'
            if isinstance(value, dict):
                inner = VECTOR if name == 'Focal Point' else ALWAYS | set(KNOWN['topic'])
                yield from (f'{item["Class"]}: {name}: {key}' for key in set(value) - inner)


@pytest.mark.parametrize('path', sorted(ROOT.glob('rviz/*.rviz')), ids=lambda path: path.name)
def test_rviz_knows_every_name(path):
    """Classes, properties of displays and view, global options, quality of service."""
    assert list(unknown(yaml.safe_load(path.read_text()))) == []


def test_a_wrong_name_is_found():
    """A class of ROS 1, a misspelt property, a misspelt policy, an unknown option."""
    config = yaml.safe_load((ROOT / 'rviz' / 'jerk_monitor.rviz').read_text())
    manager = config['Visualization Manager']
    manager['Displays'][2]['Class'] = 'rviz/MarkerArray'
    manager['Displays'][1]['Alfa'] = 1
    manager['Displays'][3]['Topic']['Reliability'] = 'Reliable'
    manager['Global Options']['Frame'] = 'map'
    assert sorted(unknown(config)) == [
        'Frame',
        'rviz/MarkerArray',
        'rviz/MarkerArray: Topic',
        'rviz_default_plugins/Image: Topic: Reliability',
        'rviz_default_plugins/RobotModel: Alfa',
    ]


def test_the_monitors_markers_are_shown():
    """Topic and frame of the file are those that the monitor publishes for the Panda."""
    text = (ROOT / 'rviz' / 'jerk_monitor.rviz').read_text()
    assert 'Value: robot_0/jerk_markers' in text
    assert f'Fixed Frame: {panda_description().base_frame}' in text


@pytest.mark.parametrize('path', sorted(ROOT.glob('rviz/*.rviz')), ids=lambda path: path.name)
def test_topics_are_in_the_namespace_that_rviz_is_in(path):
    """An absolute name would show nothing of a graph that has a namespace."""
    displays = yaml.safe_load(path.read_text())['Visualization Manager']['Displays']
    topics = [
        value['Value']
        for display in displays
        for name, value in display.items()
        if name.endswith('Topic')
    ]
    assert len(topics) == 4
    assert not [topic for topic in topics if topic.startswith('/')]
