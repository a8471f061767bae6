"""The templates of what is written to be read: pages of HTML that load nothing, and Markdown."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import jinja2


def template(
    package: str, name: str, filters: Mapping[str, Callable[..., Any]] | None = None
) -> jinja2.Template:
    """Return a template that lies in a package; a name that it is not given is an error.

    name: '.html.jinja' at its end: what is put in is escaped.  filters: by the names used in it.
    """
    environment = jinja2.Environment(
        autoescape=name.endswith('.html.jinja'),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(filters or {})
    return environment.from_string((files(package) / name).read_text())


def embedded(content: bytes, kind: str = 'image/png') -> str:
    """Return a file as the address that a page shows it from without loading anything."""
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
