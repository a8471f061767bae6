"""Records every topic of the graph into one rosbag2 folder, where ROS 2's own recorder is not."""

from __future__ import annotations

import importlib
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING, Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.topics.message_definitions import message_definition
from smoothvla_ros.recordings.writer import BagWriter
from smoothvla_ros.user_path import user_path

# Of what this node says itself, and of parameters, nothing can be computed again.
_LEFT_OUT = ('/rosout', '/parameter_events')
# What ros2_control finds out about itself. Some of it is published for a listener alone, with every
# name and once a control period.
_LEFT_OUT_PACKAGE = 'pal_statistics_msgs/'


@dataclass(frozen=True)
class RecorderConfig:
    """Where to, and what is left out."""

    recording: str = setting('', 'Folder of the recording; empty is recordings/DATE_TIME')
    poll_period_s: float = setting(
        0.2, 'Time between two looks for new topics, s', minimum=0.01, maximum=10.0
    )
    depth: int = setting(
        1000, 'Messages a topic that may wait to be written', minimum=1, maximum=100000
    )

    def __post_init__(self) -> None:
        """Raise UserError for a value out of range."""
        validate(self, 'recorder')


def recording_folder(setting: str) -> Path:
    """Return the folder of a recording that begins now."""
    return user_path(setting or f'recordings/{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}')


class BagRecorder(AutostartNode):
    """Subscribes to each topic as it appears, as its publishers offer it, and writes what comes.

    Messages are written as they are, without being decoded, under the time of their reception.
    """

    # The controller of an arm alone fills several topics at 1 kHz.
    drains_topics = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__('recorder', **arguments)
        # `stop` runs in the process's own thread, while the executor still hears what is said.
        self._lock = threading.Lock()
        self._writer: BagWriter | None = None
        self._writes = False

    def configure(self) -> None:
        config = declare(self, RecorderConfig)
        self._path = recording_folder(config.recording)
        self._depth = config.depth
        self._recorded: set[str] = set()
        self._refused: set[str] = set()
        self._diagnostics = Diagnostics(self)
        self._writer = BagWriter(self._path)
        self._timer = self.create_timer(config.poll_period_s, self._look, autostart=False)

    def activate(self) -> None:
        self._writes = True
        self._look()
        self._timer.reset()

    def deactivate(self) -> None:
        self._timer.cancel()
        self._writes = False

    def stop(self) -> None:
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
        if writer is not None:
            count = sum(writer.counts.values())
            self.get_logger().info(f'recorded {count} messages: {writer.path}')

    def _look(self) -> None:
        with self._lock:
            if self._writer is not None:
                self._look_for_topics(self._writer)

    def _look_for_topics(self, writer: BagWriter) -> None:
        for topic, types in self.get_topic_names_and_types():
            if topic in self._recorded or topic in _LEFT_OUT or topic in self._refused:
                continue
            if types[0].startswith(_LEFT_OUT_PACKAGE) or not self.count_publishers(topic):
                continue
            try:
                self._record(writer, topic, types)
            except UserError as error:
                self._refused.add(topic)
                self._diagnostics.report(topic, WARNING, str(error))

    def _record(self, writer: BagWriter, topic: str, types: list[str]) -> None:
        if len(types) != 1:
            raise UserError(f'{topic} has {len(types)} types, {", ".join(types)}: not recorded')
        definition, digest = message_definition(types[0])
        writer.add_topic(topic, types[0], definition, digest)
        self._recorded.add(topic)
        self.create_subscription(
            _message_class(types[0]),
            topic,
            partial(self._write, topic),
            self._offered(topic),
            raw=True,
        )
        known = ', '.join(sorted(self._recorded))
        self._diagnostics.report('recording', OK, f'{self._path}: {known}')

    def _write(self, topic: str, content: bytes) -> None:
        with self._lock:
            if self._writer is not None and self._writes:
                self._writer.write(topic, self.get_clock().now().nanoseconds, content)

    def _offered(self, topic: str) -> QoSProfile:
        """Return what all of a topic's publishers offer: the strictest that still matches."""
        offers = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self._depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )


def _message_class(message_type: str) -> type:
    package, kind, name = message_type.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.{kind}'), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f'{message_type} cannot be recorded: its Python package is not installed'
        ) from error


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(BagRecorder)


if __name__ == '__main__':
    sys.exit(main())
