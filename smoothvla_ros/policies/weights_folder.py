"""A folder of weights with the hash of every file, written whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smoothvla_ros.atomic_files import new_folder
from smoothvla_ros.errors import UserError, disk_errors

HASHES = 'SHA256SUMS'


@contextmanager
def write_atomically(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends, add the hashes and put it in place.

    Raises UserError naming the folder if it cannot be written. After an error in the block the
    old folder is as it was.
    """
    folder = Path(folder)
    with disk_errors(str(folder)), ExitStack() as stack:
        try:
            temporary = stack.enter_context(new_folder(folder))
        except OSError as error:
            raise UserError(f'{folder}: {error.strerror}; choose another folder') from error
        yield temporary
        _add_hashes(temporary)


def _add_hashes(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    lines = [f'{file_hash(folder / name)}  {name}\n' for name in names]
    (folder / HASHES).write_text(''.join(lines))
    # safetensors makes its files private; a policy is shared as any new file of the user's is.
    usual_mode = (folder / HASHES).stat().st_mode
    for name in names:
        (folder / name).chmod(usual_mode)


def check_files(folder: Path, names: Sequence[str]) -> None:
    """Raise UserError naming the first file that is missing or differs from its hash."""
    if not folder.is_dir():
        raise UserError(f'policy {folder} is not a folder; train one with `smoothvla sft`')
    for name in (HASHES, *names):
        if not (folder / name).is_file():
            raise UserError(f'policy {folder}: {name} is missing; copy the folder again')
    expected = {}
    for line in (folder / HASHES).read_text(errors='replace').splitlines():
        digest, _, name = line.partition('  ')
        expected[name] = digest
    for name in names:
        if expected.get(name) != file_hash(folder / name):
            raise UserError(f'policy {folder}: {name} is damaged (its hash differs); copy it again')


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder, by relative name, in order of name."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def folder_sha256(folder: Path) -> str:
    """Return one SHA-256 over the names and contents of all files below a folder, as hex."""
    digest = hashlib.sha256()
    for name, content in file_hashes(folder).items():
        digest.update(f'{name}\0{content}\n'.encode())
    return digest.hexdigest()


def require_unchanged(folder: Path, version: int, sha256: str) -> None:
    """Raise UserError unless a policy's folder is what was announced as `version`.

    sha256: `folder_sha256` of that.
    """
    if folder_sha256(folder) != sha256:
        raise UserError(
            f'policy {folder} changed since version {version} was announced; resume from an '
            'intact checkpoint'
        )
