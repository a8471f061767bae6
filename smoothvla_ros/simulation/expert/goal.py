"""What a task asks for, read from the goal predicates of its BDDL file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Goal:
    """One goal predicate.

    predicate: ``on``, ``in``, ``open``, ``close``, ``turnon`` or ``turnoff``.
    subject: the object that is to be moved, or the fixture (part) that is to change.
    target: where the subject has to go; empty for the predicates of one argument.
    """

    predicate: str
    subject: str
    target: str = ''

    @property
    def expression(self) -> tuple[str, ...]:
        """The predicate as the simulator evaluates it."""
        parts = (self.predicate, self.subject, self.target)
        return parts if self.target else parts[:2]


@dataclass(frozen=True)
class Problem:
    """The goals of a task, and what stands in its scene: movable objects and fixtures by name."""

    goals: tuple[Goal, ...]
    objects: tuple[str, ...]
    fixtures: tuple[str, ...]
    categories: dict[str, str]

    def owner(self, name: str) -> str:
        """Return the object or fixture that a region such as ``basket_1_contain_region`` is of.

        Regions of the arena itself (``main_table_...``) are nobody's: the empty string.
        """
        owners = [part for part in self.objects + self.fixtures if name.startswith(part)]
        return max(owners, key=len, default='')


def read_problem(bddl_file: Path) -> Problem:
    """Parse a BDDL file."""
    from libero.libero.envs.bddl_utils import robosuite_parse_problem  # slow to import

    parsed = robosuite_parse_problem(str(bddl_file))
    categories = {
        name: category
        for group in (parsed['objects'], parsed['fixtures'])
        for category, names in group.items()
        for name in names
    }
    fixtures = {name for names in parsed['fixtures'].values() for name in names}
    arenas = {region['target'] for region in parsed['regions'].values()}
    return Problem(
        goals=tuple(Goal(*(part.lower() for part in goal)) for goal in parsed['goal_state']),
        objects=tuple(name for names in parsed['objects'].values() for name in names),
        # The arena (table, floor) is listed as a fixture that the regions lie on.
        fixtures=tuple(sorted(name for name in fixtures if not _is_arena(name, arenas))),
        categories=categories,
    )


def _is_arena(name: str, region_targets: set[str]) -> bool:
    return name in region_targets and ('table' in name or 'floor' in name)
