"""How a setting is spelt on a command line."""

from __future__ import annotations

# Training has `output` and everything else `out`: who has learnt one need not forget it.
_ALIASES = {'out': ('output',), 'output': ('out',)}


def option(name: str) -> tuple[str, ...]:
    """Return the options that give a setting, the one of its own name first."""
    return tuple(f'--{word.replace("_", "-")}' for word in (name, *_ALIASES.get(name, ())))
