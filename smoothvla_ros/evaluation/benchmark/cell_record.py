"""A cell of the benchmark in one small file: every episode it measured, and what made them."""

from __future__ import annotations

import dataclasses
import json
import lzma
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.episode_table import (
    COLUMN_TYPES,
    COLUMNS,
    EpisodeRow,
    in_order,
)
from smoothvla_ros.evaluation.plain_json import plain

FORMAT = 1
SUFFIX = '.json.xz'
# Of a measured number: far below what separates two episodes, and half the size of a file.
DIGITS = 6

Columns = Mapping[str, Sequence[float]]


@dataclass(frozen=True, order=True)
class CellName:
    """One cell: the suite it was trained on, how, and with which seed.

    method: 'sft' for the starting policy, the name of a reward, of a rival or of an ablation.
    """

    suite: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f'{self.suite}/{self.method}/seed{self.seed}'

    def path(self, folder: Path) -> Path:
        """Where its file lies below the folder of all cells."""
        return folder / self.suite / f'{self.method}_seed{self.seed}{SUFFIX}'


@dataclass(frozen=True)
class CellRecord:
    """What is kept of a cell, finished or not.

    settings: everything that decides its figures.  policy_sha256: of the weights that ran.
    versions: package -> version.  training: column -> one number an iteration, NaN where none is.
    rows: the episodes, numbers to `DIGITS` digits. The column `policy` says what was evaluated:
    see `Part.label`.
    """

    name: CellName
    settings: Mapping[str, Any]
    policy_sha256: str
    versions: Mapping[str, str]
    training: Columns = field(default_factory=dict)
    rows: tuple[EpisodeRow, ...] = ()


def write_record(folder: Path, record: CellRecord) -> Path:
    """Write a cell's file, whole or not at all; the same record gives the same bytes."""
    rows = [rounded(row) for row in _ordered(record.rows)]
    content = {
        'format': FORMAT,
        'cell': dataclasses.asdict(record.name),
        'settings': dict(record.settings),
        'policy_sha256': record.policy_sha256,
        'versions': dict(record.versions),
        'training': {name: plain(list(values)) for name, values in record.training.items()},
        # A column's numbers are alike, and compress to half of what rows would.
        'episodes': {column: plain([getattr(row, column) for row in rows]) for column in COLUMNS},
    }
    text = json.dumps(content, sort_keys=True, separators=(',', ':'), allow_nan=False)
    path = record.name.path(folder)
    write_file(path, lzma.compress(text.encode(), preset=9))
    return path


def read_record(path: Path) -> CellRecord:
    """Read a cell's file.  Raises UserError if it is missing, damaged or of another format."""
    try:
        content = json.loads(lzma.decompress(path.read_bytes()))
        if content['format'] != FORMAT:
            raise UserError(
                f'{path} has format {content["format"]}; read it with a matching version'
            )
        episodes = content['episodes']
        rows = [
            EpisodeRow(
                **{
                    column: _value(column, value)
                    for column, value in zip(COLUMNS, values, strict=True)
                }
            )
            for values in zip(*(episodes[column] for column in COLUMNS), strict=True)
        ]
        return CellRecord(
            CellName(**content['cell']),
            content['settings'],
            content['policy_sha256'],
            content['versions'],
            {name: _numbers(values) for name, values in content['training'].items()},
            tuple(rows),
        )
    except (OSError, ValueError, TypeError, KeyError, EOFError, lzma.LZMAError) as error:
        raise UserError(
            f'{path} cannot be read ({error!r}); restore it, or delete it to run the cell again'
        ) from error


def read_records(folder: Path) -> dict[CellName, CellRecord]:
    """Read every cell below a folder; none where it does not exist."""
    records = [read_record(path) for path in sorted(folder.glob(f'*/*{SUFFIX}'))]
    return {record.name: record for record in records}


def rounded(row: EpisodeRow) -> EpisodeRow:
    """Return a row as its file will hold it."""
    values: dict[str, Any] = {
        column: float(f'{value:.{DIGITS}g}')
        for column in COLUMNS
        if isinstance(value := getattr(row, column), float)
    }
    return dataclasses.replace(row, **values)


def _ordered(rows: Iterable[EpisodeRow]) -> list[EpisodeRow]:
    return sorted(in_order(rows), key=lambda row: (row.policy, row.suite, row.temperature))


def _value(column: str, value: Any) -> Any:
    kind = COLUMN_TYPES[column]
    if kind is float:
        return math.nan if value is None else float(value)
    if not isinstance(value, kind):
        raise ValueError(f'{column}={value!r} is no {kind.__name__}')
    return value


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
