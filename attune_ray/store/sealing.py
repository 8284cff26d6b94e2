"""Bodies that may hold secrets are sealed before they reach a disk: Fernet, under a key that is not in the database."""

import functools
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attune_ray.errors import StateError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

__all__ = ["Sealer"]

_VARIABLE: Final = "ATTUNE_STATE_KEY"


class Sealer:
    """Seals under the key in ``ATTUNE_STATE_KEY``, or else in the file ``key`` of a folder, made when first needed."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "key"

    def seal(self, content: bytes) -> bytes:
        """The content, for those alone who have the key.

        Raises:
            StateError: there is no key that can be used, and none can be made.
        """
        return self._cipher(may_make=True).encrypt(content)

    def unseal(self, content: bytes) -> bytes:
        """What was sealed.

        Raises:
            StateError: the key is missing, or not the one that it was sealed with; or the content is damaged.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - imported when something is sealed

        try:
            return self._cipher(may_make=False).decrypt(content)
        except InvalidToken as error:
            raise StateError(
                f"what is kept of a run with secrets cannot be read with the key in {self._place}: it was sealed with "
                f"another one, or is damaged; put that key into {_VARIABLE} or {self._file}"
            ) from error

    @property
    def _place(self) -> str:
        return _VARIABLE if os.environ.get(_VARIABLE) else str(self._file)

    def _cipher(self, *, may_make: bool) -> "Fernet":
        key = os.environ.get(_VARIABLE, "").encode() or self._from_file(may_make=may_make)
        try:
            return _fernet(key)
        except ValueError as error:
            raise StateError(
                f"the key in {self._place} is none: 32 bytes in URL-safe base64 are, as Fernet.generate_key() of the "
                f"Python package cryptography makes them"
            ) from error

    def _from_file(self, *, may_make: bool) -> bytes:
        try:
            if may_make and not self._file.exists():
                self._make()
            return self._file.read_bytes().strip()
        except FileNotFoundError as error:
            raise StateError(
                f"what is kept of a run with secrets is sealed, and its key is missing: put it back into {self._file}, "
                f"or into the environment variable {_VARIABLE}"
            ) from error
        except OSError as error:
            raise StateError(f"the key of runs with secrets cannot be read or made: {error}") from error

    def _make(self) -> None:
        """A new file, whole when it appears; where another process is faster, its key is everybody's."""
        from cryptography.fernet import Fernet  # noqa: PLC0415 - imported when something is sealed

        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_name(f".key-{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key() + b"\n")
                file.flush()
                os.fsync(descriptor)
            os.link(draft, self._file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


@functools.lru_cache(maxsize=4)
def _fernet(key: bytes) -> "Fernet":
    from cryptography.fernet import Fernet  # noqa: PLC0415 - imported when something is sealed

    return Fernet(key)
