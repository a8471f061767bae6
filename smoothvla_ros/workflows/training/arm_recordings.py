"""Labelled episodes of a real arm, from recordings of its deployment, for a trainer.

What one episode is made of, and where in the bag it stands:

* `episode_label`: when it was and what became of it (`nodes/episodes.py`);
* `rollout_step`: what the policy saw, which tokens it chose, how likely they were;
* `action_chunk`: what those tokens ask the arm to do, and when they were sent;
* `motion_guard/state`: which chunks the guard took;
* `joint_states`: how the arm really moved (`arm_joint_states.py`);
* `policy_in_use`: whose weights these were;
* `episode_state`: where the arm was the twin's, which scene it played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smoothvla_ros.control.live.episode_keeper import DISCARD, OUTCOMES, SUCCESS
from smoothvla_ros.control.lock_step.decoded_messages import decision_of, unpacked
from smoothvla_ros.control.lock_step.protocol import Decision
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import CONTROL_PERIOD_S
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.recordings import JOINT_STATE, Bag
from smoothvla_ros.recordings.messages import MessageDecoder, rgb_image
from smoothvla_ros.records import EpisodeName, Trajectory
from smoothvla_ros.simulation.splits import require_train
from smoothvla_ros.workflows.training.arm_joint_states import GUARD, arm_topic, motions
from smoothvla_ros.workflows.training.executed_chunks import (
    ExecutedChunks,
    Incomplete,
    SentChunk,
    executed_chunks,
    sample_rate_hz,
    sampled_motion,
)

LABEL = 'smoothvla_ros/msg/EpisodeLabel'
STEP = 'smoothvla_ros/msg/RolloutStep'
CHUNK = 'smoothvla_ros/msg/ActionChunk'
IN_USE = 'smoothvla_ros/msg/PolicyUpdate'
SCENE = 'smoothvla_ros/msg/EpisodeState'
_NEEDED = (LABEL, STEP, CHUNK, GUARD, JOINT_STATE)


@dataclass(frozen=True)
class ArmRollout:
    """One labelled episode.

    decisions: one for each of `chunks.executed`.  temperature: at which they were drawn.
    joint_rate_hz: how often the joints were recorded.
    """

    episode_id: str
    instruction: str
    success: bool
    temperature: float
    decisions: list[Decision]
    chunks: ExecutedChunks
    trajectory: Trajectory
    joint_rate_hz: float


@dataclass(frozen=True)
class _Heard:
    """The last label of an episode in one recording, and when it was received."""

    label: Any
    received_ns: int
    path: Path


@dataclass
class ArmRecordings:
    """What recordings hold.

    left_out: how many episodes of each reason.  lost: why, by episode.  places: recording of each
    of `rollouts`.
    """

    rollouts: list[ArmRollout] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    lost: dict[str, str] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)

    def add(self, rollout: ArmRollout, path: Path) -> None:
        """Take an episode; raises UserError for one that is there already."""
        name = rollout.episode_id
        if name in self.places:
            raise UserError(
                f'episode {name} is in {self.places[name]} and in {path}, and would be learnt from '
                'twice; give each recording once'
            )
        self.places[name] = path
        self.rollouts.append(rollout)

    def line(self) -> str:
        """Return what was found and what was left out, in one line."""
        good = sum(rollout.success for rollout in self.rollouts)
        text = f'{len(self.rollouts)} episodes: {good} success, {len(self.rollouts) - good} failure'
        left = [f'{count} {why}' for why, count in sorted(self.left_out.items())]
        left += [f'{name} ({why})' for name, why in sorted(self.lost.items())]
        return f'{text}; left out: {", ".join(left)}' if left else text


def read_recordings(
    paths: Sequence[Path],
    sha256: str,
    arm: Arm,
    joint_states: str | None = None,
    widest_s: float = CONTROL_PERIOD_S,
) -> ArmRecordings:
    """Return the labelled episodes of all recordings, in order of their names.

    sha256: `weights_folder.folder_sha256` of the weights that learn from them.  joint_states: see
    `arm_joint_states.arm_topic`.  widest_s: see `executed_chunks.sampled_motion`.
    Raises UserError for a recording without what is needed, of other weights, of the twin's
    held-out scenes, or greedy: a rollout without exploration teaches nothing; and for an episode
    that is in two of them.  One that is only labelled in a second has the label that came last.
    """
    found = ArmRecordings()
    heard: list[dict[str, _Heard]] = []
    for path in paths:
        with Bag(path) as bag:
            _require(bag, sha256)
            heard.append(_labels(bag))
    labels = _last_labels(heard)
    for label in labels.values():
        _count(label, found)
    for path, own in zip(paths, heard, strict=True):
        with Bag(path) as bag:
            _read(bag, arm, joint_states, [labels[name] for name in own], found, widest_s)
    # The latched label of an episode is recorded again where only the recorder was started anew.
    found.lost = {name: why for name, why in found.lost.items() if name not in found.places}
    found.rollouts.sort(key=lambda rollout: rollout.episode_id)
    return found


def _require(bag: Bag, sha256: str) -> None:
    for message_type in _NEEDED:
        if not bag.of_type(message_type):
            raise UserError(
                f'{bag.path} has no {message_type}; record a deployment with '
                'deploy.launch.py record:=true, and label its episodes'
            )
    decoder = MessageDecoder(bag)
    for topic, _, content in bag.messages([t.name for t in bag.of_type(SCENE)]):
        _require_train(bag, decoder.decode(topic, content))
    hashes = {
        decoder.decode(topic, content).sha256
        for topic, _, content in bag.messages([t.name for t in bag.of_type(IN_USE)])
    }
    if hashes != {sha256}:
        names = ', '.join(f'{name[:12]}…' for name in sorted(hashes)) or 'none that it names'
        raise UserError(
            f'{bag.path} was recorded with other weights ({names}) than those that are to learn '
            f'from it ({sha256[:12]}…); give the policy that was deployed, and record anew after '
            'each update'
        )


def _require_train(bag: Bag, state: Any) -> None:
    """Raise UserError for a scene of the twin that evaluation is to find new."""
    if not state.suite:
        return
    _, _, init_state, scene_seed = state.episode_id.split('/')
    try:
        require_train(EpisodeName(state.suite, state.task, int(init_state), int(scene_seed)))
    except UserError as error:
        raise UserError(f'{bag.path}: {error}; deploy the twin with split:=train') from error


def _last_labels(recordings: Sequence[Mapping[str, _Heard]]) -> dict[str, Any]:
    """Return the label of each episode that was received last, in whichever recording.

    Raises UserError where two recordings have both played an episode and label it differently.
    """
    labels = {}
    for name in dict.fromkeys(name for heard in recordings for name in heard):
        of_name = [heard[name] for heard in recordings if name in heard]
        said = [item for item in of_name if item.label.outcome]
        if len({item.label.outcome for item in said}) > 1:
            played = {item.label.outcome: item.path for item in said if _played(item)}
            if len(played) > 1:
                places = ' and '.join(f'{what} in {path}' for what, path in played.items())
                raise UserError(f'episode {name} is labelled {places}; give one of the recordings')
        labels[name] = max(of_name, key=lambda item: item.received_ns).label
    return labels


def _played(heard: _Heard) -> bool:
    """Whether a recording was made while the episode was played, not only while it was labelled."""
    first = to_nanoseconds(heard.label.first_stamp)
    last = to_nanoseconds(heard.label.last_stamp)
    with Bag(heard.path) as bag:
        _, taken = _chunks(bag, heard.label.robot)
    return any(first <= stamp_ns <= last for stamp_ns, *_ in taken)


def _count(label: Any, found: ArmRecordings) -> None:
    """Count an episode that is left out for its label."""
    if not label.outcome:
        found.left_out['unlabelled'] += 1
    elif label.outcome == DISCARD:
        found.left_out['discarded'] += 1
    elif label.outcome not in OUTCOMES:
        found.left_out[f'labelled {label.outcome!r}'] += 1


def _read(
    bag: Bag,
    arm: Arm,
    joint_states: str | None,
    labels: Sequence[Any],
    found: ArmRecordings,
    widest_s: float,
) -> None:
    wanted = [label for label in labels if label.outcome in OUTCOMES and label.outcome != DISCARD]
    for robot in sorted({label.robot for label in wanted}):
        own = [label for label in wanted if label.robot == robot]
        topic = arm_topic(bag, robot, arm, joint_states)
        for label, rollout in _of_robot(bag, robot, own, arm, topic, widest_s):
            if isinstance(rollout, Incomplete):
                found.lost[label.episode_id] = str(rollout)
            else:
                found.add(rollout, bag.path)


def _labels(bag: Bag) -> dict[str, _Heard]:
    """Return the last label of each episode."""
    decoder = MessageDecoder(bag)
    labels = {}
    for topic, received_ns, content in bag.messages([t.name for t in bag.of_type(LABEL)]):
        label = decoder.decode(topic, content)
        labels[label.episode_id] = _Heard(label, received_ns, bag.path)
    return labels


def _of_robot(
    bag: Bag, robot: str, labels: Sequence[Any], arm: Arm, joint_states: str, widest_s: float
) -> Iterator[tuple[Any, ArmRollout | Incomplete]]:
    spans = [
        (to_nanoseconds(label.first_stamp), to_nanoseconds(label.last_stamp)) for label in labels
    ]
    sent, taken = _chunks(bag, robot)
    played = [_executed(sent, taken, span) for span in spans]
    wanted = {
        (chunk.stamp_ns, chunk.epoch)
        for part in played
        if isinstance(part, ExecutedChunks)
        for chunk in part.chunks
    }
    decisions, greedy = _decisions(bag, robot, wanted)
    if greedy:
        # Before any episode is found incomplete, which would hide the reason.
        raise UserError(_greedy(bag, robot))
    moved = motions(bag, joint_states, spans, arm)
    for label, chunks, motion in zip(labels, played, moved, strict=True):
        if isinstance(chunks, Incomplete):
            yield label, chunks
            continue
        try:
            known = [decisions[chunk.stamp_ns, chunk.epoch] for chunk in chunks.chunks]
        except KeyError:
            yield label, Incomplete('a rollout_step is missing')
            continue
        try:
            trajectory = sampled_motion(chunks, *motion, arm, widest_s)
        except Incomplete as reason:
            yield label, reason
            continue
        temperatures = {decision.temperature for decision in known}
        if temperatures & {0.0}:
            raise UserError(_greedy(bag, label.episode_id))
        if len(temperatures) > 1:
            yield label, Incomplete('the temperature changed within it')
            continue
        yield (
            label,
            ArmRollout(
                label.episode_id,
                known[0].observation.instruction,
                label.outcome == SUCCESS,
                temperatures.pop(),
                known,
                chunks,
                trajectory,
                sample_rate_hz(motion[0]),
            ),
        )


def _named(bag: Bag, message_type: str, robot: str, ending: str) -> list[str]:
    """Return the topics of a type that are a robot's, in whatever namespace it was recorded."""
    ending = f'/{robot}/{ending}'
    return [topic.name for topic in bag.of_type(message_type) if topic.name.endswith(ending)]


def _greedy(bag: Bag, who: str) -> str:
    return (
        f'{bag.path}: {who} was played greedily, and what never tries anything else teaches '
        'nothing; deploy with temperature:=0.3'
    )


def _chunks(bag: Bag, robot: str) -> tuple[list[SentChunk], list[tuple[int, int, int, int]]]:
    """Return the chunks that were sent, and (stamp, epoch, seq, chunks so far) of the guard."""
    decoder = MessageDecoder(bag)
    sent, taken = [], []
    chunk_topics = _named(bag, CHUNK, robot, 'action_chunk')
    state_topics = _named(bag, GUARD, robot, 'motion_guard/state')
    for topic, _, content in bag.messages([*chunk_topics, *state_topics]):
        message = decoder.decode(topic, content)
        if topic in state_topics:
            stamp = to_nanoseconds(message.header.stamp)
            taken.append((stamp, int(message.epoch), int(message.seq), int(message.chunks)))
        elif not message.refusal:
            sent.append(
                SentChunk(
                    to_nanoseconds(message.header.stamp),
                    to_nanoseconds(message.observation_stamp),
                    int(message.epoch),
                    int(message.seq),
                    float(message.dt),
                    unpacked(message.actions, message.horizon, message.dimension),
                )
            )
    return sent, taken


def _decisions(
    bag: Bag, robot: str, wanted: Collection[tuple[int, int]]
) -> tuple[dict[tuple[int, int], Decision], bool]:
    """Return the wanted decisions by stamp of the observation and epoch of the policy.

    Beside them whether there are any of this robot and all of them greedy.  Of the others nothing
    is kept: their images would fill the memory.
    """
    decoder = MessageDecoder(bag)
    decisions = {}
    temperatures = set()
    for topic, _, content in bag.messages([t.name for t in bag.of_type(STEP)]):
        message = decoder.decode(topic, content)
        if message.robot != robot:
            continue
        temperatures.add(float(message.temperature))
        key = (to_nanoseconds(message.header.stamp), int(message.epoch))
        if key in wanted:
            decisions[key] = decision_of(message, rgb_image)
    return decisions, temperatures == {0.0}


def _executed(
    sent: Sequence[SentChunk],
    taken: Sequence[tuple[int, int, int, int]],
    span: tuple[int, int],
) -> ExecutedChunks | Incomplete:
    try:
        return executed_chunks(sent, taken, *span)
    except Incomplete as reason:
        return reason
