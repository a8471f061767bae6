"""Off-screen OpenGL: which backend, and the one context of this process.

MuJoCo chooses its backend once, when it is first imported, from ``MUJOCO_GL``; importing
`smoothvla_ros.simulation` sets it where it is unset. All renderers of a process share one OpenGL
context: freeing a context while another lives deletes the wrong objects with some drivers.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator
from typing import Any

from smoothvla_ros.errors import UserError

_REMEDY = 'see whether the graphics driver works, or set MUJOCO_GL=osmesa, which needs none'


def choose_backend() -> str:
    """Set ``MUJOCO_GL`` if it is unset or empty (EGL, else OSMesa), and return it."""
    if not os.environ.get('MUJOCO_GL'):
        os.environ['MUJOCO_GL'] = 'egl' if _can_load('libEGL.so.1') else 'osmesa'
    backend = os.environ['MUJOCO_GL'].lower()
    if backend in ('egl', 'osmesa'):
        os.environ.setdefault('PYOPENGL_PLATFORM', backend)
    return backend


@functools.cache
def shared_context() -> Any:
    """Return the OpenGL context of this process, made on first use and kept until it ends.

    Raises UserError if this machine cannot render.
    """
    choose_backend()
    try:
        from mujoco.rendering.classic import gl_context
        from OpenGL.error import GLError
    except (AttributeError, ImportError, OSError) as error:
        raise cannot_render(error) from error
    try:
        context = gl_context.GLContext(1, 1)
        context.make_current()
    except (AttributeError, GLError, ImportError, OSError, RuntimeError) as error:
        raise cannot_render(error) from error
    atexit.register(context.free)  # at interpreter exit its own finaliser comes too late
    return context


def cannot_render(error: Exception) -> UserError:
    """Return what to tell a user whose machine has no OpenGL that MuJoCo can use."""
    return UserError(
        f'cannot render with MUJOCO_GL={choose_backend()} ({error}); install libegl1 and '
        'libgl1-mesa-dri, or libosmesa6 and set MUJOCO_GL=osmesa'
    )


@contextlib.contextmanager
def named_failure(what: str) -> Iterator[None]:
    """Turn a failure of OpenGL within the block into a UserError that says at what."""
    from mujoco import FatalError
    from OpenGL.error import GLError

    try:
        yield
    except GLError as error:
        operation = getattr(error.baseOperation, '__name__', error.baseOperation)
        code = getattr(error.err, 'name', error.err)
        raise UserError(f'{what}: {operation} failed with {code}; {_REMEDY}') from error
    except (FatalError, RuntimeError) as error:
        raise UserError(f'{what}: {error}; {_REMEDY}') from error


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
