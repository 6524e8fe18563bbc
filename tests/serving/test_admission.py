from __future__ import annotations

from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.clients import Client as Known
from gateway.serving.admission import ANYONE, Client, Refusal, caller_of, own_credential
from tests.serving.gate import ALICE, BOB, NO_TOKEN, Gate, bearer, once


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("blanks", ["", " ", "   "])
def test_a_known_token(scheme: str, blanks: str) -> None:
    """Each client is told by its token, whatever the case of the scheme and the blanks around."""
    gate = Gate()
    assert gate.admission.needed
    assert gate.ask(bearer(blanks + ALICE, scheme)) == Client("alice")
    assert gate.ask(bearer(BOB + blanks, scheme)) == Client("bob")
    assert gate.counted() == {}


@pytest.mark.parametrize(
    "authorizations",
    [
        (),
        (b"",),
        (b"Bearer",),
        (b"Bearer ",),
        (b"Basic YWxpY2U6YWxpY2U=",),
        (ALICE.encode(),),
        (f"Token {ALICE}".encode(),),
        (f"Bearer\t{ALICE}".encode(),),
        (f"Bearer:{ALICE}".encode(),),
    ],
)
def test_no_token(authorizations: tuple[bytes, ...]) -> None:
    """Without a bearer token a client is told that one is needed, and that nothing was wrong with any."""
    gate = Gate()
    refusal = gate.refused(*authorizations)
    assert (refusal.status, refusal.body) == (401, NO_TOKEN)
    assert refusal.headers == ((b"www-authenticate", b'Bearer realm="gateway"'),)
    assert gate.counted() == {("no_token", ""): 1}


@pytest.mark.parametrize(
    "token",
    [
        ALICE[:-1],
        ALICE + "x",
        ALICE.upper(),
        f"{ALICE} {ALICE}",
        f"{ALICE},",
        f'"{ALICE}"',
        "x",
        "\xff\x00",
        "a" * 10**6,
    ],
    ids=lambda token: ascii(token[:20]),
)
def test_an_unknown_token(token: str) -> None:
    """A token that is nearly one, or no token at all, is none."""
    gate = Gate()
    refusal = gate.refused(bearer(token))
    assert (refusal.status, refusal.body) == (401, b"No client has this token (clients)\n")
    assert refusal.headers == ((b"www-authenticate", b'Bearer realm="gateway", error="invalid_token"'),)
    assert gate.counted() == {("unknown_token", ""): 1}


@pytest.mark.parametrize("second", [bearer(ALICE), bearer(BOB), b"", b"Basic x"])
def test_several_headers(second: bytes) -> None:
    """A good token does not cover for a second header: who asks could be told in two ways."""
    gate = Gate()
    refusal = gate.refused(bearer(ALICE), second)
    sentence = b"One Authorization header says who asks, and there are several (server.authentication)\n"
    assert (refusal.status, refusal.body) == (400, sentence)
    assert refusal.headers == ((b"www-authenticate", b'Bearer realm="gateway", error="invalid_request"'),)
    assert gate.counted() == {("several_tokens", ""): 1}


def test_nobody_may_ask() -> None:
    """Where there are no clients, no token is right, also not an empty one."""
    gate = Gate(clients={})
    assert gate.refused(bearer(ALICE)).status == gate.refused(b"Bearer ").status == gate.refused().status == 401


def test_the_realm_is_quoted() -> None:
    """A name with quotes, line breaks or letters beyond ASCII can't become another header."""
    headers = Gate(name='a "b" \\ c\r\nX: y é').refused().headers
    assert headers == ((b"www-authenticate", b'Bearer realm="a \\"b\\" \\\\ c??X: y ?"'),)


@pytest.mark.parametrize("authorizations", [(), (b"Bearer x",), (b"a", b"b")])
def test_nothing_to_check(authorizations: tuple[bytes, ...]) -> None:
    """Without authentication and limit nobody is asked anything, and can be told so once."""
    gate = Gate(authentication="none")
    assert not gate.admission.needed
    assert gate.ask(*authorizations) is ANYONE


def test_a_limit_for_each_client() -> None:
    """A client that asks too often is told when to come back, is let in then, and costs the others nothing."""
    gate = Gate(limit=(2, 10.0))
    assert [gate.ask(bearer(ALICE)) for _ in range(2)] == [Client("alice")] * 2
    refusal = gate.refused(bearer(ALICE))
    sentence = b"Too many requests: at most 2 in 10s, the next one in 5s (server.rate_limit)\n"
    assert (refusal.status, refusal.body, refusal.headers) == (429, sentence, ((b"retry-after", b"5"),))
    assert gate.ask(bearer(BOB)) == Client("bob")
    gate.now += 4.9
    assert gate.refused(bearer(ALICE)).headers == ((b"retry-after", b"1"),)
    gate.now += 0.1
    assert gate.ask(bearer(ALICE)) == Client("alice")
    assert gate.counted() == {("rate_limit", "alice"): 2}


def test_the_limit_of_one_client() -> None:
    """What a client's own table says counts in place of the server's, and is what the sentence names."""
    clients = {"alice": Known(token=ALICE, rate_limit=once(60.0)), "bob.b": Known(token=BOB)}
    gate = Gate(limit=(3, 60.0), clients=clients)
    gate.ask(bearer(ALICE))
    sentence = b"Too many requests: at most 1 in 1m, the next one in 60s (clients.alice.rate_limit)\n"
    assert gate.refused(bearer(ALICE)).body == sentence
    assert [gate.ask(bearer(BOB)) for _ in range(3)] == [Client("bob.b")] * 3
    assert b"(server.rate_limit)" in gate.refused(bearer(BOB)).body
    assert Gate(clients=clients).ask(bearer(BOB)) == Client("bob.b")


def test_a_limit_of_a_client_with_dots_in_its_name() -> None:
    """The key is named as the profile has to write it."""
    gate = Gate(clients={"a.b": Known(token=ALICE, rate_limit=once(1.0))})
    gate.ask(bearer(ALICE))
    assert b'(clients."a.b".rate_limit)' in gate.refused(bearer(ALICE)).body


def test_who_is_not_known_takes_nothing() -> None:
    """Wrong tokens from the address of a client do not keep that client out."""
    gate = Gate(limit=(1, 60.0))
    for _ in range(5):
        assert gate.refused(bearer("x" * 16)).status == gate.refused().status == 401
    assert gate.ask(bearer(ALICE)) == Client("alice")


def test_a_limit_for_each_address() -> None:
    """Where nobody has a name, each address has a limit of its own, whatever else it sends."""
    gate = Gate(authentication="none", limit=(1, 60.0), clients={})
    assert gate.admission.needed
    assert gate.ask() is ANYONE
    refusal = gate.refused(bearer(ALICE))
    assert refusal.body == b"Too many requests: at most 1 in 1m, the next one in 60s (server.rate_limit)\n"
    assert gate.ask(address="192.0.2.2") is ANYONE
    assert gate.counted() == {("rate_limit", ""): 1}


STEPS = st.lists(st.tuples(st.floats(0, 30), st.sampled_from([ALICE, BOB])), min_size=1, max_size=200)


@given(st.integers(1, 20), st.floats(0.01, 3600), STEPS)
def test_no_client_ever_gets_more(max_: int, window: float, steps: list[tuple[float, str]]) -> None:
    """Whoever asks when: each gets at most `max` and what flows in meanwhile; who waits as told gets its answer."""
    gate = Gate(limit=(max_, window))
    admitted: dict[str, list[float]] = {ALICE: [], BOB: []}
    for wait, token in steps:
        gate.now += wait
        outcome = gate.ask(bearer(token))
        if isinstance(outcome, Refusal):
            seconds = int(dict(outcome.headers)[b"retry-after"])
            assert 1 <= seconds <= window / max_ + 1
            gate.now += seconds
            assert isinstance(gate.ask(bearer(token)), Client)
        admitted[token].append(gate.now)
    for times in admitted.values():
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= max_ + (times[last] - start) * max_ / window + 1e-6 * max_


@given(st.lists(st.binary(max_size=40), max_size=3), st.text(max_size=40))
def test_whatever_is_sent(authorizations: list[bytes], address: str) -> None:
    """Any bytes and any address are refused with an answer that is one: a line of text and headers without breaks."""
    refusal = Gate(limit=(1, 1.0)).refused(*authorizations, address=address)
    assert refusal.status in (400, 401)
    assert refusal.body.endswith(b"\n")
    assert refusal.body.count(b"\n") == 1
    assert all(value.isascii() and value.decode().isprintable() for _, value in refusal.headers)


def test_told_once_a_second() -> None:
    """Each reason has at most one line a second, with the client's name and never with what was sent."""
    gate = Gate(limit=(1, 600.0))
    gate.ask(bearer(ALICE))
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            gate.refused(bearer("secret-secret-secret"))
            gate.refused(bearer(ALICE))
            gate.now += 0.4
        gate.now += 0.2
        gate.refused(bearer("secret-secret-secret"), address="2001:db8::1")
    told = {"event": "request refused", "log_level": "warning"}
    unknown = {**told, "reason": "unknown_token", "key": "clients"}
    limited = {**told, "reason": "rate_limit", "client": "alice", "key": "server.rate_limit"}
    assert lines == [
        {**unknown, "address": "192.0.2.1"},
        {**limited, "address": "192.0.2.1"},
        {**unknown, "address": "2001:db8::1"},
    ]
    assert gate.counted() == {("unknown_token", ""): 4, ("rate_limit", "alice"): 3}


def test_tokens_are_not_kept() -> None:
    """No token stands in anything that the admission holds, nor in how the profile looks."""
    gate = Gate()
    assert ALICE not in repr(gate.profile)
    assert ALICE not in repr(vars(gate.admission))
    assert ALICE.encode() not in b"".join(vars(gate.admission)["_known"])


def test_who_owns_private_answers() -> None:
    """A named client keeps its answers with another token; without a name they are those of a credential."""
    assert caller_of(Client("alice"), "Bearer a") == caller_of(Client("alice"), "Bearer b") == "client:alice"
    assert caller_of(ANYONE, "") == ""
    assert caller_of(ANYONE, "Bearer a") != caller_of(ANYONE, "Bearer b")
    assert len(caller_of(ANYONE, "Bearer a")) == 24


@pytest.mark.parametrize("authentication", ["bearer", "none"])
def test_the_process_itself(authentication: Literal["bearer", "none"]) -> None:
    """What it asks itself is let in whatever the profile says, and takes nothing from anybody's limit."""
    gate = Gate(authentication=authentication, limit=(1, 60.0))
    assert [gate.ask(own_credential(), address="127.0.0.1") for _ in range(3)] == [ANYONE] * 3
    assert gate.ask(bearer(ALICE), address="127.0.0.1") in (Client("alice"), ANYONE)
    assert gate.counted() == {}


def test_nobody_else_is_the_process() -> None:
    """A part of its credential, or a second one beside it, is none."""
    for authorizations in ((own_credential()[:-1],), (own_credential(), own_credential()), (own_credential()[7:],)):
        assert isinstance(Gate().ask(*authorizations), Refusal)
