"""Sources, processing, calibration and the capture thread, on real files and without a camera."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from smoothvla_ros.cameras import sources
from smoothvla_ros.cameras.calibration import read_calibration
from smoothvla_ros.cameras.capture import Capture
from smoothvla_ros.cameras.processing import processed
from smoothvla_ros.cameras.settings import CameraSettings
from smoothvla_ros.cameras.sources import open_source
from smoothvla_ros.errors import UserError

RED = np.zeros((8, 12, 3), np.uint8)
RED[..., 0] = 200


@pytest.fixture
def folder(tmp_path):
    """Three images whose red channel counts."""
    for i in range(3):
        image = np.zeros((8, 12, 3), np.uint8)
        image[..., 2] = 50 * (i + 1)  # OpenCV writes blue first
        cv2.imwrite(str(tmp_path / f'{i}.png'), image)
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


def test_folder_is_read_by_name_in_rgb(folder):
    """Its end is its end, or the beginning again."""
    source = open_source(CameraSettings('images', str(folder), loop=False))
    frames = [source.read() for _ in range(4)]
    assert [int(image[0, 0, 0]) for image, _ in frames[:3]] == [50, 100, 150]
    assert frames[3] is None
    looping = open_source(CameraSettings('images', str(folder)))
    assert [int(looping.read()[0][0, 0, 0]) for _ in range(4)] == [50, 100, 150, 50]


def test_video_is_read_in_rgb_and_loops(tmp_path):
    """A file as a phone or `ros2 bag` export would give it."""
    path = tmp_path / 'a.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 20, (64, 48))
    for level in (60, 120):
        image = np.zeros((48, 64, 3), np.uint8)
        image[..., 2] = level
        writer.write(image)
    writer.release()
    source = open_source(CameraSettings('video', str(path)))
    reds = [int(source.read()[0][24, 32, 0]) for _ in range(4)]
    assert reds == pytest.approx([60, 120, 60, 120], abs=8)
    once = open_source(CameraSettings('video', str(path), loop=False))
    assert [once.read() is None for _ in range(3)] == [False, False, True]


def test_pattern_moves():
    """A frozen pattern would look like a frozen camera."""
    source = open_source(CameraSettings('pattern'))
    first, second = source.read()[0], source.read()[0]
    assert first.shape == (480, 640, 3)
    assert np.any(first != second)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'source': 'v4l2', 'path': '/dev/video_none'}, 'is it plugged in'),
        ({'source': 'video', 'path': 'none.mp4'}, 'video none.mp4 does not exist'),
        ({'source': 'images', 'path': 'none'}, 'image folder none does not exist'),
    ],
)
def test_missing_source_is_one_line(settings, words):
    """What is missing, and what to do."""
    with pytest.raises(UserError, match=words) as caught:
        open_source(CameraSettings(**settings))
    assert '\n' not in str(caught.value)


def test_unreadable_files_are_one_line(tmp_path):
    """A text file is no video, no image, and an empty folder has none."""
    (tmp_path / 'bad.png').write_text('x')
    with pytest.raises(UserError, match=r'video .*bad\.png cannot be read'):
        open_source(CameraSettings('video', str(tmp_path / 'bad.png')))
    with pytest.raises(UserError, match=r'image .*bad\.png cannot be read'):
        open_source(CameraSettings('images', str(tmp_path))).read()
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='has no images'):
        open_source(CameraSettings('images', str(tmp_path / 'empty')))


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'source': 'radio'}, 'choose from v4l2, video, images, pattern'),
        ({'width': 64}, 'give both'),
        ({'fourcc': 'JPEGS'}, 'not four letters'),
        ({'rate_hz': 0.0}, 'too small'),
    ],
)
def test_bad_settings_are_refused(settings, words):
    """Before anything is opened."""
    with pytest.raises(UserError, match=words):
        CameraSettings(**settings)


def test_image_is_turned_and_averaged_to_its_size():
    """Flips as named; a shrunk checkerboard becomes grey, not black or white."""
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for flip, expected in (
        ('horizontal', image[:, ::-1]),
        ('vertical', image[::-1]),
        ('both', image[::-1, ::-1]),
        ('none', image),
    ):
        assert np.array_equal(processed(image, CameraSettings('pattern', flip=flip)), expected)
    board = np.zeros((8, 8, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    small = processed(board, CameraSettings('pattern', width=4, height=4))
    assert small.shape == (4, 4, 3)
    assert np.abs(small.astype(int) - 127).max() <= 1


def calibration_file(folder: Path, **changes):
    content = {
        'image_width': 640,
        'image_height': 480,
        'camera_name': 'wrist',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': [500, 0, 319.5, 0, 510, 239.5, 0, 0, 1]},
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.1, 0, 0, 0, 0]},
        'rectification_matrix': {'rows': 3, 'cols': 3, 'data': [1, 0, 0, 0, 1, 0, 0, 0, 1]},
        'projection_matrix': {
            'rows': 3,
            'cols': 4,
            'data': [500, 0, 319.5, 0, 0, 510, 239.5, 0, 0, 0, 1, 0],
        },
    } | changes
    path = folder / 'wrist.yaml'
    path.write_text(yaml.dump({k: v for k, v in content.items() if v is not None}))
    return path


def test_calibration_is_read_and_scaled(tmp_path):
    """A point that projects into the middle still does in an image of half the size."""
    calibration = read_calibration(calibration_file(tmp_path))
    assert calibration.d.tolist() == [0.1, 0, 0, 0, 0]
    half = calibration.for_size(320, 240)
    assert half.k.tolist() == [[250, 0, 159.5], [0, 255, 119.5], [0, 0, 1]]
    assert half.p[:, :3].tolist() == half.k.tolist()
    assert calibration.for_size(640, 480) is calibration
    with pytest.raises(UserError, match='another ratio; calibrate at the published size'):
        calibration.for_size(480, 480)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'camera_matrix': None}, 'has no camera_matrix'),
        ({'camera_matrix': {'data': [1, 2]}}, 'has 2 numbers'),
        ({'camera_matrix': {'data': ['x'] * 9}}, 'not a list of numbers'),
        ({'projection_matrix': {'data': [float('nan')] * 12}}, 'not finite'),
        ({'image_width': 0}, 'image_width=0 is no size'),
    ],
)
def test_damaged_calibration_is_named(tmp_path, changes, words):
    """The file, the entry and what is wrong."""
    with pytest.raises(UserError, match=words):
        read_calibration(calibration_file(tmp_path, **changes))


def test_calibration_that_is_no_text_is_named(tmp_path):
    """An image given in its place."""
    path = tmp_path / 'calibration.yaml'
    path.write_bytes(b'name: \xff\xfe')
    with pytest.raises(UserError, match='is not valid YAML'):
        read_calibration(path)


class Scripted:
    """A device that does what it is told: frames, losses."""

    paced = True

    def __init__(self, frames):
        self.frames = frames
        self.begun = self.closed = False

    def begin(self):
        self.begun = True

    def read(self):
        frame = next(self.frames, None)
        if isinstance(frame, UserError):
            raise frame
        return frame

    def close(self):
        self.closed = True


class Ending(Scripted):
    """Says when it has nothing more."""

    def __init__(self, frames, done):
        super().__init__(frames)
        self.done = done

    def read(self):
        frame = super().read()
        if frame is None:
            self.done.set()
        return frame


def test_lost_camera_is_reached_again():
    """Unplugged, not there for two attempts, back: frames go on, and the status tells."""
    second = 1_000_000_000
    now = time.time_ns()
    opened = []
    scripts = iter(
        [
            [(RED, now), UserError('camera 0 gives no more frames')],
            UserError('camera 0 does not exist'),
            UserError('camera 0 does not exist'),
            [(RED, now + second)],
        ]
    )

    def open_frames(settings):
        script = next(scripts)
        if isinstance(script, UserError):
            opened.append(str(script))
            raise script
        opened.append(Scripted(iter(script)))
        return opened[-1]

    got, again = [], threading.Event()

    def deliver(image, stamp):
        got.append(stamp)
        if len(got) == 2:
            again.set()

    capture = Capture(CameraSettings('pattern', reconnect_s=0.05), deliver, open_frames)
    capture.start()
    try:
        assert again.wait(20.0)
    finally:
        capture.close()
    assert got == [now, now + second]
    assert opened[0].begun
    assert opened[0].closed
    assert opened[3].closed
    status = capture.status()
    assert (status.frames, status.reconnections) == (2, 1)


def test_device_that_is_too_quick_is_thinned():
    """60 Hz from a device that was asked for 20: every third frame, with its own stamp."""
    stamps = [1_000_000_000 + i * 16_666_667 for i in range(31)]
    got, done = [], threading.Event()
    frames = iter([(RED, stamp) for stamp in stamps])

    def deliver(image, stamp):
        got.append(stamp)

    capture = Capture(
        CameraSettings('pattern', rate_hz=20.0), deliver, lambda _: Ending(frames, done)
    )
    capture.start()
    assert done.wait(20.0)
    capture.close()
    assert got == stamps[::3]
    assert capture.status().rate_hz == pytest.approx(20.0, abs=0.1)
    assert capture.status().problem == 'the recording is over'


def taken(rate_hz, stamps):
    """Return which frames of a device are handed on."""
    got, done = [], threading.Event()
    frames = iter([(RED, stamp) for stamp in stamps])
    capture = Capture(
        CameraSettings('pattern', rate_hz=rate_hz),
        lambda image, stamp: got.append(stamp),
        lambda _: Ending(frames, done),
    )
    capture.start()
    assert done.wait(20.0)
    capture.close()
    return np.array(got)


@pytest.mark.parametrize('device_hz', [25.0, 27.8, 30.0, 50.0, 59.94])
def test_device_whose_rate_does_not_divide_is_thinned_to_the_rate_in_the_mean(device_hz):
    """30 Hz only, and asked for 20: it was 15, because two frames are nearer than a period."""
    stamps = [1_000_000_000 + round(i * 1e9 / device_hz) for i in range(600)]
    intervals = np.diff(taken(20.0, stamps)) * 1e-9
    assert 1.0 / intervals.mean() == pytest.approx(20.0, abs=0.1)
    assert intervals.max() < 0.05 + 1.0 / device_hz


@pytest.mark.parametrize('device_hz', [15.0, 19.9, 20.0, 20.4])
def test_device_of_about_the_rate_keeps_all_of_its_frames(device_hz):
    """With jitter too: one left out now and then would be a hole of two periods."""
    jitter = np.random.default_rng(0).normal(0, 0.5e-3, 600)
    stamps = [round((1.0 + i / device_hz + late) * 1e9) for i, late in enumerate(jitter)]
    assert taken(20.0, stamps).tolist() == stamps


def test_pause_of_a_device_is_not_made_up_for():
    """After a second without a frame those that follow are no quicker than before."""
    stamps = [1_000_000_000 + round(i * 1e9 / 60.0) for i in range(240) if not 100 < i < 160]
    intervals = np.diff(taken(20.0, stamps)) * 1e-9
    assert intervals.min() > 0.75 * 0.05
    assert intervals.max() == pytest.approx(1.0, abs=0.06)


def test_files_are_paced_and_stop_at_once(folder):
    """A folder at 50 Hz takes its time; after stop nothing comes."""
    got, enough = [], threading.Event()

    def deliver(image, stamp):
        got.append(stamp)
        if len(got) == 6:
            enough.set()

    capture = Capture(CameraSettings('images', str(folder), rate_hz=50.0), deliver)
    started = time.monotonic()
    capture.start()
    assert enough.wait(20.0)
    assert time.monotonic() - started >= 0.08
    capture.stop()
    count = len(got)
    assert capture.status().frames == count
    capture.close()


def test_driver_s_stamp_is_used_where_it_is_of_our_clock():
    """V4L2 gives the monotonic time of the buffer; anything else gives the time of the grab."""
    now, monotonic = 5_000_000_000_000, 90_000_000_000
    assert sources.DeviceStamps().stamp(89_970.0, now, monotonic) == now - 30_000_000
    for other in (0.0, 5_000_000.0, 90_001.0):
        assert sources.DeviceStamps().stamp(other, now, monotonic) == now


def test_old_frame_of_a_driver_that_is_of_our_clock_keeps_its_stamp():
    """It waited in a queue for three seconds: called new, it would pass for an observation."""
    now, monotonic = 5_000_000_000_000, 90_000_000_000
    stamps = sources.DeviceStamps()
    stamps.stamp(89_970.0, now, monotonic)
    assert stamps.stamp(87_000.0, now, monotonic) == now - 3_000_000_000


class Buffers:
    """A driver's queue behind OpenCV's capture: frames numbered by their blue, ages in ms."""

    def __init__(self, ages_ms):
        self.ages, self.frame = iter(ages_ms), 0

    def isOpened(self):
        return True

    def set(self, what, value):
        return True

    def grab(self):
        self.frame += 1
        self.position = time.monotonic_ns() * 1e-6 - next(self.ages)
        return True

    def get(self, what):
        assert what == cv2.CAP_PROP_POS_MSEC
        return self.position

    def retrieve(self):
        return True, np.full((8, 12, 3), self.frame, np.uint8)


def test_frames_that_waited_from_before_the_start_are_left_out(monkeypatch):
    """A camera that was paused has old frames in its queue, whatever their age."""
    monkeypatch.setattr(
        cv2, 'VideoCapture', lambda *_: Buffers([10.0, 5000.0, 900.0, -1000.0, 0.0])
    )
    source = open_source(CameraSettings('v4l2', '0'))
    assert source.read()[0][0, 0, 0] == 1
    source.begin()
    assert source.read()[0][0, 0, 0] == 4
    assert source.read()[0][0, 0, 0] == 5


def test_a_clock_that_is_set_back_does_not_silence_a_camera():
    """Every frame would seem too early until the clock had caught up, and nobody would be told."""
    stamps = [60_000_000_000, 60_050_000_000, 1_000_000_000, 1_050_000_000]
    got, done = [], threading.Event()

    frames = iter([(RED, stamp) for stamp in stamps])
    capture = Capture(
        CameraSettings('pattern', rate_hz=20.0),
        lambda image, stamp: got.append(stamp),
        lambda _: Ending(frames, done),
    )
    capture.start()
    assert done.wait(20.0)
    capture.close()
    assert got == stamps
