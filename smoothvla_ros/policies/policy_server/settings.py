"""Where a policy server is and how it is asked: `config.json` of a policy folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smoothvla_ros.configuration import from_mapping, setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_SPACE, JOINT_SPACE
from smoothvla_ros.policies.configuration_file import CONFIGURATION, read_configuration
from smoothvla_ros.policies.libero_frames import ALL_SUITES, ROBOT_BASE

DRAWN_SIZE = 256
"""Height and width of the images before they are resized: those of LIBERO's published data."""

TOOL, JOINTS = 'tool', 'joints'
PROMPT = 'prompt'
_KIND_FIELDS = ('type', 'model_type')
_SCHEMES = ('ws://', 'wss://')


@dataclass(frozen=True)
class PolicyServerSettings:
    """The defaults are those of openpi's servers of policies for LIBERO."""

    address: str = setting(description='ws://HOST:PORT of the server, or wss://')
    chunk: int = setting(5, 'Actions of an answer that are executed; it may have more', minimum=1)
    image_size: int = setting(224, 'Height and width of the images that are sent', minimum=1)
    mirrored: bool = setting(
        True, "Mirror images left to right, as LIBERO's training images are against upright ones"
    )
    frame: str = setting(
        ALL_SUITES,
        'What the position of the tool is told in: the scenes of one of the suites, of all (then '
        'known by the instruction), or the base of the arm',
        choices=(
            ALL_SUITES,
            'libero_spatial',
            'libero_object',
            'libero_goal',
            'libero_10',
            ROBOT_BASE,
        ),
    )
    state: str = setting(
        TOOL,
        "What is told of the arm: LIBERO's state of the tool and the fingers, or the positions of "
        'the joints, rad, and the fingers',
        choices=(TOOL, JOINTS),
    )
    image_name: str = setting('observation/image', 'What the image of the scene is called')
    wrist_image_name: str = setting('observation/wrist_image', 'What that of the wrist is called')
    state_name: str = setting('observation/state', 'What the state is called')
    gripper_name: str = setting(
        '', "What the fingers are called where they are not the state's last numbers"
    )
    action_space: str = setting(
        ACTION_SPACE,
        "What an answer means: LIBERO's deltas of the tool's pose and the gripper, or where the "
        'joints are to be, rad, and the gripper',
        choices=(ACTION_SPACE, JOINT_SPACE),
    )
    gripper_open: float = setting(-1.0, "An answer's last number that opens the gripper")
    gripper_closed: float = setting(1.0, "An answer's last number that closes the gripper")
    timeout_s: float = setting(
        120.0,
        'Longest wait for an answer, s; a first one may compile the network',
        minimum=0.1,
        maximum=86400.0,
    )


def read_settings(folder: Path) -> PolicyServerSettings:
    """Return what a policy folder says.  Raises UserError naming the file and what is wrong."""
    path = folder / CONFIGURATION
    values = read_configuration(folder)
    stated = {name: value for name, value in values.items() if name not in _KIND_FIELDS}
    settings = from_mapping(PolicyServerSettings, stated, str(path))
    validate(settings, str(path))
    if not settings.address.startswith(_SCHEMES):
        raise UserError(f'{path}: address={settings.address!r} is no ws://HOST:PORT; give one')
    if settings.gripper_open == settings.gripper_closed:
        raise UserError(
            f'{path}: gripper_open and gripper_closed are both {settings.gripper_open:g}; give '
            'what the server answers for each'
        )
    names = [PROMPT, settings.image_name, settings.wrist_image_name, settings.state_name]
    names += [settings.gripper_name] if settings.gripper_name else []
    for name in names:
        # One of two would be sent.
        if not name or names.count(name) > 1:
            raise UserError(
                f'{path}: names of a question are {", ".join(map(repr, names))}; give each a name '
                'of its own'
            )
    return settings
