"""LIBERO's instructions in the numbers of Llama 2's own tokeniser: docs/openvla.md, "Sameness"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_openvla

from smoothvla_ros.policies.openvla.prompt import Prompt
from smoothvla_ros.simulation.tasks import tasks

RECORDED = json.loads((Path(__file__).parent / 'data' / 'llama2_prompts.json').read_text())
SUITES = ('libero_spatial', 'libero_object', 'libero_goal', 'libero_10', 'libero_90')


@pytest.fixture(scope='module')
def prompt(tmp_path_factory) -> Prompt:
    """Return prompts by the pieces of the published vocabulary that the instructions can need."""
    path = tmp_path_factory.mktemp('llama') / 'tokenizer.json'
    tiny_openvla.llama_tokenizer(RECORDED['pieces']).save(str(path))
    return Prompt(path, tiny_openvla.VOCABULARY)


def test_prompts_have_the_published_ids(prompt):
    """Every id of every prompt as the published processor gave it, 29871 after it."""
    for instruction, ids in RECORDED['prompts'].items():
        assert list(prompt.ids(instruction)) == ids


@pytest.mark.parametrize('suite', SUITES)
def test_every_instruction_was_recorded(suite):
    """So the test above is about what is run."""
    assert {task.language for task in tasks(suite)} <= RECORDED['prompts'].keys()
