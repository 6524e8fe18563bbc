from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.directives import Directives, parse_directives


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Directives()),
        ({"cache-control": "max-age=60"}, Directives(max_age=60)),
        ({"cache-control": "public, MAX-AGE=60, s-maxage=10"}, Directives(max_age=10)),
        ({"cache-control": 'max-age="60"'}, Directives(max_age=60)),
        ({"cache-control": "max-age=60", "age": "50"}, Directives(max_age=60, age=50)),
        ({"cache-control": "max-age=60, max-age=5"}, Directives(max_age=60)),
        ({"cache-control": "max-age=99999999999999999999"}, Directives(max_age=2**31)),
        ({"cache-control": "max-age=-1"}, Directives(max_age=0)),
        ({"cache-control": "max-age=soon"}, Directives(max_age=0)),
        ({"cache-control": "no-store"}, Directives(no_store=True)),
        ({"cache-control": 'private="x, y", no-cache'}, Directives(private=True, no_cache=True)),
        ({"cache-control": 'ext="no-store, max-age=1"'}, Directives()),
        (
            {"cache-control": "must-revalidate, stale-while-revalidate=5, stale-if-error=6"},
            Directives(must_revalidate=True, stale_while_revalidate=5, stale_if_error=6),
        ),
        (
            {"date": "Sun, 22 Nov 2026 10:00:00 GMT", "expires": "Sun, 22 Nov 2026 10:01:00 GMT"},
            Directives(max_age=60),
        ),
        (
            {"cache-control": "max-age=5", "date": "Sun, 22 Nov 2026 10:00:00 GMT", "expires": "0"},
            Directives(max_age=5),
        ),
        ({"date": "Sun, 22 Nov 2026 10:00:00 GMT", "expires": "0"}, Directives(max_age=0)),
        ({"expires": "Sun, 22 Nov 2026 10:01:00 GMT"}, Directives(max_age=0)),
        ({"age": "old"}, Directives()),
    ],
)
def test_an_answers_headers_are_read_as_rfc_9111_has_them(headers: dict[str, str], expected: Directives) -> None:
    """s-maxage before max-age before Expires; the first of repeated directives; what is malformed is not fresh."""
    assert parse_directives(headers) == expected


@given(st.dictionaries(st.sampled_from(["cache-control", "age", "expires", "date"]), st.text(max_size=200)))
def test_no_header_is_too_odd(headers: dict[str, str]) -> None:
    """Whatever an upstream sends, parsing it gives times that make sense."""
    directives = parse_directives(headers)
    assert directives.age >= 0
    assert directives.remaining is None or directives.remaining >= 0


def test_a_long_header_is_read_in_no_time() -> None:
    """A quoted text without end, a megabyte of backslashes: linear time."""
    assert parse_directives({"cache-control": 'a="' + "\\" * 1_000_000}).max_age is None
