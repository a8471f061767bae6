"""The transition tables of docs/architecture.md and docs/guard.md name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = ('architecture', 'guard')


def test_every_row_names_a_test_that_exists():
    """A row without a test, or with one that is gone, fails here."""
    text = '\n'.join((ROOT / 'docs' / f'{name}.md').read_text() for name in DOCUMENTS)
    tests = '\n'.join(path.read_text() for path in (ROOT / 'test').rglob('test_*.py'))
    existing = set(re.findall(r'def (test_\w+)', tests))
    rows = 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if len(cells) != 5 or cells[0] in ('state', '---'):
            continue
        rows += 1
        names = re.findall(r'`(test_\w+)`', cells[4])
        assert names, f'no test in the row: {line}'
        assert set(names) <= existing, f'unknown test in the row: {line}'
    assert rows > 60
