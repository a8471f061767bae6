"""Smaller texture files for a scene, so that software rendering needs less memory and time."""

from __future__ import annotations

import functools
import hashlib
import io
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

# Attributes of a texture that cut several images out of one file.
_LAYOUT_ATTRIBUTES = ('gridsize', 'gridlayout')


def with_reduced_textures(scene_xml: str, largest_edge: int) -> tuple[str, dict[str, bytes]]:
    """Return the scene with its big PNG textures reduced, and those files' new contents.

    An image is reduced by the smallest power of two that leaves no edge longer than
    `largest_edge` pixels, each pixel the mean of a square, which is how the levels of a mipmap are
    made: a texture that is seen smaller than that looks the same.  The second value is what
    ``mujoco.MjModel.from_xml_string`` takes as assets.
    """
    root = ElementTree.fromstring(scene_xml)
    assets: dict[str, bytes] = {}
    for texture in root.iter('texture'):
        file = texture.get('file', '')
        if not file.endswith('.png') or any(key in texture.attrib for key in _LAYOUT_ATTRIBUTES):
            continue
        content = _reduced(Path(file), largest_edge)
        if content is not None:
            # MuJoCo caches decoded files by name: another content needs another name.
            name = f'{hashlib.sha256(content).hexdigest()}.png'
            texture.set('file', name)
            assets[name] = content
    return ElementTree.tostring(root, encoding='unicode'), assets


@functools.lru_cache(maxsize=256)
def _reduced(file: Path, largest_edge: int) -> bytes | None:
    """Return a reduced image as PNG, or None if it is small enough."""
    with Image.open(file) as image:
        factor = 1
        while max(image.size) > factor * largest_edge:
            factor *= 2
        if factor == 1:
            return None
        content = io.BytesIO()
        image.convert('RGB').reduce(factor).save(content, 'PNG', compress_level=1)
    return content.getvalue()
