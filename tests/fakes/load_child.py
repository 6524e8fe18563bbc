"""An MCP server over stdio for load tests: answers out of order, asks back, is noisy, and may end in the middle."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def main() -> None:
    left = int(sys.argv[1])
    held: list[dict[str, Any]] = []
    pinged = asked = False
    for line in sys.stdin:
        message = json.loads(line)
        method = message.get("method")
        if method == "server/discover":
            say({"id": message["id"], "error": {"code": -32601, "message": "no such method"}})
        elif method == "initialize":
            say({"id": message["id"], "result": {"protocolVersion": "2025-11-25", "capabilities": {}}})
        elif method == "notifications/initialized":
            print("not a message", flush=True)
            say({"id": "p", "method": "ping"})
            say({"id": "s", "method": "sampling/createMessage", "params": {}})
        elif message.get("id") == "p":
            pinged = message["result"] == {}
        elif message.get("id") == "s":
            asked = message["error"]["code"] == -32601
        elif method == "tools/call":
            left -= 1
            if left < 0:
                print("out of calls", file=sys.stderr)
                return
            held.append(message)
        if len(held) == 2 and pinged and asked:
            for one in reversed(held):
                text = str(one["params"]["arguments"]["n"])
                say({"id": one["id"], "result": {"content": [{"type": "text", "text": text}]}})
            held.clear()


if __name__ == "__main__":
    main()
