"""LIBERO's numbers and names have one home, and are LIBERO's."""

import ast
import inspect
from pathlib import Path

import smoothvla_ros
from smoothvla_ros import libero

ROOT = Path(smoothvla_ros.__file__).parent
NAMES = {libero.ACTION_SPACE, *libero.CAMERAS, *libero.RENDER_PROFILES}
# The same word for something else: what a model of LIBERO's calls its camera.
OTHERS = {('simulation/rendering/settings.py', 'agentview')}


def test_rate_and_scales_are_those_that_libero_and_robosuite_have() -> None:
    """The rate is the default of LIBERO's own environment, the scales are OSC_POSE's."""
    import robosuite
    from libero.libero.envs import OffScreenRenderEnv

    rate = inspect.signature(OffScreenRenderEnv.__mro__[1].__init__).parameters['control_freq']
    controller = robosuite.load_controller_config(default_controller='OSC_POSE')

    assert rate.default == libero.CONTROL_RATE_HZ
    scales = [libero.TRANSLATION_SCALE_M] * 3 + [libero.ROTATION_SCALE_RAD] * 3
    assert controller['output_max'] == scales
    assert controller['output_min'] == [-scale for scale in scales]
    assert len(scales) + 1 == libero.ACTION_DIMENSION


def test_period_is_the_double_that_recordings_hold() -> None:
    """The period is 0.05 to the bit: stamps and trajectories are compared bit by bit."""
    assert libero.CONTROL_PERIOD_S == 0.05


def test_names_are_written_once() -> None:
    """No other module spells an action space, a camera or a profile that has a constant."""
    found = []
    for path in sorted(ROOT.rglob('*.py')):
        name = path.relative_to(ROOT).as_posix()
        if name == 'libero.py':
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            value = node.value if isinstance(node, ast.Constant) else None
            if value in NAMES and (name, value) not in OTHERS:
                found.append(f'{name}:{node.lineno} {value!r}')
    assert not found, '\n'.join(found)
