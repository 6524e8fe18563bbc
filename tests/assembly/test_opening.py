from __future__ import annotations

from pathlib import Path

import pytest

from gateway.assembly import open_gateway
from gateway.assembly.running import open_running
from gateway.profile.loader import Loaded, load_profile

PROFILE = """
[cache.disk]
path = "{folder}/cache.db"
enabled = {disk}
[strategies.s]
ttl = "1h"
[upstreams.docs]
type = "files"
root = "{folder}"
[upstreams.api]
type = "http"
base_url = "http://127.0.0.1:9"
"""


@pytest.fixture(params=["true", "false"])
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> Loaded:
    (tmp_path / "p.toml").write_text(PROFILE.format(folder=tmp_path, disk=request.param))
    return load_profile("p", environ={}, cwd=tmp_path, folders=[tmp_path])


@pytest.mark.parametrize("ahead", [True, False])
async def test_what_goes_wrong_in_the_block_leaves_it(ahead: bool, loaded: Loaded) -> None:
    """Closing cancels loads, and nothing of the block's own: its exception is not lost on the way out."""
    with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
        async with open_gateway(loaded.profile, {}, ahead=ahead):
            raise KeyError("mine")


async def test_the_same_where_it_can_be_replaced(loaded: Loaded) -> None:
    """Also of a gateway whose profile can be reloaded."""
    with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
        async with open_running(loaded, {}):
            raise KeyError("mine")
