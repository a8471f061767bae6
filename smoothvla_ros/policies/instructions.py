"""Instructions as word numbers: a small vocabulary that travels with the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError

PADDING = 0
UNKNOWN = 1
_SPECIAL = ('<padding>', '<unknown>')
_WORD = re.compile(r'[a-z0-9]+')


def split_words(instruction: str) -> list[str]:
    """Return the lower-case words of an instruction, without punctuation."""
    return _WORD.findall(instruction.lower())


@dataclass(frozen=True)
class Vocabulary:
    """Words in a fixed order; number 0 pads and number 1 stands for every unseen word."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, instructions: Iterable[str], known: Sequence[str] = ()) -> Vocabulary:
        """Collect the words of `instructions`, after the `known` ones, which keep their numbers."""
        words = list(known) or list(_SPECIAL)
        fresh = {word for text in instructions for word in split_words(text)} - set(words)
        return cls(tuple(words + sorted(fresh)))

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Read a vocabulary; raises UserError naming the file if it is not one."""
        try:
            words = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f'vocabulary {path} cannot be read: {error}; copy it again') from error
        if not isinstance(words, list) or tuple(words[:2]) != _SPECIAL:
            raise UserError(f'vocabulary {path} is not a list of words; copy it again')
        return cls(tuple(words))

    def write(self, path: Path) -> None:
        """Write the words as JSON, atomically."""
        write_file(path, json.dumps(list(self.words), indent=0) + '\n')

    def __len__(self) -> int:
        """Return how many word numbers there are, the two special ones included."""
        return len(self.words)

    def encode(self, instruction: str, length: int) -> np.ndarray:
        """Return int64 [length] word numbers; longer instructions keep their first words."""
        numbers = {word: number for number, word in enumerate(self.words)}
        encoded = np.full(length, PADDING, dtype=np.int64)
        words = split_words(instruction)[:length]
        # An instruction without a single word still needs one number to attend to.
        found = [numbers.get(word, UNKNOWN) for word in words] or [UNKNOWN]
        encoded[: len(found)] = found
        return encoded
