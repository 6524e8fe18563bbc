from __future__ import annotations

import pytest

from gateway.profile.effective import effective
from gateway.profile.loader import Loaded
from tests.profile.folder import Folder

SECRET = 'a credential, "${credential:NAME}"; neither profiles nor the environment are for secrets'
TOKEN = 'a token of 16 to 4096 letters, digits, "-", ".", "_", "~", "+" and "/"'
ALICE = '[clients.alice]\ntoken = "${credential:alice}"\n'
BOB = '[clients.bob]\ntoken = "${credential:bob}"\n'
BEARER = '[server]\nauthentication = "bearer"\n'
CANARY = "canary-canary-canary"


def environ(folder: Folder, **tokens: str) -> dict[str, str]:
    for name, token in tokens.items():
        folder.write(f"credentials/{name}", token)
    return {"CREDENTIALS_DIRECTORY": str(folder.path / "credentials"), "TOKEN": CANARY}


def loaded(folder: Folder, text: str) -> Loaded:
    return folder.load(text, environ=environ(folder, alice=CANARY, bob=f"{CANARY}-2"))


def test_clients(folder: Folder) -> None:
    """Clients have tokens and, if they want, limits of their own; a server has one for all."""
    limits = 'rate_limit = { max = 600, window = "1m" }\n'
    about = loaded(folder, BEARER + limits + ALICE + limits.replace("600", "6000") + BOB)
    profile = about.profile
    assert about.warnings == ()
    assert (profile.server.authentication, list(profile.clients)) == ("bearer", ["alice", "bob"])
    assert profile.clients["alice"].token == CANARY
    limit, own = profile.server.rate_limit, profile.clients["alice"].rate_limit
    assert limit is not None
    assert own is not None
    assert (limit.max, limit.window, own.max) == (600, 60.0, 6000)
    assert profile.clients["bob"].rate_limit is None


def test_without_any(folder: Folder) -> None:
    """Unless the profile says otherwise whoever reaches the server may ask, at any rate."""
    profile = folder.load("description = 'd'").profile
    assert (profile.server.authentication, profile.server.rate_limit, profile.clients) == ("none", None, {})


def test_a_token_is_never_shown(folder: Folder) -> None:
    """Neither what `gateway show` prints nor a representation has it."""
    about = loaded(folder, BEARER + ALICE)
    assert CANARY not in effective(about, origins=True) + repr(about)
    assert 'token = "${credential:alice}"  # p.toml:4' in effective(about, origins=True)


@pytest.mark.parametrize(
    ("value", "found"), [(CANARY, "a literal"), ("${TOKEN}", '"${TOKEN}"'), ("short", "a literal"), ("", "a literal")]
)
def test_a_token_is_a_credential(folder: Folder, value: str, found: str) -> None:
    """A literal or a variable is a fault that does not repeat it."""
    (fault,) = map(str, folder.faults(f'{BEARER}[clients.alice]\ntoken = "{value}"', environ=environ(folder)))
    assert fault == f"p.toml:4:9: clients.alice.token: expected {SECRET}, found {found}" + (
        '\n     4 | token = "${TOKEN}"\n       |         ^' if value == "${TOKEN}" else ""
    )


def test_a_token_of_the_command_line(folder: Folder) -> None:
    """`--set` stands in the list of processes; it is no place for a token, either."""
    (fault,) = folder.faults(BEARER, overrides=[f"clients.alice.token={CANARY}"])
    assert str(fault) == f"--set: clients.alice.token: expected {SECRET}, found a literal"


@pytest.mark.parametrize("token", ["", "fifteen-letters", "with blanks in it", "quote-quote-quote-'", "\u00fcber-" * 4])
def test_no_token(folder: Folder, token: str) -> None:
    """A token that is too short to be safe, or that no header can hold, is a fault that does not repeat it."""
    (fault,) = folder.faults(BEARER + ALICE, environ=environ(folder, alice=token))
    first = f'p.toml:4:9: clients.alice.token: expected {TOKEN}, found "${{credential:alice}}"'
    assert str(fault).partition("\n")[0] == first
    assert not token or token not in str(fault)


def test_a_token_that_is_too_long(folder: Folder) -> None:
    """A token has to fit into a request's head; one of 4096 characters does."""
    assert folder.load(BEARER + ALICE, environ=environ(folder, alice="x" * 4096)).warnings == ()
    assert len(folder.faults(BEARER + ALICE, environ=environ(folder, alice="x" * 4097))) == 1


def test_a_client_without_a_token(folder: Folder) -> None:
    """Who has none could never ask."""
    (line,) = folder.lines(f"{BEARER}[clients.alice]\n")
    assert line == "p.toml:3:1: clients.alice.token: expected the key token, found none"


def test_a_token_that_is_not_there(folder: Folder) -> None:
    """A credential that is missing is told once."""
    (line,) = folder.lines(BEARER + ALICE, environ=environ(folder, bob=CANARY))
    found = "no such file in $CREDENTIALS_DIRECTORY"
    assert line == f"p.toml:4:9: clients.alice.token: expected the credential alice, found {found}"


def test_two_clients_with_one_token(folder: Folder) -> None:
    """Who asks with it could not be told: the second one is the fault."""
    faults = folder.faults(BEARER + ALICE + BOB, environ=environ(folder, alice=CANARY, bob=CANARY))
    assert [str(fault) for fault in faults] == [
        'p.toml:6:9: clients.bob.token: expected another token than that of clients.alice, found "${credential:bob}"'
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[server]\nauthentication = "basic"', '2:18: server.authentication: expected "none" or "bearer"'),
        ("[server]\nrate_limit = { max = 0 }", "2:22: server.rate_limit.max: expected at least 1, found 0"),
        ("[server]\nrate_limit = 5", "2:14: server.rate_limit: expected a table, found 5"),
        ("[clients.'a b']\ntoken = '${credential:alice}'", '1:10: clients."a b": expected a name of letters'),
        ("[clients.a]\ntoken = '${credential:alice}'\nrate = 1", "3:1: clients.a.rate: expected one of the keys token"),
    ],
)
def test_faults(folder: Folder, text: str, line: str) -> None:
    """Each has its place and says what is expected."""
    (found,) = folder.lines(text, environ=environ(folder, alice=CANARY))
    assert found.startswith(f"p.toml:{line}")


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        (
            BEARER,
            "2:1: server.authentication: warning: there are no clients, so nobody may ask",
            'add one: [clients.NAME] with token = "${credential:NAME}"',
        ),
        (
            ALICE,
            "1:2: clients: warning: nobody is asked for a token, so whoever reaches the server is answered",
            'set server.authentication = "bearer"',
        ),
    ],
)
def test_contradictions(folder: Folder, text: str, line: str, remedy: str) -> None:
    """A question that nobody can answer, and clients that nobody asks for."""
    (warning,) = loaded(folder, text).warnings
    assert str(warning).partition("\n")[0] == f"p.toml:{line}"
    assert warning.remedy == remedy
