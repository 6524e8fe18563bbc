from __future__ import annotations

import pytest

from gateway.pipeline.model import Entry
from gateway.profile.serving import Server
from gateway.serving.direct.forms import form_of
from gateway.serving.direct.wire import Wire

PAYLOAD = b'{"content":[{"text":"%b","type":"text"}]}' % (b"x" * 50_000)


@pytest.mark.parametrize("modern", [False, True])
def test_a_form_shares_the_payload_and_counts_what_is_its_own(*, modern: bool) -> None:
    """A part of a long answer is nobody's but the form's."""
    wire = Wire(Server(), escaping=True)
    shared = form_of(wire, Entry(PAYLOAD, 0.0, 1.0), PAYLOAD, None, 1.0, modern=modern)
    assert shared.size < 2_000
    part = form_of(wire, Entry(b"the whole", 0.0, 1.0), PAYLOAD, "cursor", 1.0, modern=modern)
    assert part.size > 50_000
