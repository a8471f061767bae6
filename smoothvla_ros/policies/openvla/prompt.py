"""The sentence that OpenVLA was trained on, as ids of the published tokeniser."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from smoothvla_ros.errors import UserError

BEGIN = 1
END = 2
# The tokeniser's lone space: it follows "Out:" in the training data, though not in the prompt.
EMPTY = 29871
_EMPTY_PIECE = '▁'


class Prompt:
    """The published tokeniser, read by its own library.

    transformers builds a tokeniser anew from its parts, in ways that have changed between versions;
    the file itself has not.
    """

    def __init__(self, path: Path, vocabulary: int) -> None:
        """vocabulary: tokens that the model expects, without padding.

        Raises UserError if the file cannot be read or is not the model's.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        # The library raises plain Exception for every file that it cannot read.
        except Exception as error:
            line = ' '.join(str(error).split())[:200]
            raise UserError(f'tokeniser {path} cannot be read ({line}); copy it again') from error
        size = self._tokenizer.get_vocab_size(with_added_tokens=False)
        if size != vocabulary or self._tokenizer.id_to_token(EMPTY) != _EMPTY_PIECE:
            raise UserError(
                f'tokeniser {path} has {size} tokens and {EMPTY} is '
                f'{self._tokenizer.id_to_token(EMPTY)!r}; the model needs {vocabulary} and '
                f'{_EMPTY_PIECE!r}: copy it from where the weights are from'
            )
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.ids = lru_cache(maxsize=1024)(self._ids)

    def _ids(self, instruction: str) -> tuple[int, ...]:
        """Return the ids of the prompt for an instruction, from BEGIN to EMPTY."""
        text = f'In: What action should the robot take to {instruction.lower()}?\nOut:'
        ids = self._tokenizer.encode(text).ids
        if ids[:1] != [BEGIN]:
            ids = [BEGIN, *ids]
        if ids[-1] != EMPTY:
            ids = [*ids, EMPTY]
        return tuple(ids)
