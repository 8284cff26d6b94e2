"""When a failed attempt is tried again."""

from attune_ray.model import Backoff, Retry

__all__ = ["delay_s"]


def delay_s(retry: Retry, attempt: int) -> float:
    """Seconds to wait after the failed attempt number ``attempt`` (1-based), LANGUAGE §4.

    Constant: delay; linear: delay·n; exponential: delay·2^(n-1); never above ``max_delay_s``.

    >>> from attune_ray.model import Backoff, Retry
    >>> [delay_s(Retry(count=4, delay_s=1, backoff=Backoff.EXPONENTIAL, max_delay_s=5), n) for n in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]
    """
    match retry.backoff:
        case Backoff.CONSTANT:
            wait_s = retry.delay_s
        case Backoff.LINEAR:
            wait_s = retry.delay_s * attempt
        case Backoff.EXPONENTIAL:
            wait_s = retry.delay_s * 2.0 ** (attempt - 1)
    return float(wait_s if retry.max_delay_s is None else min(wait_s, retry.max_delay_s))
