"""The joint states of one arm, drained and decoded a block at a time.

At 1 kHz a message of Python's own for every sample costs more than the jerk of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.recordings.joint_state_layout import JointStateLayout
from smoothvla_ros.recordings.joint_states import MOST_LAYOUTS, JointSamples, decoded


@dataclass(frozen=True)
class ArmSample:
    """positions: [n] rad.  velocities: [n] rad/s, NaN for none, or None."""

    stamp_ns: int
    positions: np.ndarray
    velocities: np.ndarray | None


class JointStateStream:
    """Samples of an arm's joints, in the order of its joints, whatever else is in the messages."""

    def __init__(
        self, node: Node, topic: str, profile: QoSProfile, joints: tuple[str, ...], name: str
    ) -> None:
        """joints: of the arm, [n].  name: of the topic, as messages to people call it."""
        self._subscription = DrainedSubscription(node, JointState, topic, profile, raw=True)
        self._joints = joints
        self._name = name
        self._layouts: list[JointStateLayout] = []
        # Where the arm's joints are in messages of these names; None for another's joints.
        self._columns: dict[tuple[str, ...], np.ndarray | None] = {}

    def take_all(self) -> tuple[list[ArmSample], list[str]]:
        """Return what waits, in order, and why messages could not be used."""
        contents = list(self._subscription.take_all())
        if not contents:
            return [], []
        try:
            pieces = list(decoded(contents, np.arange(len(contents)), self._layouts))
        except UserError:
            # Another middleware may write messages otherwise; its own reader knows how.
            pieces = [_read(content, index) for index, content in enumerate(contents)]
        found: list[tuple[int, ArmSample]] = []
        unusable: list[str] = []
        for piece in pieces:
            try:
                columns = self._columns_in(piece.names)
            except UserError as error:
                unusable.append(str(error))
                continue
            if columns is None:
                continue
            places = piece.received_ns.tolist()
            usable = np.ones(len(places), bool)
            for row in _rows_without_positions(piece):
                if why := self._without_positions(contents[places[row]]):
                    unusable.append(why)
                    usable[row] = False
            if piece.positions is None:
                continue
            positions = piece.positions[:, columns]
            velocities = None if piece.velocities is None else piece.velocities[:, columns]
            stamps_ns = piece.stamps_ns.tolist()
            for row in np.flatnonzero(usable).tolist():
                speeds = None if velocities is None else velocities[row]
                found.append((places[row], ArmSample(stamps_ns[row], positions[row], speeds)))
        found.sort(key=lambda entry: entry[0])
        return [sample for _, sample in found], unusable

    def _columns_in(self, names: tuple[str, ...]) -> np.ndarray | None:
        if names not in self._columns:
            if len(self._columns) >= MOST_LAYOUTS:
                self._columns.clear()
            self._columns[names] = self._columns_of(names)
        return self._columns[names]

    def _without_positions(self, content: bytes) -> str:
        """Return what is wrong with a message that has no position for each joint, or nothing."""
        message = deserialize_message(content, JointState)
        if len(message.position) == len(message.name):
            return ''
        return (
            f'{self._name} has {len(message.position)} positions for {len(message.name)} names; '
            'its publisher must fill position'
        )

    def _columns_of(self, names: tuple[str, ...]) -> np.ndarray | None:
        index = {name: column for column, name in enumerate(names)}
        missing = [name for name in self._joints if name not in index]
        if len(missing) == len(self._joints):
            return None
        if missing:
            raise UserError(
                f'{self._name} has no joint {missing[0]!r}; set the parameter robot to the file '
                'of this arm'
            )
        return np.array([index[name] for name in self._joints])


def _rows_without_positions(piece: JointSamples) -> list[int]:
    """Return which messages of a piece may have none: among others they are rows of NaN."""
    if piece.positions is None:
        return list(range(len(piece.received_ns)))
    if not np.isnan(piece.positions[:, 0]).any():
        return []
    rows: list[int] = np.flatnonzero(np.isnan(piece.positions).all(axis=1)).tolist()
    return rows


def _read(content: bytes, index: int) -> JointSamples:
    message = deserialize_message(content, JointState)
    joints = len(message.name)

    def numbers(values: list[float]) -> np.ndarray | None:
        return np.array([values]) if joints and len(values) == joints else None

    return JointSamples(
        tuple(message.name),
        np.array([to_nanoseconds(message.header.stamp)]),
        np.array([index]),
        numbers(message.position),
        numbers(message.velocity),
    )
