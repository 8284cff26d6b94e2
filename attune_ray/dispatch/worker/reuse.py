"""Results that are reused: looked up where an input is rendered, by a digest of the action and of that input.

A task without ``cache`` meets nothing of this: its recorder is the plain one, and its items come as they are.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from attune_ray.actions.output import Output
from attune_ray.dispatch.worker.attempt import Recorder, Summary, stored_output
from attune_ray.dispatch.worker.encoding import canonical, decode, encode
from attune_ray.dispatch.worker.known import Reuse
from attune_ray.dispatch.worker.program import Work
from attune_ray.errors import AttuneError, UnstorableResultError
from attune_ray.expression import ItemContext

__all__ = ["digest_of", "recording"]

_DIGEST_BYTES = 16
_Scopes = Iterator[tuple[int, ItemContext]]


def recording(
    work: Work, indexes: range | tuple[int, ...], *, attempt: int, now_s: float, scopes: _Scopes | None = None
) -> tuple[Recorder, _Scopes]:
    """What collects the rows of a chunk, and the items of it that are to be run: row and context."""
    if scopes is None:
        scopes = ((row, scope) for row, (_, scope) in enumerate(work.scopes(indexes)))
    if work.reuse is None:
        return Recorder.of(work, indexes, attempt), scopes
    recorder = _ReusingRecorder.of(work, indexes, attempt)
    recorder.now_s = now_s
    return recorder, _unknown(recorder, work.reuse, scopes)


def _unknown(recorder: "_ReusingRecorder", reuse: Reuse, scopes: _Scopes) -> _Scopes:
    """The items whose results are not known; the others are recorded when their turn comes."""
    for row, scope in scopes:
        if recorder.is_stopped:
            return
        try:
            digest = digest_of(recorder.work, scope)
        except AttuneError as error:
            recorder.failed(row, scope, error, 0)
            continue
        stored = None if digest is None else reuse.find(digest, recorder.now_s)
        if stored is not None:
            recorder.reused(row, scope, stored)
            continue
        if digest is not None:
            recorder.digests[row] = digest
        yield row, scope


def digest_of(work: Work, scope: ItemContext) -> bytes | None:
    """What identifies a call: its action, and its key or else its input; None where these are no JSON.

    Never the values themselves: they may be secret, and large.

    Raises:
        EvaluationError: a template of them has no value.
    """
    values = work.input_of(scope)
    told = ["input", values] if work.key is None else ["key", work.key.render(scope)]
    try:
        text = canonical([work.program.action, *told])
    except UnstorableResultError:
        return None
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()


@dataclass(slots=True)
class _ReusingRecorder(Recorder):
    """A recorder that takes known results, and keeps new ones.

    Attributes:
        now_s: when the chunk was sent.
        digests: row → what identifies its call.
        fresh: digest → stored result object, of the calls that have succeeded.
    """

    now_s: float = 0.0
    digests: dict[int, bytes] = field(default_factory=dict)
    fresh: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    n_fresh_bytes: int = 0
    n_cached: int = 0

    def reused(self, row: int, scope: ItemContext, stored: bytes) -> None:
        """The call of a row was made before."""
        if self.work.takes_secrets:
            self.learn(scope)
        if self.work.program.is_fan_out:
            known = decode(stored)
            self.rows.data[row] = encode(known["data"] if "data" in known else known.get("stdout"))
        else:
            self.rows.data[row] = encode({**decode(stored), "cached": True})
        self._succeed(row, 0)
        self.n_cached += 1

    def returned(self, row: int, scope: ItemContext, value: Any, duration_us: int) -> None:
        """An action returned; if that is a success, it is kept: a table or array is not, results are kept as JSON."""
        n_before = self.n_succeeded
        Recorder.returned(self, row, scope, value, duration_us)
        reuse, digest = self.work.reuse, self.digests.get(row)
        if self.n_succeeded == n_before or digest is None or reuse is None or self.rows.native is not None:
            return
        output = value if isinstance(value, Output) else Output(data=value)
        stored = encode(stored_output(output, 0, is_python=not isinstance(value, Output)))
        reuse.keep(digest, stored, self.now_s)
        self.n_fresh_bytes += len(stored)
        if self.n_fresh_bytes <= reuse.most_bytes:
            self.fresh[digest] = stored

    def summary(self, *, elapsed_s: float, worker: str) -> Summary:
        """What the coordinator is told, and the results that it may keep."""
        told = Recorder.summary(self, elapsed_s=elapsed_s, worker=worker)
        return told._replace(n_cached=self.n_cached, fresh=self.fresh)
