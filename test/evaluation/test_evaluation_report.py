"""The report: what it writes, what it says, and that it loads nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.archive import EpisodeArchive
from smoothvla_ros.evaluation.episodes.motion import EpisodeMotion, MotionPair
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.evaluation.pictures.replay import Replay, replay
from smoothvla_ros.evaluation.pictures.video import (
    HEIGHT,
    PICTURE,
    WIDTH,
    BeforeAfterFilm,
    write_animation,
    write_film,
    write_still,
)
from smoothvla_ros.evaluation.report.findings import FindingVerdict, findings
from smoothvla_ros.evaluation.report.run_report import REPORT, read_metrics, write_report
from smoothvla_ros.evaluation.report.summary import RunContext
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Episode, EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.tasks import task

Make = Callable[..., Episode]


class _References(HTMLParser):
    """Collects everything that a page would load, and the pictures in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        loading = ('src', 'href', 'poster', 'srcset', 'action', 'data')
        self.loaded += [value or '' for name, value in attributes if name in loading]


@pytest.fixture
def archive(arm: Arm, make_episode: Make, tmp_path: Path) -> EpisodeArchive:
    """Two policies on four scenes of two tasks, the second smoother; one failure each."""
    kept = EpisodeArchive(tmp_path, arm)
    for policy, roughness, failed in (('before', 0.004, 0), ('after', 0.001, 3)):
        for index in range(6):
            episode = make_episode(
                episode_id=f'{policy}-{index}',
                task=index % 2,
                init_state=5 * (index // 2) + 4,
                scene_seed=100_000 + index,
                roughness=roughness,
                success=index != failed,
            )
            kept.add(episode, policy)
    return kept


def test_report_is_one_file_that_loads_nothing(archive: EpisodeArchive) -> None:
    """Every picture is inside; no address, script or style sheet is outside."""
    (archive.folder / 'metrics.csv').write_text(
        'iteration,success,jerk,steps,entropy\n1,0.5,9,110,2\n2,0.6,8,,1.9\n'
    )
    languages = {0: 'open <b>the</b> drawer', 1: 'close it'}
    summary = write_report(
        archive, RunContext('libero_spatial', 0, languages=languages), video=False
    )
    text = (archive.folder / REPORT).read_text()
    loaded = _References(text).loaded
    assert len(loaded) == 4
    for reference in loaded:
        kind, content = reference.split(',', 1)
        assert kind == 'data:image/png;base64'
        assert base64.b64decode(content).startswith(b'\x89PNG')
    assert not re.search(r'https?://|@import|url\(|<script|<link', text)
    assert '<b>the</b>' not in text
    assert '&lt;b&gt;the&lt;/b&gt;' in text
    change = f'{summary["paired"]["jerk_change_percent"]:+.1f}'.replace('-', '−')
    assert change in text
    assert {path.stem for path in (archive.folder / 'figures').iterdir()} == {
        'jerk',
        'learning',
        'paths',
        'tasks',
    }


def test_report_of_one_policy_compares_nothing(
    arm: Arm, make_episode: Make, tmp_path: Path
) -> None:
    """An evaluation of one policy has its own figures and no word of a change."""
    archive = EpisodeArchive(tmp_path, arm)
    archive.add(make_episode(), 'policy')
    context = RunContext('libero_spatial', 0, before=None, after='policy')
    summary = write_report(archive, context)
    assert summary['paired'] is None
    text = (tmp_path / REPORT).read_text()
    assert '>change<' not in text
    assert 'Pairs.' not in text
    assert not (tmp_path / 'before_after.mp4').exists()


def test_metrics_may_have_empty_cells_but_no_damage(tmp_path: Path) -> None:
    """An empty cell is NaN; a cell that is no number is named."""
    path = tmp_path / 'metrics.csv'
    path.write_text('iteration,jerk\n1,\n2,3.5\n')
    np.testing.assert_array_equal(read_metrics(path)['jerk'], [np.nan, 3.5])
    path.write_text('iteration,jerk\n1,rough\n')
    with pytest.raises(UserError, match='damaged'):
        read_metrics(path)


def comparison(**changes: tuple[float, float, float]) -> dict[str, Any]:
    """Return a summary with the given (mean, low, high) changes and else nothing remarkable."""

    def bounds(name: str, default: tuple[float, float, float]) -> dict[str, float]:
        return dict(zip(('mean', 'low', 'high'), changes.get(name, default), strict=True))

    jerk = bounds('jerk', (-30.0, -40.0, -20.0))
    side = {'success': {'mean': 0.8}, 'jerk': {'mean': 2.0}, 'seam_jerk': {'mean': 2.1}}
    return {
        'before': side,
        'after': side,
        'sampled': None,
        'paired': {
            'jerk_change_percent': jerk['mean'],
            'low': jerk['low'],
            'high': jerk['high'],
            'pairs': 40,
            'init_states': 40,
            'common': 45,
            'success_change_points': bounds('success', (0.0, -8.0, 8.0)),
            'changes': {
                'mean_speed': bounds('mean_speed', (1.0, -2.0, 3.0)),
                'steps': bounds('steps', (1.0, -2.0, 3.0)),
                'ldlj': bounds('ldlj', (0.5, 0.2, 0.8)),
                'pace_free_jerk': bounds('pace_free_jerk', (-28.0, -35.0, -20.0)),
            },
        },
    }


@pytest.mark.parametrize(
    ('changes', 'verdict', 'words'),
    [
        ({}, FindingVerdict.SHOWN, 'Mean jerk fell'),
        ({'jerk': (-5.0, -15.0, 4.0)}, FindingVerdict.OPEN, 'No change of mean jerk is shown'),
        ({'jerk': (9.0, 2.0, 14.0)}, FindingVerdict.WARNING, 'Mean jerk rose'),
        ({}, FindingVerdict.OPEN, 'a loss of up to 8.0 points is not excluded'),
        ({'success': (-12.0, -20.0, -4.0)}, FindingVerdict.WARNING, 'a loss'),
        ({}, FindingVerdict.SHOWN, 'nearly the same'),
        ({'pace_free_jerk': (-3.0, -9.0, 2.0)}, FindingVerdict.OPEN, 'nearly the same'),
        ({'mean_speed': (6.0, 5.0, 7.0)}, FindingVerdict.OPEN, 'became faster'),
        ({'steps': (6.0, 5.0, 7.0)}, FindingVerdict.SHOWN, 'slowness alone does not explain'),
        (
            {'mean_speed': (-25.0, -30.0, -20.0), 'pace_free_jerk': (4.0, -2.0, 9.0)},
            FindingVerdict.WARNING,
            'slowness alone lowers jerk',
        ),
        (
            {'steps': (15.0, 10.0, 20.0), 'pace_free_jerk': (4.0, -2.0, 9.0)},
            FindingVerdict.WARNING,
            'became slower',
        ),
        ({'ldlj': (-0.5, -0.8, -0.2)}, FindingVerdict.WARNING, 'less smooth'),
    ],
)
def test_findings_say_no_more_than_the_intervals(
    changes: dict[str, tuple[float, float, float]], verdict: FindingVerdict, words: str
) -> None:
    """Each sentence and its mark follow from the interval, not from the mean."""
    said = {finding.text: finding.verdict for finding in findings(comparison(**changes))}
    matching = [found for text, found in said.items() if words in text]
    assert matching == [verdict]


def test_findings_warn_of_jerk_hidden_in_sampling_and_collapse() -> None:
    """Greedy jerk that falls while sampled jerk rises, and vanishing entropy, are warned of."""
    summary = comparison()
    side = {'negative_log_prob': {'mean': 2.0}}
    summary['sampled'] = {
        'before': side,
        'after': {'negative_log_prob': {'mean': 0.5}},
        'paired': {
            'jerk_change_percent': 6.0,
            'low': 1.0,
            'high': 9.0,
            'pairs': 40,
            'init_states': 40,
        },
    }
    warnings = [item.text for item in findings(summary) if item.verdict is FindingVerdict.WARNING]
    assert len(warnings) == 2
    assert 'against the greedy jerk' in warnings[0]
    assert 'stopped exploring' in warnings[1]


def test_jerk_over_few_scenes_is_not_called_shown() -> None:
    """Of one scene the interval is a point, and shows nothing."""
    summary = comparison()
    summary['paired'].update(pairs=1, init_states=1)
    found = findings(summary)
    assert not [
        item for item in found if item.verdict is FindingVerdict.SHOWN and 'erk' in item.text
    ]
    assert any('Only 1 scene is solved by both' in item.text for item in found)


def test_nothing_of_four_scenes_is_a_verdict() -> None:
    """Without an interval a rise is no warning and a fall is not shown; it is said why."""
    none = (-20.0, None, None)
    summary = comparison(jerk=(30.0, None, None), mean_speed=none, ldlj=none, pace_free_jerk=none)
    summary['paired'].update(pairs=4, init_states=4)
    side = {'negative_log_prob': {'mean': 2.0}}
    sampled = {
        'jerk_change_percent': -17.0,
        'low': None,
        'high': None,
        'pairs': 4,
        'init_states': 4,
    }
    summary['sampled'] = {'before': side, 'after': side, 'paired': sampled}
    found = [
        item for item in findings(summary) if 'too few init states for an interval' in item.text
    ]
    assert len(found) == 4
    assert {item.verdict for item in found} == {FindingVerdict.OPEN}
    assert any('jerk changed by +30.0 %' in item.text for item in found)


def test_intervals_over_five_to_nineteen_scenes_are_called_narrow() -> None:
    """From five scenes on there are intervals, and up to twenty a word on how far they hold."""
    summary = comparison()
    for pairs, narrow in ((4, False), (5, True), (19, True), (20, False)):
        summary['paired'].update(pairs=pairs, init_states=pairs)
        assert any('somewhat narrow' in item.text for item in findings(summary)) is narrow


def test_many_scenes_of_few_init_states_are_few() -> None:
    """Thirty scenes of ten init states are called narrow, and named as what they are."""
    summary = comparison()
    summary['paired'].update(pairs=30, init_states=10)
    texts = [item.text for item in findings(summary)]
    assert any('30 scenes of 10 init states are solved by both' in text for text in texts)


def test_sampled_jerk_over_few_scenes_is_not_called_shown() -> None:
    """An interval over five scenes is too narrow to lean on, however far from zero."""
    summary = comparison()
    side = {'negative_log_prob': {'mean': 2.0}}
    paired = {
        'jerk_change_percent': -17.0,
        'low': -18.0,
        'high': -16.0,
        'pairs': 5,
        'init_states': 5,
    }
    summary['sampled'] = {'before': side, 'after': side, 'paired': paired}
    sampled = [item for item in findings(summary) if 'Sampled jerk' in item.text]
    assert sampled[0].verdict is FindingVerdict.OPEN
    assert 'only 5 scenes' in sampled[0].text


def film(before_s: float, after_s: float) -> BeforeAfterFilm:
    """Return a film of plain pictures: red then white before, blue after."""

    def side(duration: float, colour: tuple[int, int, int]) -> tuple[EpisodeMotion, Replay]:
        times = np.arange(round(duration / 0.05) + 1) * 0.05
        frames = np.full((2, PICTURE, PICTURE, 3), colour, np.uint8)
        frames[1] = 255
        shown = Replay(np.array([0, len(times) - 1]), frames, True, 0.0)
        return EpisodeMotion(times, 2.0 + np.sin(times), np.zeros((len(times), 3))), shown

    before, after = side(before_s, (200, 0, 0)), side(after_s, (0, 0, 200))
    return BeforeAfterFilm(MotionPair('reach', before[0], after[0]), (before[1], after[1]))


def test_film_keeps_both_sides_in_time() -> None:
    """A side shows its newest picture, and keeps the last one while the other still moves."""
    shown = film(2.0, 1.0)
    row = HEIGHT // 2
    early, late = shown.frame(0.9), shown.frame(1.5)
    assert early[row, PICTURE // 2].tolist() == [200, 0, 0]
    assert early[row, -PICTURE // 2].tolist() == [0, 0, 200]
    assert late[row, PICTURE // 2].tolist() == [200, 0, 0]
    assert late[row, -PICTURE // 2].tolist() == [255, 255, 255]
    assert shown.duration_s == pytest.approx(2.0)


def test_film_still_and_animation_can_be_read(tmp_path: Path) -> None:
    """The files play: right size, real time plus the rest at the end, no temporary file left."""
    shown = film(0.5, 0.4)
    write_film(tmp_path / 'film.mp4', shown, rate_hz=10.0)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / 'film.mp4'))
    assert (frames, seconds) == (20, pytest.approx(2.0))
    write_still(tmp_path / 'still.png', shown)
    with Image.open(tmp_path / 'still.png') as still:
        assert still.size == (WIDTH, HEIGHT)
    write_animation(tmp_path / 'film.gif', shown, rate_hz=4.0, width=200)
    with Image.open(tmp_path / 'film.gif') as animation:
        assert animation.n_frames > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ['film.gif', 'film.mp4', 'still.png']


def test_replay_is_the_recorded_episode() -> None:
    """Stored actions run again from the stored scene give the recorded joints, bit for bit."""
    name = EpisodeName('libero_object', 0, 4, 100_001)
    environment = Environment(task(name.suite, name.task), RenderSettings())
    environment.reset(name)
    for action in np.random.default_rng(0).uniform(-0.5, 0.5, (9, 7)):
        environment.step(action)
    request = EpisodeRequest('e0', name, 0, 0.0, 0, 0)
    stored = StoredEpisode.of(Episode(request, False, environment.trajectory()), 'before')
    environment.close()
    first, second = replay([stored, stored], size=32, every=4)
    assert first.deviation == 0.0
    assert first.success is False
    assert first.steps.tolist() == [0, 4, 8, 9]
    assert first.frames.shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(first.frames, second.frames)
    assert not np.array_equal(first.frames[0], first.frames[-1])
