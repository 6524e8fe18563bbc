from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from gateway.upstream.retry_after import seconds_to_wait

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "wish",
    ["Sun, 06 Nov 1994 08:51:37 GMT", "Sunday, 06-Nov-94 08:51:37 GMT", "Sun Nov  6 08:51:37 1994", "120", " 120 "],
)
def test_seconds_and_the_three_forms_of_a_date(wish: str) -> None:
    """A date is counted from the answer's own date, so that no clock has to be right."""
    assert seconds_to_wait({"retry-after": wish, "date": DATE}) == 120


def test_without_a_date_the_wall_clock_counts() -> None:
    """A date that is a minute ahead asks for a minute."""
    assert seconds_to_wait({"retry-after": formatdate(time.time() + 60, usegmt=True)}) in (59, 60, 61)


@pytest.mark.parametrize(
    "wish",
    ["", "soon", "-1", "1.5", "1e3", "9" * 10, "٣", "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 99 Nov 1994 08:51:37 GMT",
     "Sun, 06 Nov 99999999999999999999 08:51:37 GMT", "Sun, 06 Nov 1994 08:51:37 +9999999999", "\x00"],
)  # fmt: skip
def test_what_asks_for_nothing(wish: str) -> None:
    """No number, no date, or one that has passed."""
    assert seconds_to_wait({"retry-after": wish, "date": DATE}) is None
