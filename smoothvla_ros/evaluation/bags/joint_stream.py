"""The joints of one recorded topic as one clean stream, and what had to be put right for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.bags.publishers import OnePublisher, in_order_of_reception
from smoothvla_ros.nanoseconds import NANOSECOND_S
from smoothvla_ros.recordings import JOINT_STATE, Bag, JointSamples, Topic, joint_samples

# Samples this much late are sorted in; a greater step back is a clock that was set back.
_LATE_NS = 500_000_000
# Twelve days: a zero that lies further than that before everything else is no time.
_LONG_NS = 1_000_000_000_000_000
# Samples held back at the end of a block, in case a late one comes with the next.
_HELD_BACK = 64
# Blocks in which joints that were asked for may first appear: seconds of reading, minutes at 1 kHz.
_SEARCHED_BLOCKS = 64
_COMMANDED = '/commanded_joint_states'


@dataclass(frozen=True)
class StampedJoints:
    """N samples in order of their stamps.

    stamps_s: [N] s since the stream's origin.  positions: [N, n] rad.
    velocities: [N, n] rad/s, NaN where there are none.
    """

    stamps_s: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray


class JointStream:
    """Blocks of samples of the chosen joints; other joints are ignored by name.

    names: of the joints, in the order of every array.  origin_ns: of the earliest sample, before
    the clock was set back if it was.
    sorted, others, unstamped: how many samples came out of order, how many messages lacked the
    joints, and how many a stamp that the rest have: a driver may speak before it has the time.
    of_another: how many messages came from another publisher of the same joints.
    silent: joints left out because no position of theirs was a number at first.
    """

    def __init__(self, bag: Bag, topic: Topic, wanted: Sequence[str] | None = None) -> None:
        """Take an open recording; wanted: the joints' names, None for all that move together.

        Raises UserError where the topic has none of them, or one twice in a message.
        """
        self._place = f'{bag.path}: {topic.name}'
        messages = bag.messages([topic.name])
        self._blocks = joint_samples(messages)
        self.sorted = self.others = self.unstamped = self.messages = 0
        self._publisher = OnePublisher()
        block, first = self._first_block(wanted)
        # A joint without a sensor, as a wheel's position is, would take every sample with it.
        self.silent = _without_numbers(first) if wanted is None else ()
        chosen = first.names if wanted is None else tuple(wanted)
        self.names = tuple(name for name in chosen if name not in self.silent)
        self._require_once(first.names)
        pieces = [piece for piece in block if self._holds(piece)]
        self.reception_times = not any(piece.stamps_ns.any() for piece in pieces)
        stamps_ns = np.concatenate([self._stamps(piece) for piece in pieces])
        known = stamps_ns[stamps_ns != 0]
        # Simulated time may well begin at zero.
        self._zero_is_no_stamp = bool(len(known)) and int(known.min()) > _LONG_NS
        self._head = self._merged(block)
        stamps_ns = self._head.stamps_ns
        back = np.flatnonzero(np.diff(stamps_ns) < -_LATE_NS)
        self.origin_ns = int(stamps_ns[: back[0] + 1 if len(back) else None].min())

    def __iter__(self) -> Iterator[StampedJoints]:
        """Yield the samples, block by block; only once.

        Raises UserError where the recording is damaged.
        """
        held: StampedJoints | None = None
        for block in chain([self._head], map(self._merged, self._blocks)):
            whole = self._in_order(_after(held, self._samples(block)))
            cut = max(0, len(whole.stamps_s) - _HELD_BACK)
            held = _part(whole, slice(cut, None))
            yield _part(whole, slice(0, cut))
        if held is not None:
            yield held

    def _first_block(
        self, wanted: Sequence[str] | None
    ) -> tuple[tuple[JointSamples, ...], JointSamples]:
        """Return the first block with the joints wanted, and the samples in it that have them.

        What comes before it is of others: counted, and not kept.
        """
        known: dict[str, None] = {}
        for block in islice(self._blocks, _SEARCHED_BLOCKS):
            for piece in filter(_usable, block):
                if wanted is None or set(wanted) <= set(piece.names):
                    return block, piece
                known |= dict.fromkeys(piece.names)
            count = sum(len(piece.stamps_ns) for piece in block)
            self.messages += count
            self.others += count
        if not known or wanted is None:
            raise UserError(
                f'{self._place} has JointState without joint positions; record a topic that has '
                'name and position filled'
            )
        missing = [name for name in wanted if name not in known]
        if missing:
            raise UserError(
                f'{self._place} has no joint {missing[0]!r}; its joints are {", ".join(known)}'
            )
        raise UserError(
            f'{self._place} has no message with all of {", ".join(wanted)}: they come from '
            'several publishers; choose the joints of one'
        )

    def _require_once(self, recorded: tuple[str, ...]) -> None:
        for name in self.names:
            if recorded.count(name) > 1:
                raise UserError(
                    f'{self._place} has joint {name!r} {recorded.count(name)} times in a message, '
                    'and which one is meant is not known; give each joint a name of its own, or '
                    'choose others, as with joints=a,b'
                )

    @property
    def of_another(self) -> int:
        return self._publisher.ignored

    def _holds(self, block: JointSamples) -> bool:
        return block.positions is not None and set(self.names) <= set(block.names)

    def _stamps(self, block: JointSamples) -> np.ndarray:
        return block.received_ns if self.reception_times else block.stamps_ns

    def _merged(self, block: tuple[JointSamples, ...]) -> JointSamples:
        """Return what a block has of the chosen joints as it came, whatever the order of names."""
        self.messages += sum(len(piece.stamps_ns) for piece in block)
        pieces = [self._stamped(piece) for piece in block if self._holds(piece)]
        self.others += sum(len(piece.stamps_ns) for piece in block if not self._holds(piece))
        chosen = [self._chosen(piece) for piece in self._publisher.of(pieces)]
        if len(chosen) == 1:
            return chosen[0]
        if not chosen:
            nothing, none = np.empty((0, len(self.names))), np.empty(0, dtype=np.int64)
            return JointSamples(self.names, none, none, nothing, nothing)
        order = in_order_of_reception(chosen)
        return JointSamples(
            self.names,
            np.concatenate([piece.stamps_ns for piece in chosen])[order],
            np.concatenate([piece.received_ns for piece in chosen])[order],
            np.concatenate([piece.positions for piece in chosen])[order],
            np.concatenate([piece.velocities for piece in chosen])[order],
        )

    def _stamped(self, piece: JointSamples) -> JointSamples:
        """Return the messages that have a stamp, with the stamps that count."""
        stamps_ns = self._stamps(piece)
        if not self._zero_is_no_stamp or stamps_ns.all():
            return replace(piece, stamps_ns=stamps_ns)
        known = stamps_ns != 0
        self.unstamped += int(np.count_nonzero(~known))
        return JointSamples(
            piece.names,
            stamps_ns[known],
            piece.received_ns[known],
            None if piece.positions is None else piece.positions[known],
            None if piece.velocities is None else piece.velocities[known],
        )

    def _chosen(self, piece: JointSamples) -> JointSamples:
        """Return the chosen joints' columns, with velocities of NaN where there are none."""
        columns = [piece.names.index(name) for name in self.names]
        assert piece.positions is not None
        positions = piece.positions[:, columns]
        velocities = (
            np.full_like(positions, np.nan)
            if piece.velocities is None
            else piece.velocities[:, columns]
        )
        return replace(piece, names=self.names, positions=positions, velocities=velocities)

    def _samples(self, block: JointSamples) -> StampedJoints:
        assert block.positions is not None
        assert block.velocities is not None
        stamps_s = (block.stamps_ns - self.origin_ns) * NANOSECOND_S
        return StampedJoints(stamps_s, block.positions, block.velocities)

    def _in_order(self, samples: StampedJoints) -> StampedJoints:
        """Sort samples that are a little late; leave a clock that was set back as it is."""
        steps = np.diff(samples.stamps_s)
        if not (steps < 0).any():
            return samples
        pieces = np.split(
            np.arange(len(samples.stamps_s)),
            np.flatnonzero(steps < -_LATE_NS * NANOSECOND_S) + 1,
        )
        order = np.concatenate([p[np.argsort(samples.stamps_s[p], kind='stable')] for p in pieces])
        self.sorted += int(np.count_nonzero(np.diff(order) < 0))
        return _part(samples, order)


def _usable(piece: JointSamples) -> bool:
    return bool(piece.names) and piece.positions is not None


def _without_numbers(piece: JointSamples) -> tuple[str, ...]:
    """Return the joints of which no position is finite; none where that holds for all."""
    assert piece.positions is not None
    known = np.isfinite(piece.positions).any(axis=0)
    if not known.any():
        return ()
    return tuple(name for name, finite in zip(piece.names, known, strict=True) if not finite)


def _after(held: StampedJoints | None, samples: StampedJoints) -> StampedJoints:
    if held is None:
        return samples
    return StampedJoints(
        np.concatenate([held.stamps_s, samples.stamps_s]),
        np.concatenate([held.positions, samples.positions]),
        np.concatenate([held.velocities, samples.velocities]),
    )


def _part(samples: StampedJoints, index: slice | np.ndarray) -> StampedJoints:
    return StampedJoints(
        samples.stamps_s[index], samples.positions[index], samples.velocities[index]
    )


def require_joint_topic(bag: Bag, name: str | None) -> Topic:
    """Return the JointState topic to analyse; raises UserError as `Bag.require` does.

    Without a name what our guard commands is passed over where something was measured.
    """
    found = [topic.name for topic in bag.of_type(JOINT_STATE)]
    measured = [topic for topic in found if not topic.endswith(_COMMANDED)]
    if name is None and len(measured) == 1:
        (name,) = measured
    return bag.require(JOINT_STATE, name)
