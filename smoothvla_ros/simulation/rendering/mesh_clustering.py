"""Coarser drawn meshes in a compiled model, so that software rendering is fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

_CELL_BITS = 20


def cluster_drawn_meshes(
    model: mujoco.MjModel, cell_m: float = 0.004, smallest_mesh_faces: int = 1500
) -> tuple[int, int]:
    """Merge the vertices of big meshes that lie in one cell of a grid, in place.

    Only the triangles that are drawn change: collision uses convex hulls, which are stored apart,
    so the physics is the same to the bit.  Must run before the meshes are uploaded for rendering.
    Vertex clustering after Rossignac and Borrel, "Multi-resolution 3D approximations for
    rendering complex scenes", 1993; each cell keeps the vertex nearest to the cell's mean.

    cell_m: edge of a cell, m.  smallest_mesh_faces: meshes with fewer faces stay as they are.
    Returns the number of faces before and after.
    """
    before = int(model.mesh_facenum.sum())
    for mesh in range(model.nmesh):
        if model.mesh_facenum[mesh] >= smallest_mesh_faces:
            _cluster_mesh(model, mesh, cell_m)
    return before, int(model.mesh_facenum.sum())


def _cluster_mesh(model: mujoco.MjModel, mesh: int, cell_m: float) -> None:
    first_vertex, first_face = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
    vertices = model.mesh_vert[first_vertex : first_vertex + model.mesh_vertnum[mesh]]
    faces = slice(first_face, first_face + model.mesh_facenum[mesh])
    merged = _representatives(vertices, cell_m)[model.mesh_face[faces]]
    kept = _distinct_triangles(merged)
    if len(kept) == 0:
        return
    coarse = slice(first_face, first_face + len(kept))
    model.mesh_face[coarse] = merged[kept]
    for per_corner in (model.mesh_facenormal, model.mesh_facetexcoord):
        per_corner[coarse] = per_corner[faces][kept]
    model.mesh_facenum[mesh] = len(kept)


def _representatives(vertices: np.ndarray, cell_m: float) -> np.ndarray:
    """Return for each vertex [n, 3] the index of the vertex that stands for its cell [n]."""
    cells = np.floor((vertices - vertices.min(axis=0)) / cell_m).astype(np.int64)
    key = (cells[:, 0] << 2 * _CELL_BITS) | (cells[:, 1] << _CELL_BITS) | cells[:, 2]
    cell_of_vertex = np.unique(key, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(cell_of_vertex)
    sums = np.stack([np.bincount(cell_of_vertex, axis) for axis in vertices.T], axis=1)
    means = sums / counts[:, None]
    distances = ((vertices - means[cell_of_vertex]) ** 2).sum(axis=1)
    by_cell_then_distance = np.lexsort((distances, cell_of_vertex))
    first_of_cell = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return by_cell_then_distance[first_of_cell][cell_of_vertex]


def _distinct_triangles(faces: np.ndarray) -> np.ndarray:
    """Return the rows of faces [n, 3] that have three corners, each set of corners once."""
    corners = np.sort(faces, axis=1)
    proper = np.flatnonzero((np.diff(corners, axis=1) != 0).all(axis=1))
    first = np.unique(corners[proper], axis=0, return_index=True)[1]
    return proper[np.sort(first)]
