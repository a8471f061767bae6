"""The links of an arm as Rerun shows them, with the meshes that its URDF names."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import rerun

from smoothvla_ros.errors import UserError

_SCHEME = 'package://'
# Pale, so that one sees what is drawn inside of the links.
_SEEN_THROUGH = (215, 222, 230, 110)


class RobotModel:
    """Draws a URDF once, and from then on moves its joints."""

    def __init__(self, recording: rerun.RecordingStream, urdf: Path, robot: str) -> None:
        """Send the links below the entity `robot`.

        Raises UserError where the file cannot be read.  A link whose mesh is not on this machine
        is not drawn.
        """
        self._recording = recording
        self._robot = robot
        try:
            document = ElementTree.parse(urdf)
        except (OSError, ElementTree.ParseError) as error:
            raise UserError(f'URDF {urdf} cannot be read: {error}; check the file') from error
        self.missing_meshes = tuple(_place_meshes(document, urdf))
        with tempfile.NamedTemporaryFile('wb', suffix='.urdf') as file:
            document.write(file)
            file.flush()
            tree = rerun.urdf.UrdfTree.from_file_path(file.name, robot, frame_prefix=f'{robot}/')
        self.frame = f'{robot}/{tree.root_link().name}'
        tree.log_urdf_to_recording(recording)
        links = {joint.child_link for joint in tree.joints()} | {tree.root_link().name}
        for path in chain.from_iterable(map(tree.get_visual_geometry_paths, links)):
            look = rerun.Asset3D.from_fields(albedo_factor=_SEEN_THROUGH)
            recording.log(path, look, static=True)
        self._joints = {joint.name: joint for joint in tree.joints() if joint.joint_type != 'fixed'}

    def move(self, positions: Mapping[str, float]) -> None:
        """Show joints at these positions, rad or m, at the recording's present time.

        Joints that are not the model's are ignored; one that mimics another follows it.
        """
        for name, joint in self._joints.items():
            mimic = joint.mimic
            if name in positions:
                value = positions[name]
            elif mimic is not None and mimic.joint in positions:
                value = mimic.multiplier * positions[mimic.joint] + mimic.offset
            else:
                continue
            transform = joint.compute_transform(value, clamp=False)
            self._recording.log(f'{self._robot}/joints/{name}', transform)


def _place_meshes(document: Any, urdf: Path) -> Iterator[str]:
    """Give every mesh its place on this machine; yield and leave out those that have none.

    What collides is left out too: it would be drawn over what is seen.
    """
    for link in document.iter('link'):
        for collision in link.findall('collision'):
            link.remove(collision)
        for visual in link.findall('visual'):
            mesh = visual.find('geometry/mesh')
            if mesh is None:
                continue
            place = _place(mesh.get('filename', ''), urdf)
            if place is None:
                yield mesh.get('filename', '')
                link.remove(visual)
            else:
                mesh.set('filename', place.as_uri())


def _place(uri: str, urdf: Path) -> Path | None:
    """Return the file of ``package://NAME/PATH``, looked for in the folders above the URDF."""
    if uri.startswith(_SCHEME):
        package, _, path = uri.removeprefix(_SCHEME).partition('/')
        candidates = [folder / path for folder in urdf.resolve().parents if folder.name == package]
        candidates += [folder / package / path for folder in urdf.resolve().parents]
    else:
        candidates = [urdf.parent / uri.removeprefix('file://')]
    return next((candidate for candidate in candidates if candidate.is_file()), None)
