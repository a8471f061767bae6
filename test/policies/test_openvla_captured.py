"""Recordings: which there are, how long they live, and when none is used."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import tiny_openvla
import torch

from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.openvla import captured
from smoothvla_ros.policies.openvla.captured import CapturedChunks, CapturedDecodings
from smoothvla_ros.policies.openvla.key_value_cache import FixedCache
from smoothvla_ros.policies.openvla.modeling import Inputs

PARALLEL = {'decoding': 'parallel', 'chunk': 8}


def inputs(rows: int = 1, words: int = 3) -> Inputs:
    """Return noise for a tiny network."""
    return Inputs(torch.zeros(rows, 1, 6, 224, 224), [(1, *range(5, 4 + words))] * rows)


@pytest.mark.parametrize('settings', [{}, PARALLEL])
def test_a_recording_is_of_one_shape_and_one_adapter(openvla_policy, settings):
    """The same again is replayed; other rows, words or adapters are recorded apart."""
    network = openvla_policy(**settings).base.network
    if settings:
        kind, run = CapturedChunks(network, 56), CapturedChunks.answer
    else:
        kind, run = CapturedDecodings(network, 7), CapturedDecodings.start
    asked = [(inputs(), -1), (inputs(2), -1), (inputs(words=4), -1), (inputs(), 0), (inputs(), 1)]
    for given, adapter in asked * 2:
        run(kind, given, adapter)
    assert len(kind.recordings) == len(asked)


def test_the_oldest_recording_makes_room_and_none_outlives_its_use(openvla_policy, monkeypatch):
    """A GPU's memory comes back at once, not when Python collects cycles."""
    monkeypatch.setattr(captured, '_MOST_RECORDINGS', 2)
    network = openvla_policy().base.network
    decodings = CapturedDecodings(network, 7)
    gc.collect()
    gc.disable()
    try:
        alive = [weakref.ref(decodings.start(inputs(words=words), -1)) for words in (3, 4)]
        decodings.start(inputs(words=3), -1)
        alive.append(weakref.ref(decodings.start(inputs(words=5), -1)))
        assert [each() is not None for each in alive] == [True, False, True]
        del decodings
        assert [each() for each in alive] == [None] * 3
    finally:
        gc.enable()


def test_more_rows_are_decided_step_by_step(openvla_policy, observe):
    """Of tokens one by one, only a single row is recorded."""
    policy = openvla_policy(rows=3)
    policy.act([observe(0), observe(1), observe(2)], temperature=0.0, seeds=[1, 2, 3])
    assert len(policy._captured_decodings.recordings) == 0
    policy.act([observe(0)], temperature=0.0, seeds=[1])
    assert len(policy._captured_decodings.recordings) == 1


def test_adapters_reuse_names_and_not_numbers(openvla_policy):
    """A recording must not outlive its adapter under a name; what is compiled shall."""
    adapters = openvla_policy().base.adapters
    first = adapters.add(2, 2)
    number = adapters.serial(first)
    adapters.remove(first)
    again = adapters.add(2, 2)
    assert again == first
    assert adapters.serial(again) != number
    adapters.remove(again)
    assert adapters.serial(None) == -1


@pytest.mark.parametrize(
    ('settings', 'expected'), [({}, torch.float32), (PARALLEL, torch.bfloat16)]
)
def test_sums_between_blocks_are_float32_where_kernels_differ(openvla_policy, settings, expected):
    """In acting and in learning; queries, keys and values stay as narrow as the weights."""
    network = openvla_policy(**settings, precision='bfloat16').base.network
    layer = network.language_model.model.layers[-1]
    sums, narrow = [], []
    hooks = [
        layer.register_forward_pre_hook(lambda _, given: sums.append(given[0].dtype)),
        layer.self_attn.q_proj.register_forward_pre_hook(
            lambda _, given: narrow.append(given[0].dtype)
        ),
    ]
    with torch.no_grad():
        if settings:
            network.parallel_answer(inputs(), 56)
        else:
            network.start(inputs(), 7).say(torch.tensor([3]))
            network.sequential_hidden(inputs(), torch.zeros(1, 7, dtype=torch.int64))
    for hook in hooks:
        hook.remove()
    assert set(sums) == {expected}
    assert layer.input_layernorm.exact_weight.dtype == torch.float32
    assert set(narrow) == {torch.bfloat16}


def test_a_cache_takes_no_more_than_it_was_made_for():
    """Past its end a position would be lost."""
    cache = FixedCache(1, 3)
    told = torch.ones(2, 1, 2, 4)
    keys, _ = cache.update(told, told, 0)
    assert keys.shape == told.shape
    keys, values = cache.update(2 * told[:, :, :1], 3 * told[:, :, :1], 0)
    assert keys[0, 0, :, 0].tolist() == [1.0, 1.0, 2.0]
    assert values[1, 0, :, 0].tolist() == [1.0, 1.0, 3.0]
    with pytest.raises(ValueError, match='4 positions'):
        cache.update(told[:, :, :1], told[:, :, :1], 0)


@pytest.mark.slow
def test_compiled_blocks_stay_compiled_while_adapters_come_and_go(tmp_path, observe):
    """Acting, comparing and learning over iterations: never past the limit after which blocks run
    uncompiled, in the middle of a run."""
    checkpoint = tiny_openvla.write(tmp_path / 'checkpoint')
    (tmp_path / 'policy').mkdir()
    settings = '{"checkpoint": "../checkpoint", "decoding": "parallel", "chunk": 8, "rows": 4}'
    (tmp_path / 'policy' / 'openvla.json').write_text(settings)
    assert checkpoint.is_dir()
    learner, reference = load_policy(tmp_path / 'policy'), load_policy(tmp_path / 'policy')
    observations = [observe(0), observe(1, 'open the drawer'), observe(2)]
    tokens = np.full((1, 8, 7), 100)
    plain = reference.act(observations, temperature=0.0, seeds=[1, 2, 3]).log_probs
    learner.base.network.compile_blocks('eager')
    learner.prepare_training()
    sampler = None
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        for iteration in range(6):
            learner.save(tmp_path / f'{iteration}')
            # The next is loaded before the last is dropped, as rollouts do.
            sampler = load_policy(tmp_path / f'{iteration}')
            assert sampler.base is learner.base
            rows = observations[: 1 + iteration % 3]
            acted = sampler.act(rows, temperature=0.0, seeds=range(len(rows)))
            assert np.allclose(acted.log_probs, plain[: len(rows)], atol=1e-4)
            for observation in rows:
                with torch.no_grad():
                    reference.evaluate([observation], tokens, temperature=1.0)
                judged = learner.evaluate([observation], tokens, temperature=1.0)
                judged.log_probs.sum().backward()
        # Every thread has a limit of its own.
        limits = []

        def act_elsewhere() -> None:
            sampler.act(observations, temperature=0.0, seeds=[1, 2, 3])
            limits.append(torch._dynamo.config.recompile_limit)

        thread = threading.Thread(target=act_elsewhere)
        thread.start()
        thread.join()
        assert limits == [64]
    torch._dynamo.reset()


def test_an_adapter_is_removed_when_nothing_runs(openvla_policy, tmp_path):
    """Whoever drops the last reference, in the middle of another policy's pass or not."""
    learner = openvla_policy(**PARALLEL, lora_rank=2)
    learner.prepare_training()
    learner.save(tmp_path / 'saved')
    dropped = load_policy(tmp_path / 'saved')
    adapters, name = learner.base.adapters, dropped._adapter
    with learner.base.running(None):
        del dropped
        gc.collect()
        assert adapters.serial(name) >= 0
    with learner.base.running(None), pytest.raises(KeyError):
        adapters.serial(name)
