"""When a failed attempt is made again.

Belongs here: the delays of a policy, and which errors end it. Does not: waiting.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from cogniforge_pipeline.workflow.model import Polling, RetryPolicy


def delay(policy: RetryPolicy, failures: int, seed: str) -> float:
    """Seconds to wait after so many failures (at least 1); the same seed gives the same jitter."""
    full = _grown(
        policy.initial_interval_seconds, policy.backoff_coefficient, failures, policy.maximum_interval_seconds
    )
    return full * (1 - policy.jitter * random.Random(seed).random()) if policy.jitter else full


def poll_delay(polling: Polling, polls: int) -> float:
    """Seconds to wait after so many polls (at least 1)."""
    return _grown(polling.interval_seconds, polling.backoff_coefficient, polls, polling.maximum_interval_seconds)


def again(policy: RetryPolicy, failures: int, error: Mapping[str, Any]) -> bool:
    """Whether an attempt that failed so is followed by another one after so many failures."""
    if error.get("final") or error["type"] in policy.non_retryable_errors:
        return False
    return policy.max_attempts == 0 or failures < policy.max_attempts


def _grown(first: float, coefficient: float, times: int, most: float) -> float:
    try:
        return min(first * coefficient ** (times - 1), most)
    except OverflowError:
        return most
