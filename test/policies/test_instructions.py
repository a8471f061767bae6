"""Words keep their numbers, and words never seen are no error."""

from pathlib import Path

import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.instructions import PADDING, UNKNOWN, Vocabulary


def test_unseen_words_are_unknown_and_the_rest_padded():
    """A paraphrase keeps its known words; case and punctuation do not matter."""
    vocabulary = Vocabulary.of(['open the drawer'])
    encoded = vocabulary.encode('Open the, CABINET!', 5)
    known = vocabulary.encode('open the drawer', 5)
    assert encoded.tolist() == [known[0], known[1], UNKNOWN, PADDING, PADDING]


def test_an_empty_instruction_still_has_a_word():
    """Attention over no word at all would be NaN."""
    assert Vocabulary.of(['open']).encode(' ?! ', 3).tolist() == [UNKNOWN, PADDING, PADDING]


def test_growing_keeps_the_numbers_of_known_words(tmp_path: Path):
    """Weights trained with the old numbers stay right, also through the file."""
    old = Vocabulary.of(['open the drawer'])
    new = Vocabulary.of(['close a drawer'], old.words)
    assert new.words[: len(old)] == old.words
    assert set(new.words) - set(old.words) == {'close', 'a'}
    new.write(tmp_path / 'vocabulary.json')
    assert Vocabulary.read(tmp_path / 'vocabulary.json') == new


@pytest.mark.parametrize('content', ['', '{"a": 1}', '["open"]'])
def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path, content: str):
    """One line that names the file."""
    path = tmp_path / 'vocabulary.json'
    path.write_text(content)
    with pytest.raises(UserError, match=r'vocabulary\.json'):
        Vocabulary.read(path)
