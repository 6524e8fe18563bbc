"""What a request is called in metrics and logs: by names of the profile, whatever the request says."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.catalogue.federation import Federation
from gateway.catalogue.prompts import Prompts
from gateway.catalogue.resources import Resources
from gateway.catalogue.tool import Tool
from gateway.errors import GatewayError


class Labels:
    """Names as the profile has them; what a server offers goes by that server alone, `NAME/*`; all else is empty."""

    def __init__(
        self, tools: Mapping[str, Tool], resources: Resources, prompts: Prompts, federation: Federation
    ) -> None:
        self._resources = resources
        self._prompts = prompts.names
        self._federation = federation
        self._tools = {name: (name, tool.policy.name if tool.cached else "") for name, tool in tools.items()}

    def tool(self, name: str) -> tuple[str, str]:
        """Of a tool, and its strategy's, empty where it is not cached."""
        known = self._tools.get(name)
        if known is not None:
            return known
        federated = self._federation.tools.get(name)
        if federated is None:
            return "", ""
        return f"{federated.server.name}/*", federated.policy.name if federated.policy is not None else ""

    def prompt(self, name: str) -> str:
        """Of a prompt."""
        if name in self._prompts:
            return name
        try:
            return f"{self._federation.prompt(name).server.name}/*"
        except GatewayError:
            return ""

    def resource(self, uri: str) -> str:
        """Of a resource."""
        declared = self._resources.name_of(uri)
        if declared is not None:
            return declared
        try:
            server, _ = self._federation.resource(uri)
        except GatewayError:
            return ""
        return f"{server.name}/*"
