"""The pytest plugin: a fixture `trueward` that holds rewards to what they must not pay.

    def test_reward(trueward):
        trueward.assert_clean("rewards.py:correct", "prompts.jsonl")

Registered under the entry point `pytest11`, so that installing Trueward is enough. Every pytest run imports this
module: it loads nothing of Trueward until a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trueward.audit.expectations import Expectations


@pytest.fixture(scope="session")
def trueward() -> Iterator[Expectations]:
    """Audits rewards and asserts what they pay; its worker processes live until the session ends."""
    from trueward.audit.expectations import Expectations

    with Expectations() as expectations:
        yield expectations
