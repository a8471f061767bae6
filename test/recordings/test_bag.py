"""Recordings of either storage are read; every way in which one is bad has its own line."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from bags import STORE, serialised, write_bag
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.bags.joint_stream import require_joint_topic
from smoothvla_ros.recordings import JOINT_STATE, Bag, joint_samples
from smoothvla_ros.recordings.writer import BagWriter

NAMES = ['a', 'b']
TIME = np.arange(500) * 0.01
POSITIONS = np.stack([np.sin(TIME), np.cos(TIME)], axis=1)


def storage_file(folder: Path) -> Path:
    return next(f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3'))


@pytest.fixture(params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=['mcap', 'sqlite3'])
def bag(request, tmp_path) -> Path:
    return write_bag(tmp_path / 'bag', TIME, POSITIONS, NAMES, plugin=request.param)


def contents(path: Path) -> np.ndarray:
    with Bag(path) as opened:
        topic = opened.require(JOINT_STATE)
        blocks = [block for (block,) in joint_samples(opened.messages([topic.name]))]
    return np.concatenate([block.positions for block in blocks])


def error_of(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        contents(path)
    text = str(caught.value)
    assert '\n' not in text
    assert str(path.name) in text
    return text


def test_folder_file_and_folder_without_metadata_hold_the_same(bag):
    """The folder, its one file, and the folder of a recorder that wrote no metadata."""
    np.testing.assert_array_equal(contents(bag), POSITIONS)
    np.testing.assert_array_equal(contents(storage_file(bag)), POSITIONS)
    (bag / 'metadata.yaml').unlink()
    np.testing.assert_array_equal(contents(bag), POSITIONS)


def test_messages_come_in_order_of_reception(tmp_path):
    """A file that stores them in another order is sorted."""
    shuffled = np.random.default_rng(0).permutation(len(TIME))
    bag = write_bag(
        tmp_path / 'bag', TIME[shuffled], POSITIONS[shuffled], NAMES, received_s=TIME[shuffled]
    )
    np.testing.assert_array_equal(contents(bag), POSITIONS)


@pytest.mark.parametrize('share', [0.02, 0.5, 0.95])
def test_a_truncated_file_is_named(bag, share):
    """As a killed recorder or a full disk leaves it."""
    file = storage_file(bag)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    text = error_of(file)
    assert 'truncated' in text or 'damaged' in text
    assert 'recover' in text


def test_damage_inside_is_named(bag):
    """Bytes that changed on the way do not become joint positions."""
    file = storage_file(bag)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    file.write_bytes(content)
    assert 'damaged' in error_of(file)


def test_an_empty_file_and_an_empty_recording_are_named(tmp_path, bag):
    """Nothing was recorded: zero bytes, or a recording without a message."""
    file = storage_file(bag)
    file.write_bytes(b'')
    assert 'is empty' in error_of(file)
    with Writer(tmp_path / 'none', version=9) as writer:
        writer.add_connection('/joint_states', JOINT_STATE, typestore=STORE)
    assert 'holds no messages' in error_of(tmp_path / 'none')


def test_what_is_no_recording_is_named(tmp_path):
    """A missing path, another kind of file, a file under a false name, an empty folder."""
    assert 'does not exist' in error_of(tmp_path / 'missing')
    (tmp_path / 'notes.txt').write_text('hello')
    assert 'no recording' in error_of(tmp_path / 'notes.txt')
    (tmp_path / 'false.mcap').write_text('hello, I am a text')
    assert 'not mcap' in error_of(tmp_path / 'false.mcap')
    (tmp_path / 'folder').mkdir()
    assert 'no recording' in error_of(tmp_path / 'folder')


def test_several_files_without_metadata_ask_for_a_new_index(bag):
    """Their order is in metadata.yaml only."""
    file = storage_file(bag)
    shutil.copy(file, file.with_name(f'more{file.suffix}'))
    (bag / 'metadata.yaml').unlink()
    assert 'reindex' in error_of(bag)


def test_a_wrong_topic_is_answered_with_those_there_are(bag):
    """Type and name are both looked for, and the slash may be left out."""
    with Bag(bag) as opened:
        assert opened.require(JOINT_STATE, 'joint_states').messages == len(TIME)
        with pytest.raises(UserError, match=r'no .* on .*/joint_states \(sensor_msgs'):
            opened.require(JOINT_STATE, '/arm/joint_states')
        with pytest.raises(UserError, match=r'no sensor_msgs/msg/Image; .*/joint_states'):
            opened.require('sensor_msgs/msg/Image')


def test_two_topics_must_be_chosen_from(tmp_path):
    """Which of two arms is meant is not guessed."""
    with Writer(tmp_path / 'two', version=9) as writer:
        for name in ('/left/joint_states', '/right/joint_states'):
            connection = writer.add_connection(name, JOINT_STATE, typestore=STORE)
            writer.write(connection, 1, b'\0\1\0\0' + bytes(28))
    with Bag(tmp_path / 'two') as opened, pytest.raises(UserError) as caught:
        opened.require(JOINT_STATE)
    assert '/left/joint_states, /right/joint_states; choose one' in str(caught.value)
    assert str(caught.value).endswith('as with topic=/left/joint_states')


@pytest.mark.parametrize(
    ('measured', 'chosen'),
    [
        (['/robot_0/joint_states'], '/robot_0/joint_states'),
        ([], '/robot_0/motion_guard/commanded_joint_states'),
        (['/robot_0/joint_states', '/robot_1/joint_states'], None),
    ],
)
def test_what_was_measured_is_analysed_unless_told_otherwise(tmp_path, measured, chosen):
    """A recorded deployment has the guard's commands beside the arm's joints."""
    commanded = '/robot_0/motion_guard/commanded_joint_states'
    with Writer(tmp_path / 'run', version=9) as writer:
        for name in (commanded, *measured):
            connection = writer.add_connection(name, JOINT_STATE, typestore=STORE)
            writer.write(connection, 1, b'\0\1\0\0' + bytes(28))
    with Bag(tmp_path / 'run') as opened:
        assert require_joint_topic(opened, commanded).name == commanded
        if chosen is None:
            with pytest.raises(UserError, match='choose one, as with topic='):
                require_joint_topic(opened, None)
        else:
            assert require_joint_topic(opened, None).name == chosen


@pytest.mark.parametrize('place', [0.2, 0.3, 0.5])
def test_damage_inside_of_a_compressed_recording_is_named(tmp_path, place):
    """Our own recorder compresses; what cannot be unpacked is one line too."""
    names = STORE.generate_msgdef(JOINT_STATE)[0], STORE.hash_rihs01(JOINT_STATE)
    writer = BagWriter(tmp_path / 'bag')
    writer.add_topic('/joint_states', JOINT_STATE, *names)
    noise = np.random.default_rng(0).normal(size=(2000, 2))
    for index, row in enumerate(noise):
        writer.write('/joint_states', 10**18 + index, serialised(index + 1, NAMES, row))
    writer.close()
    file = storage_file(tmp_path / 'bag')
    content = bytearray(file.read_bytes())
    at = int(len(content) * place)
    content[at : at + 500] = bytes(500)
    file.write_bytes(content)
    assert 'damaged' in error_of(file)


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_file_out_of_a_message_compressed_recording_asks_for_the_folder(tmp_path, plugin):
    """That its messages are compressed stands in metadata.yaml alone."""
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=plugin)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/joint_states', JOINT_STATE, typestore=STORE)
        for index, row in enumerate(POSITIONS):
            writer.write(connection, 10**18 + index, serialised(index + 1, NAMES, row))
    np.testing.assert_array_equal(contents(tmp_path / 'bag'), POSITIONS)
    text = error_of(storage_file(tmp_path / 'bag'))
    assert text.endswith(f'compressed: give the folder with metadata.yaml, {tmp_path / "bag"}')


def test_a_full_disk_at_the_end_is_one_line(tmp_path, monkeypatch):
    """The index is written last, and may be what no longer fits."""
    writer = BagWriter(tmp_path / 'bag')

    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer._writer, 'close', full)
    with pytest.raises(UserError, match='recording failed: No space left on device'):
        writer.close()
    writer.close()
