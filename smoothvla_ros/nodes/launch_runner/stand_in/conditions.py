"""Whether an action is run at all."""

from __future__ import annotations

from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.stand_in.substitutions import LaunchContext, text


class IfCondition:
    """True where the text is true."""

    _wanted = True

    def __init__(self, predicate_expression: Any) -> None:
        self._expression = predicate_expression

    def evaluate(self, context: LaunchContext) -> bool:
        """Return whether the action runs.  Raises UserError for text that is no truth value."""
        value = text(self._expression, context).strip().lower()
        if value not in ('true', 'false', '1', '0'):
            raise UserError(f'launch file: condition {value!r} is neither true nor false')
        return (value in ('true', '1')) is self._wanted


class UnlessCondition(IfCondition):
    """True where the text is false."""

    _wanted = False
