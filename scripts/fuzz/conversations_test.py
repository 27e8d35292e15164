"""The kind `conversations`, one round of it: real workers, and a fuzzer that still understands them."""

import asyncio

from .conversations import run


def test_a_round() -> None:
    assert asyncio.run(run(0, 5, silence=20)) == 0
