"""What a published checkpoint does not say about itself, in `openvla.json` of a policy folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothvla_ros.configuration import from_mapping, setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import AGENTVIEW, CAMERAS
from smoothvla_ros.policies.configuration_file import OPENVLA, stated_kind
from smoothvla_ros.policies.openvla.json_fields import Fields

SETTINGS = 'openvla.json'
TOKENIZER = 'tokenizer.json'
STATISTICS = 'dataset_statistics.json'
PREPROCESSOR = 'preprocessor_config.json'
INDEX = 'model.safetensors.index.json'

CAMERA_SIZE = 256
"""Height and width of the images that are drawn for it: the published evaluation's."""

SEQUENTIAL = 'sequential'
PARALLEL = 'parallel'
TOKENS = 'tokens'
REGRESSION = 'regression'


@dataclass(frozen=True)
class OpenVLASettings:
    """How one OpenVLA or OpenVLA-OFT checkpoint is run.

    A checkpoint's own files name neither its decoding nor its cameras; `detect` guesses both from
    what lies beside the weights, and this file overrides the guess.
    """

    checkpoint: str = setting(
        '.', 'Folder or hub name of the published files; relative to the folder of this file'
    )
    decoding: str = setting(
        SEQUENTIAL,
        'sequential: one step, a token after another (OpenVLA); parallel: a chunk at once (OFT)',
        choices=(SEQUENTIAL, PARALLEL),
    )
    answer: str = setting(
        TOKENS,
        'tokens: the language model says the action; regression: a head beside it (no training)',
        choices=(TOKENS, REGRESSION),
    )
    chunk: int = setting(1, 'Steps decided at once; 1 where decoding is sequential', minimum=1)
    cameras: tuple[str, ...] = setting(
        (AGENTVIEW,),
        "Images, in the order of the training; a robot's camera node gives its camera the name",
        choices=CAMERAS,
    )
    proprioception: bool = setting(False, 'Whether the policy is told where its tool is')
    statistics: str = setting(
        '', 'Data set whose statistics scale the actions; empty where the checkpoint has only one'
    )
    center_crop: bool = setting(
        True, 'Cut to the central 90% of the area: what random crops in training call for'
    )
    mirrored: bool = setting(
        True, "Mirror images left to right, as LIBERO's training images are against upright ones"
    )
    precision: str = setting(
        'auto',
        'Numbers of the network; auto: bfloat16 on a GPU, float32 elsewhere',
        choices=('auto', 'bfloat16', 'float32'),
    )
    rows: int = setting(
        1,
        'Observations an inference at most; with 1 a row does not depend on who shares its batch',
        minimum=1,
    )
    captured: bool = setting(
        True, 'On a GPU: replay an inference as CUDA graphs, made once for each shape of the input'
    )
    compiled: bool = setting(
        False,
        'On a GPU, decoding=parallel: torch.compile the blocks, some seconds for each kind of pass',
    )
    lora_rank: int = setting(32, 'Rank of the adapter that training adds', minimum=1)
    lora_alpha: int = setting(16, 'Scale of the adapter, divided by its rank', minimum=1)
    gradient_checkpointing: bool = setting(
        True, 'In training compute activations twice instead of keeping them'
    )

    def __post_init__(self) -> None:
        validate(self, SETTINGS)
        if self.decoding == SEQUENTIAL and self.chunk != 1:
            raise UserError(
                f'{SETTINGS}: chunk={self.chunk} with decoding=sequential; OpenVLA decides one '
                'step, OpenVLA-OFT (decoding=parallel) several'
            )
        if self.decoding == SEQUENTIAL and (self.answer == REGRESSION or self.proprioception):
            raise UserError(
                f'{SETTINGS}: a regression head and proprioception need decoding=parallel'
            )
        if self.compiled and self.decoding == SEQUENTIAL:
            raise UserError(f'{SETTINGS}: compiled needs decoding=parallel')
        if not self.cameras or len(set(self.cameras)) != len(self.cameras):
            raise UserError(
                f'{SETTINGS}: cameras={list(self.cameras)}; name one or more, each once'
            )


def is_openvla(folder: Path) -> bool:
    """Say whether a folder holds `openvla.json` or a published checkpoint, damaged or not.

    Any small file of the published layout is enough where `config.json` is lost, because the others
    still tell what the folder was; where it says another kind, they are that kind's.
    """
    if (folder / SETTINGS).is_file():
        return True
    stated = stated_kind(folder)
    if stated is not None:
        return stated == OPENVLA
    marks = (TOKENIZER, STATISTICS, PREPROCESSOR, INDEX)
    return any((folder / name).is_file() for name in marks)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what `openvla.json` in a policy folder sets.

    JSON has kinds, so that a text is no number here, as it may be on a command line.
    Raises UserError naming the file, and the setting of another kind.
    """
    fields = Fields.read(folder / SETTINGS, 'write it again')
    for field in dataclasses.fields(OpenVLASettings):
        if field.name not in fields.values:
            continue
        if isinstance(field.default, bool):
            fields.flag(field.name)
        elif isinstance(field.default, int):
            fields.whole(field.name, minimum=field.metadata['minimum'])
        elif isinstance(field.default, str):
            fields.text(field.name)
        else:
            fields.items(field.name, str)
    return fields.values


def settings_of(values: Mapping[str, Any], place: Path) -> OpenVLASettings:
    """Build settings from plain values.  Raises UserError naming `place` and the value."""
    return from_mapping(OpenVLASettings, values, str(place))


def detect(folder: Path) -> dict[str, Any]:
    """Return the settings that the files beside published weights give away.

    Nothing is executed: the modelling code that a checkpoint carries is searched as text. It names
    a constant for the length of a chunk only where it decodes one. LIBERO's chunk is 8.
    Raises UserError for what this project does not run: diffusion and FiLM.
    """
    for pattern, what in (
        ('noisy_action_projector*', 'a diffusion head: its actions have no log-probabilities'),
        ('vision_backbone--*', 'FiLM: its image trunks are changed by the instruction'),
    ):
        if any(folder.glob(pattern)):
            raise UserError(
                f'policy {folder} has {what}, which is not supported; give a checkpoint that '
                'answers with tokens or with the regression head'
            )
    regression = any(folder.glob('action_head*'))
    proprioception = any(folder.glob('proprio_projector*'))
    code = folder / 'modeling_prismatic.py'
    chunked = code.is_file() and 'NUM_ACTIONS_CHUNK' in code.read_text(errors='replace')
    if not (regression or proprioception or chunked):
        return {}
    return {
        'decoding': PARALLEL,
        'chunk': 8,
        'answer': REGRESSION if regression else TOKENS,
        'proprioception': proprioception,
        'cameras': CAMERAS if proprioception else (AGENTVIEW,),
    }
