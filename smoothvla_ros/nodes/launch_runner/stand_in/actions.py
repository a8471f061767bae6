"""What a launch file can ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from smoothvla_ros.nodes.launch_runner.stand_in.conditions import IfCondition
from smoothvla_ros.nodes.launch_runner.stand_in.substitutions import LaunchContext


class Action:
    """Something that happens when a launch file runs."""

    def __init__(self, *, condition: IfCondition | None = None) -> None:
        self.condition = condition


class DeclareLaunchArgument(Action):
    """An argument ``name:=value`` with its default, description and choices."""

    def __init__(
        self,
        name: str,
        *,
        default_value: Any = None,
        description: str | None = None,
        choices: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.default_value = default_value
        self.description = description or 'no description given'
        self.choices = list(choices) if choices is not None else None


class OpaqueFunction(Action):
    """A function of the context that returns more actions."""

    def __init__(
        self,
        *,
        function: Callable[..., Iterable[Action] | None],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        condition: IfCondition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._function = function
        self._args = args
        self._kwargs = dict(kwargs or {})

    def actions(self, context: LaunchContext) -> list[Action]:
        """Call the function and return what it wants done."""
        return list(self._function(context, *self._args, **self._kwargs) or ())


class Shutdown(Action):
    """End everything."""

    def __init__(self, *, reason: str = 'reason not given') -> None:
        super().__init__()
        self.reason = reason


class Node(Action):
    """An executable of a package, run as a ROS node."""

    def __init__(
        self,
        *,
        package: Any,
        executable: Any,
        exec_name: Any = None,
        name: Any = None,
        namespace: Any = None,
        parameters: Sequence[Any] | None = None,
        remappings: Iterable[tuple[Any, Any]] | None = None,
        arguments: Iterable[Any] | None = None,
        ros_arguments: Iterable[Any] | None = None,
        prefix: Any = None,
        output: str = 'log',
        emulate_tty: bool = False,
        on_exit: Action | None = None,
        condition: IfCondition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self.package = package
        self.executable = executable
        self.exec_name = exec_name
        self.name = name
        self.namespace = namespace
        self.parameters = list(parameters or ())
        self.remappings = list(remappings or ())
        self.arguments = list(arguments or ())
        self.ros_arguments = list(ros_arguments or ())
        self.prefix = prefix
        self.output = output
        self.emulate_tty = emulate_tty
        self.on_exit = on_exit


class ParameterValue:
    """A parameter's value of a fixed type, where text would be read as YAML."""

    def __init__(self, value: Any, *, value_type: type | None = None) -> None:
        self.value = value
        self.value_type = value_type


class LaunchDescription:
    """The actions of a launch file, in order."""

    def __init__(self, initial_entities: Iterable[Action] = ()) -> None:
        self.entities = list(initial_entities)

    def add_action(self, action: Action) -> None:
        """Append an action."""
        self.entities.append(action)
