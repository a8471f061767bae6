"""Forward kinematics and Jacobian of one tool frame, from any URDF."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pinocchio as pin

from smoothvla_ros.errors import UserError

# Pinocchio's models of a joint that slides.
_SLIDING = {f'JointModel{kind}' for kind in ('PX', 'PY', 'PZ', 'PrismaticUnaligned')}


class Arm:
    """The joints between a base and a tool frame; every other joint of the URDF is locked.

    All poses and twists are of the tool frame, in axes of the base frame, metres and radians.
    Safe to share between threads.
    """

    def __init__(
        self,
        model: pin.Model,
        tool_frame: str,
        tool_offset: Sequence[float] = (0.0, 0.0, 0.0),
        base_frame: str | None = None,
        joint_names: Sequence[str] | None = None,
        place: str = 'robot model',
    ) -> None:
        """Choose frames and joints of a Pinocchio model; most callers use `from_urdf`."""
        tool = _frame(model, tool_frame, place)
        base = _frame(model, base_frame, place) if base_frame is not None else 0
        chain = _chain(model, base, tool, place)
        self._joint_names = tuple(joint_names) if joint_names is not None else chain
        _check_joints(model, self._joint_names, chain, place)
        self._place = place

        locked = [i for i in range(1, model.njoints) if model.names[i] not in self._joint_names]
        reduced = pin.buildReducedModel(model, locked, pin.neutral(model))
        parent = reduced.frames[reduced.getFrameId(tool_frame)]
        offset = pin.SE3(np.eye(3), np.asarray(tool_offset, dtype=np.float64))
        self._tool = reduced.addFrame(
            pin.Frame(
                f'{tool_frame}+offset',
                parent.parentJoint,
                parent.placement * offset,
                pin.FrameType.OP_FRAME,
            ),
            False,
        )
        self._model = reduced
        self._data = reduced.createData()
        self._lock = threading.Lock()

        joints = [reduced.joints[reduced.getJointId(name)] for name in self._joint_names]
        self._columns = np.array([joint.idx_v for joint in joints])
        self._in_model_order = reduced.nq == len(joints) and bool(
            np.all(np.diff(self._columns) == 1)
        )
        # What Pinocchio fills of an inertia.
        self._upper = np.triu(np.ones((reduced.nv, reduced.nv), dtype=bool))
        # Pinocchio holds a joint without limits as (cos, sin) of its angle.
        self._first = np.array([joint.idx_q for joint in joints])
        self._unlimited = np.array([joint.nq == 2 for joint in joints])
        self._base = self._constant_base(base_frame)

    @classmethod
    def panda(cls) -> Arm:
        """Return the Franka Panda as LIBERO has it and config/robots/panda.yaml describes it.

        The tool has the axes of panda_hand: its pose is robosuite's robot0_eef_pos and
        robot0_eef_quat, seen from the base, panda_link0.
        Raises UserError where that file or its URDF is not installed or cannot be used.
        """
        # Imported here: a robot's description is built of this class.
        from smoothvla_ros.kinematics.robot import panda_description

        return panda_description().arm()

    @classmethod
    def from_urdf(
        cls,
        path: Path | str,
        tool_frame: str,
        tool_offset: Sequence[float] = (0.0, 0.0, 0.0),
        base_frame: str | None = None,
        joint_names: Sequence[str] | None = None,
    ) -> Arm:
        """Read an arm from a URDF file; meshes are not needed.

        tool_frame: a link or joint of the URDF.  tool_offset: [3] m, in axes of `tool_frame`.
        base_frame: the frame that everything is expressed in; None is the root link.
        joint_names: their order is the order of every joint vector; None takes all moving joints
        between base and tool. Joints that are not named stay at zero; one between base and tool
        may not be left out, because the tool would then be somewhere else than the model says.
        Raises UserError for a missing or unreadable file and for unknown frames and joints.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f'URDF {path} does not exist; give the path of a readable file')
        try:
            model = pin.buildModelFromUrdf(str(path))
        except (ValueError, RuntimeError) as error:
            line = ' '.join(str(error).split())
            raise UserError(f'URDF {path} cannot be read: {line}; check the file') from error
        return cls(model, tool_frame, tool_offset, base_frame, joint_names, place=f'URDF {path}')

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the n joints, in the order of every joint vector."""
        return self._joint_names

    @property
    def sliding_joints(self) -> frozenset[str]:
        """Names of the joints whose position is a length in metres instead of an angle."""
        model = self._model
        kinds = {n: model.joints[model.getJointId(n)].shortname() for n in self._joint_names}
        return frozenset(name for name, kind in kinds.items() if kind in _SLIDING)

    @property
    def turning(self) -> np.ndarray:
        """Which joints turn instead of sliding: bool [n]."""
        sliding = self.sliding_joints
        return np.array([name not in sliding for name in self._joint_names])

    def joint_limits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the URDF allows: lower and upper ends [n] rad, largest velocity [n] rad/s.

        Metres for a sliding joint. Infinite where the URDF has no limit: a continuous joint's
        range, and a velocity that is given as 0.
        """
        model, first = self._model, self._first
        lower = np.where(self._unlimited, -np.inf, model.lowerPositionLimit[first])
        upper = np.where(self._unlimited, np.inf, model.upperPositionLimit[first])
        velocity = model.velocityLimit[self._columns]
        return lower, upper, np.where(velocity > 0.0, velocity, np.inf)

    def joint_indices(self, names: Sequence[str]) -> np.ndarray:
        """Return where this arm's joints stand in `names`, such as a JointState's: int [n].

        Names that are not this arm's are ignored.  Raises UserError for a joint that is missing.
        """
        positions = {name: index for index, name in enumerate(names)}
        for name in self._joint_names:
            if name not in positions:
                raise UserError(
                    f'joint {name} of {self._place} is not among {", ".join(names) or "no names"}; '
                    'give the joint names of this robot'
                )
        return np.array([positions[name] for name in self._joint_names])

    def tool_pose(self, joint_positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return position [3] m and rotation matrix [3, 3] of the tool in the base frame.

        joint_positions: [n] rad (m for a sliding joint).  Raises UserError for a wrong length or
        a value that is not finite.
        """
        configuration = self._configuration(joint_positions)
        with self._lock:
            pin.forwardKinematics(self._model, self._data, configuration)
            pose = pin.updateFramePlacement(self._model, self._data, self._tool)
            position, rotation = pose.translation.copy(), pose.rotation.copy()
        if self._base is None:
            return position, rotation
        base_rotation, base_position = self._base
        return base_rotation.T @ (position - base_position), base_rotation.T @ rotation

    def joint_origins(self, joint_positions: np.ndarray) -> np.ndarray:
        """Return where each joint's axis has its origin: [n, 3] m, in the base frame.

        joint_positions: [n] rad (m for a sliding joint).  Raises UserError as `tool_pose` does.
        """
        configuration = self._configuration(joint_positions)
        with self._lock:
            pin.forwardKinematics(self._model, self._data, configuration)
            origins = np.array(
                [
                    self._data.oMi[self._model.getJointId(name)].translation
                    for name in self._joint_names
                ]
            )
        if self._base is None:
            return origins
        rotation, position = self._base
        return (origins - position) @ rotation

    def jacobian(self, joint_positions: np.ndarray) -> np.ndarray:
        """Return the Jacobian [6, n] of the tool: linear rows first, then angular.

        Times the joint velocities it is the velocity of the tool point and the angular velocity
        of the tool, both in axes of the base frame (Pinocchio's LOCAL_WORLD_ALIGNED).
        joint_positions: [n] rad (m for a sliding joint).  Raises UserError as `tool_pose` does.
        """
        configuration = self._configuration(joint_positions)
        with self._lock:
            jacobian = pin.computeFrameJacobian(
                self._model, self._data, configuration, self._tool, pin.LOCAL_WORLD_ALIGNED
            )
        if not self._in_model_order:
            jacobian = jacobian[:, self._columns]
        if self._base is not None:
            axes = self._base[0].T
            jacobian = np.concatenate([axes @ jacobian[:3], axes @ jacobian[3:]])
        return jacobian

    def pose_and_jacobian(
        self, joint_positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `tool_pose` and `jacobian` of one configuration: [3], [3, 3] and [6, n].

        One pass through the chain: what an iteration of inverse kinematics needs.
        joint_positions: [n] rad (m for a sliding joint).  Raises UserError as `tool_pose` does.
        """
        configuration = self._configuration(joint_positions)
        with self._lock:
            jacobian = pin.computeFrameJacobian(
                self._model, self._data, configuration, self._tool, pin.LOCAL_WORLD_ALIGNED
            )
            pose = pin.updateFramePlacement(self._model, self._data, self._tool)
            position, rotation = pose.translation.copy(), pose.rotation.copy()
        if not self._in_model_order:
            jacobian = jacobian[:, self._columns]
        if self._base is None:
            return position, rotation, jacobian
        base_rotation, base_position = self._base
        axes = base_rotation.T
        return (
            axes @ (position - base_position),
            axes @ rotation,
            np.concatenate([axes @ jacobian[:3], axes @ jacobian[3:]]),
        )

    def mass_matrix(self, joint_positions: np.ndarray) -> np.ndarray:
        """Return the joint-space inertia of the links as the URDF gives it, [n, n].

        kg m^2 between turning joints; rotors and gears are not part of a URDF.
        joint_positions: [n] rad (m for a sliding joint).  Raises UserError as `tool_pose` does.
        """
        configuration = self._configuration(joint_positions)
        with self._lock:
            upper = pin.crba(self._model, self._data, configuration).copy()
        whole = np.where(self._upper, upper, upper.T)
        return whole if self._in_model_order else whole[np.ix_(self._columns, self._columns)]

    def gravity_torque(self, joint_positions: np.ndarray) -> np.ndarray:
        """Return the torques [n] N m that hold the links of the URDF against gravity.

        joint_positions: [n] rad (m for a sliding joint).  Raises UserError as `tool_pose` does.
        """
        configuration = self._configuration(joint_positions)
        with self._lock:
            torques = pin.computeGeneralizedGravity(self._model, self._data, configuration)
        return torques[self._columns]

    def tool_twist(self, joint_positions: np.ndarray, joint_velocities: np.ndarray) -> np.ndarray:
        """Return [6]: velocity of the tool point in m/s, angular velocity in rad/s, base axes.

        joint_positions: [n] rad.  joint_velocities: [n] rad/s.  Raises UserError as `tool_pose`.
        """
        return self.jacobian(joint_positions) @ self._checked(joint_velocities, 'velocities')

    def _checked(self, values: np.ndarray, what: str = 'positions') -> np.ndarray:
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(self._joint_names),):
            raise UserError(
                f'joint {what} have shape {array.shape}; {self._place} has '
                f'{len(self._joint_names)} joints: {", ".join(self._joint_names)}'
            )
        if not math.isfinite(array.dot(array)):
            raise UserError(f'joint {what} {array} are not all finite; drop this sample')
        return array

    def _configuration(self, joint_positions: np.ndarray) -> np.ndarray:
        """Return Pinocchio's own configuration vector."""
        array = self._checked(joint_positions)
        if self._in_model_order:
            return array
        configuration = np.empty(self._model.nq)
        unlimited = self._unlimited
        configuration[self._first] = np.where(unlimited, np.cos(array), array)
        configuration[self._first[unlimited] + 1] = np.sin(array[unlimited])
        return configuration

    def _constant_base(self, base_frame: str | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Return rotation and position of the base in the root; None where it is the root."""
        if base_frame is None:
            return None
        pin.framesForwardKinematics(self._model, self._data, pin.neutral(self._model))
        pose = self._data.oMf[self._model.getFrameId(base_frame)]
        if pose.isIdentity(0.0):
            return None
        return pose.rotation.copy(), pose.translation.copy()


def _frame(model: pin.Model, name: str, place: str) -> int:
    if not model.existFrame(name):
        known = ', '.join(f.name for f in model.frames if f.type == pin.FrameType.BODY)
        raise UserError(f'{place} has no frame {name!r}; its links are {known}')
    return int(model.getFrameId(name))


def _chain(model: pin.Model, base: int, tool: int, place: str) -> tuple[str, ...]:
    """Return the names of the joints that move the tool against the base, base first."""
    base_joint, joint = model.frames[base].parentJoint, model.frames[tool].parentJoint
    names: list[str] = []
    while joint not in (base_joint, 0):
        names.insert(0, model.names[joint])
        joint = model.parents[joint]
    if joint != base_joint:
        raise UserError(
            f'{place}: {model.frames[tool].name} is not carried by {model.frames[base].name}; '
            'choose a base frame between the root and the tool'
        )
    return tuple(names)


def _check_joints(model: pin.Model, names: Sequence[str], chain: Sequence[str], place: str) -> None:
    known = list(model.names)[1:]
    for name in names:
        if name not in known:
            raise UserError(
                f'{place} has no joint {name!r}; its moving joints are {", ".join(known)}'
            )
        joint: Any = model.joints[model.getJointId(name)]
        if joint.nv != 1:
            raise UserError(
                f'{place}: joint {name} moves in {joint.nv} directions; only one is known'
            )
    if not names or len(set(names)) != len(names):
        raise UserError(f'{place}: joint names {list(names)} must be distinct and at least one')
    left_out = [name for name in chain if name not in names]
    if left_out:
        raise UserError(
            f'{place}: joint {left_out[0]} lies between base and tool and is not named; '
            f'name all of {", ".join(chain)}'
        )
