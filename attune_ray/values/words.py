"""How an error names things: the path of a key, and the word that was meant."""

import difflib
import itertools
import re
from collections.abc import Iterable

__all__ = ["closest", "did_you_mean", "key_path"]

_MAX_COMPARED = 1_000  # words a name is compared with: 2 µs each
_MAX_WORD = 100  # characters: comparing takes their square
_SIMPLE_KEY = re.compile(r"[\w-]+")


def key_path(path: str, key: str) -> str:
    """The path of ``key`` in the map at ``path``: ``path.key``, or ``path["a.b"]`` where the key is no plain word."""
    if not _SIMPLE_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known word that is closest to ``name``; None when none is close. Looks at the first 1,000 words."""
    if len(name) > _MAX_WORD:
        return None
    words = [word for word in itertools.islice(known, _MAX_COMPARED) if len(word) <= _MAX_WORD]
    return next(iter(difflib.get_close_matches(name, words, n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest known word; "" when none is close."""
    word = closest(name, known)
    return f"did you mean `{word}`?" if word else ""
