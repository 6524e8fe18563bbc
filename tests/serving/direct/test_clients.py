from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types.methods import parse_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gateway.serving.direct.clients import are_capabilities, is_client_info, is_log_level
from gateway.serving.direct.introduction import version_of
from gateway.serving.direct.metas import Metas
from gateway.serving.protocol import CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, MODERN_VERSION, PROTOCOL_VERSION

USUAL: list[dict[str, Any]] = [
    {},
    {"roots": {"listChanged": True}, "sampling": {}, "elicitation": {}},
    {"roots": {}, "elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}, "context": {}}},
    {"tasks": {"list": {}, "cancel": {}, "requests": {"sampling": {"createMessage": {}}}}},
    {"experimental": {"x/y": {"enabled": True}}, "extensions": {"a/b": {"list": [1]}}},
]
NAMES = [
    "roots",
    "sampling",
    "elicitation",
    "experimental",
    "extensions",
    "tasks",
    "listChanged",
    "form",
    "url",
    "tools",
]
NAMES += ["context", "list", "cancel", "requests", "createMessage", "create", "completions"]
scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "true", "info", "dark", "a"])
trees: st.SearchStrategy[Any] = st.recursive(
    scalars | st.just({}),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
capabilities = st.dictionaries(st.sampled_from(NAMES), trees, max_size=3)
icons = st.lists(
    st.dictionaries(st.sampled_from(["src", "mimeType", "sizes", "theme", "more"]), scalars | st.lists(scalars)) | trees
)
MEMBERS = ["name", "version", "title", "description", "websiteUrl", "more"]
infos = st.builds(
    lambda texts, icons: {**texts, **icons},
    st.dictionaries(st.sampled_from(MEMBERS), scalars).map(lambda each: {"name": "a", "version": "1", **each}),
    st.just({}) | st.fixed_dictionaries({"icons": icons | scalars}),
)


def is_taken(method: str, version: str, params: dict[str, Any]) -> bool:
    """Whether the SDK takes a request with these."""
    try:
        parse_client_request(method, version, params)
    except ValidationError:
        return False
    return True


@given(capabilities, infos, st.sampled_from(HANDSHAKE_PROTOCOL_VERSIONS))
def test_an_initialize_that_is_usual_is_taken_by_the_sdk(able: Any, about: Any, version: str) -> None:  # by Hypothesis
    """Whatever else stands in it."""
    params = {"protocolVersion": version, "capabilities": able, "clientInfo": about}
    if version_of(params) is not None:
        assert is_taken("initialize", version, params)


@given(capabilities, infos, scalars)
def test_a_meta_that_is_accepted_is_taken_by_the_sdk(able: Any, about: Any, level: Any) -> None:  # by Hypothesis
    """Whatever else stands in it."""
    meta = {PROTOCOL_VERSION: MODERN_VERSION, CLIENT_CAPABILITIES: able, CLIENT_INFO: about, LOG_LEVEL: level}
    if Metas().accepts(meta, modern=True):
        assert is_taken("tools/list", MODERN_VERSION, {"_meta": meta})


@pytest.mark.parametrize("able", USUAL)
def test_what_clients_usually_can(able: dict[str, Any]) -> None:
    """It is known without the SDK."""
    assert are_capabilities(able)


def test_who_clients_usually_are() -> None:
    """With an icon, too."""
    about = {"name": "a", "title": "A", "version": "1", "description": "d", "websiteUrl": "https://a.example"}
    icon = {"src": "data:,x", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}
    assert is_client_info(about)
    assert is_client_info({**about, "icons": [icon, {"src": "data:,x"}]})
    assert is_log_level("debug")


@pytest.mark.parametrize(
    "able", [None, 1, {"sampling": 1}, {"roots": {"listChanged": 1}}, {"experimental": {"listChanged": True}}]
)
def test_capabilities_that_are_for_the_sdk_to_judge(able: object) -> None:
    """Wrong ones among them."""
    assert not are_capabilities(able)


CLIENT = {"name": "a", "version": "1"}
ODD_ICONS: list[object] = [None, [1], [{}], [{"src": "a", "theme": "blue"}], [{"src": "a", "sizes": "1x1"}]]
ODD_CLIENTS: list[object] = [
    None,
    {"name": "a"},
    {"name": "a", "version": 1},
    {"name": "a", "version": "1", "more": ""},
]


@pytest.mark.parametrize("about", ODD_CLIENTS + [{**CLIENT, "icons": icons} for icons in ODD_ICONS])
def test_clients_that_are_for_the_sdk_to_judge(about: object) -> None:
    """Wrong ones among them."""
    assert not is_client_info(about)
