"""The language model's part of a published configuration, checked and spelt out."""

from __future__ import annotations

from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import LlamaConfig

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.openvla.json_fields import Fields

# Llama's configuration is published as differences from the defaults of transformers 4.40.
_DEFAULTS: dict[str, Any] = {
    'vocab_size': 32064,
    'pad_token_id': 32000,
    'hidden_size': 4096,
    'intermediate_size': 11008,
    'num_hidden_layers': 32,
    'num_attention_heads': 32,
    'max_position_embeddings': 2048,
    'rms_norm_eps': 1e-6,
    'hidden_act': 'silu',
    'rope_theta': 10000.0,
    'attention_bias': False,
    'tie_word_embeddings': False,
    'bos_token_id': 1,
    'eos_token_id': 2,
}
# How a tool runs the model, which this project decides itself; so are names that begin with "_".
_NOT_OF_THE_MODEL = ('torch_dtype', 'dtype', 'attn_implementation')
# Every layer is built before the weights are compared, which takes time even without memory.
_MOST_LAYERS = 1000


def language_settings(config: Fields) -> dict[str, Any]:
    """Return LlamaConfig's arguments of `text_config`, every one that matters spelt out.

    Raises UserError naming the first that is no setting of a Llama.
    """
    text = config.inner('text_config', optional=True)
    text.only('model_type', 'llama', 'llama')
    kept = {
        name: value
        for name, value in text.values.items()
        if name not in _NOT_OF_THE_MODEL and not name.startswith('_')
    }
    text = Fields({**_DEFAULTS, **kept}, text.path, ('text_config',))
    for name, default in _DEFAULTS.items():
        if isinstance(default, bool | str):
            text.only(name, default)
        elif isinstance(default, int):
            text.whole(name, minimum=0 if name.endswith('_token_id') else 1)
        else:
            text.values[name] = text.positive(name)
    text.only('rope_scaling', None)
    text.inner('rope_parameters', optional=True).only('rope_type', 'default', 'default')
    text.whole('num_hidden_layers', maximum=_MOST_LAYERS)
    heads = text.whole('num_attention_heads')
    # Rotations take the numbers of a head in pairs.
    if text.whole('hidden_size') % (2 * heads):
        size = text.whole('hidden_size')
        raise text.wrong('num_attention_heads', f'a divisor of half of hidden_size={size}')
    if kept.get('num_key_value_heads') is not None and heads % text.whole('num_key_value_heads'):
        raise text.wrong('num_key_value_heads', f'a divisor of num_attention_heads={heads}')
    if kept.get('head_dim') is not None:
        text.only('head_dim', text.whole('hidden_size') // heads)
    if text.whole('pad_token_id') >= text.whole('vocab_size'):
        raise text.wrong('pad_token_id', f'below vocab_size={text.whole("vocab_size")}')
    try:
        LlamaConfig(**text.values)
    except (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError) as error:
        line = ' '.join(str(error).split())[:200]
        raise UserError(
            f'{text.path}: text_config is none that transformers takes ({line}); copy it again'
        ) from error
    return text.values
