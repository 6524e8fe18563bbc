from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import trio

from gateway.assembly import open_gateway
from gateway.cli.grafana import grafana
from gateway.profile.loader import load_profile
from gateway.telemetry.exposition import exposed
from gateway.telemetry.grafana import PANELS
from tests.fakes.http_server import HttpServer, answer

PROFILE = """
[strategies.s]
ttl = "1h"
[upstreams.api]
type = "http"
base_url = "{url}"
private_addresses = true
[tools.get]
description = "A thing."
strategy = "s"
fetch = {{ upstream = "api", path = "thing" }}
"""


def test_it_is_a_dashboard(capsys: pytest.CaptureFixture[str]) -> None:
    """Panels with queries that do not overlap, and variables for the data source and the instance."""
    assert grafana() == 0
    out, err = capsys.readouterr()
    assert err == ""
    board = json.loads(out)
    assert [variable["name"] for variable in board["templating"]["list"]] == ["source", "instance"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["targets"] and panel["title"] for panel in panels)
    for panel in panels:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


async def test_every_expression_asks_for_what_there_is(tmp_path: Path, nursery: trio.Nursery) -> None:
    """The metrics, and the labels that are grouped by or selected on, are those of a gateway that runs."""
    server = HttpServer()
    await nursery.start(server.serve)
    server.on("/thing", answer(b'{"is": 1}'))
    (tmp_path / "p.toml").write_text(PROFILE.format(url=server.url) + f'[cache.disk]\npath = "{tmp_path}/c.db"\n')
    loaded = load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path])
    async with open_gateway(loaded.profile, {}) as gateway:
        assert not (await gateway.catalogue.call("get", {})).is_error
        with gateway.watching.requests.watching("tool", "get", strategy="s"):
            pass
        gateway.watching.telemetry.lag.of().record(0.001)
        text = exposed(gateway.watching.metrics(), "text/plain")[0].decode()
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    known = {*re.findall(r"^(\w+)(?:\{| )", text, re.M), *families}
    labels = {name: set(re.findall(r'(\w+)="', line)) for line in text.splitlines() for name in [line.split("{")[0]]}
    expressions = [query for panel in PANELS for query in panel.queries.values()]
    asked = {name for expression in expressions for name in re.findall(r"\bgateway_\w+", expression)}
    assert asked <= known, asked - known
    assert any(name.endswith("_bucket") for name in asked)
    for expression in expressions:
        for name, selector in re.findall(r"\b(gateway_\w+)\{([^}]*)\}", expression):
            wanted = set(re.findall(r"(\w+)(?:=~|!=|=)", selector)) - {"instance"}
            if name in labels:
                assert wanted <= labels[name], expression
        assert expression.count("(") == expression.count(")")
