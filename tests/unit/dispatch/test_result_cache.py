"""The results that tasks with ``cache`` keep: for how long, how many, and how they travel."""

from dataclasses import dataclass

from attune_ray.dispatch.result_cache import ResultCache

DIGESTS = [bytes([number]) * 16 for number in range(10)]


@dataclass
class SetClock:
    """A clock that a test sets."""

    second: int = 0

    def now(self) -> str:
        """In the first hour of a day."""
        return f"2026-01-01T00:{self.second // 60:02}:{self.second % 60:02}.000000Z"

    async def sleep(self, delay_s: float) -> None:
        """Never called."""
        raise AssertionError(delay_s)


def found(cache: ResultCache, ttl_s: float = 1e9) -> list[int]:
    """Which of the digests have a result now, found directly and by what travels."""
    now_s, known = cache.now_s(), cache.known("a.b")
    here = [n for n, digest in enumerate(DIGESTS) if cache.find(digest, now_s=now_s, ttl_s=ttl_s)]
    there = [n for n, digest in enumerate(DIGESTS) if known and known.find(digest, now_s=now_s, ttl_s=ttl_s)]
    assert here == there
    return here


def test_a_result_is_good_for_as_long_as_both_tasks_say() -> None:
    """The one that made it, and the one that asks; then it is let go of."""
    clock = SetClock()
    cache = ResultCache(clock, 10, 1_000)
    cache.keep("a.b", {DIGESTS[0]: b"0"}, ttl_s=60)
    cache.keep("a.b", {DIGESTS[1]: b"1"}, ttl_s=10)

    clock.second = 9
    assert (found(cache), found(cache, ttl_s=9.5), found(cache, ttl_s=9)) == ([0, 1], [0, 1], [])
    clock.second = 10
    assert (found(cache), len(cache)) == ([0], 1)
    clock.second = 60
    assert (found(cache), len(cache), cache.known("a.b")) == ([], 0, None)


def test_a_newer_result_takes_the_place_of_an_older_one() -> None:
    """And lives for a time of its own."""
    clock = SetClock()
    cache = ResultCache(clock, 10, 1_000)
    cache.keep("a.b", {DIGESTS[0]: b"old"}, ttl_s=10)
    clock.second = 9
    cache.keep("a.b", {DIGESTS[0]: b"new"}, ttl_s=10)
    clock.second = 18

    assert (found(cache), len(cache)) == ([0], 1)
    assert cache.find(DIGESTS[0], now_s=cache.now_s(), ttl_s=10) == b"new"


def test_the_oldest_go_first_where_there_are_too_many() -> None:
    """By their number and by their bytes."""
    by_number, by_bytes = ResultCache(SetClock(), 3, 1_000), ResultCache(SetClock(), 10, 100)
    for number in range(5):
        by_number.keep("a.b", {DIGESTS[number]: b"x"}, ttl_s=60)
        by_bytes.keep("a.b", {DIGESTS[number]: b"x" * 40}, ttl_s=60)
    by_bytes.keep("a.b", {DIGESTS[9]: b"x" * 101}, ttl_s=60)

    assert (found(by_number), found(by_bytes)) == ([2, 3, 4], [])


def test_actions_travel_apart_and_are_joined_again_only_after_a_change() -> None:
    """So what was put once serves until there is something new."""
    cache = ResultCache(SetClock(), 10, 1_000)
    cache.keep("a.b", {DIGESTS[0]: b"0"}, ttl_s=60)
    before = cache.known("a.b")
    cache.keep("c.d", {DIGESTS[1]: b"1"}, ttl_s=60)

    assert cache.known("a.b") is before
    assert found(cache.__class__(SetClock(), 1, 1)) == []
    other = cache.known("c.d")
    assert before is not None
    assert other is not None
    assert (set(before.index), set(other.index)) == ({DIGESTS[0]}, {DIGESTS[1]})
