"""`gateway reload`: a running gateway reads its profile anew."""

from __future__ import annotations

import os
from functools import partial

from gateway.cli.admin import Url, open_running
from gateway.cli.options import DEFAULT_PROFILE, Overrides, ProfileName
from gateway.cli.run import run
from gateway.profile.difference import Difference
from gateway.profile.loader import load_profile
from gateway.profile.profile import Profile


def reload(*, profile: ProfileName = DEFAULT_PROFILE, set_: Overrides = (), url: Url = None) -> int:
    """Let a running gateway reload its profile, and print what changed.

    It reads the files and options that it was started with; --profile only says where it runs. Where the profile can't
    be used, nothing changes, and this exits with 1 and says why.
    """
    return run(partial(_reload, load_profile(profile, environ=os.environ, overrides=set_).profile, url))


async def _reload(profile: Profile, url: str | None) -> int:
    async with open_running(profile, url) as admin:
        answer = await admin.ask("POST", "/api/reload")
    for each in answer["changes"]:
        print(Difference(each["key"], each["before"], each["after"]))
    print(f"reloaded, {len(answer['changes'])} keys changed")
    if answer["restart"]:
        print(f"at a restart only: {', '.join(answer['restart'])}")
    return 0
