"""An MCP server of the handshake era over stdio, as badly behaved as a test wants; run as a program of its own.

`mcp_child.py FOLDER`: what it lists is read from `FOLDER/lists.json` whenever it is asked; what it sees is written to
`FOLDER/seen`, a line each. Without the SDK, so that it starts fast and can say what no SDK would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1]) if __name__ == "__main__" else Path()
METHODS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


def lists() -> dict[str, Any]:
    found = json.loads((FOLDER / "lists.json").read_text())
    assert isinstance(found, dict)
    return found


def see(line: str) -> None:
    with (FOLDER / "seen").open("a") as file:
        file.write(line + "\n")


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}


def receive() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    message = json.loads(line)
    assert isinstance(message, dict)
    return message


def note(message: dict[str, Any]) -> None:
    if message.get("method") == "notifications/cancelled":
        see(f"cancelled {message['params']['requestId']}")


def call(request: int, name: str, arguments: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a tool; None where there is to be none."""
    see(f"call {name} {json.dumps(arguments, sort_keys=True)}")
    match name:
        case "count":
            return text(str((FOLDER / "seen").read_text().count("call count")))
        case "fail":
            return text("it did not work", isError=True)
        case "error":
            send(id=request, error={"code": -32042, "message": "go there first", "data": {"elicitations": []}})
            return None
        case "nonsense":
            return {"content": "not a list"}
        case "hang":
            return None
        case "die":
            os._exit(3)
        case "raw":
            sys.stdout.write(f'{{"jsonrpc":"2.0","id":{request},"result":{{"content":[],"structuredContent":{{"is":')
            sys.stdout.write((FOLDER / "raw").read_text() + "}}}\n")
            sys.stdout.flush()
            return None
        case "endless":
            sys.stdout.write(f'{{"jsonrpc":"2.0","id":{request},"result":{{"content":[{{"type":"text","text":"')
            for _ in range(300):
                sys.stdout.write("x" * 10_000)
            sys.stdout.write('"}]}}\n')
            sys.stdout.flush()
            return None
        case "babble":
            sys.stdout.write("this is no message\n\n")
            for number in range(20_000):
                sys.stderr.write(f"line {number} \x1b[31mred\n")
            sys.stderr.write("y" * 3_000_000)
            sys.stderr.flush()
            return text("said enough")
        case "steps":
            for step in (1, 2):
                if "progressToken" in meta:
                    params = {"progressToken": meta["progressToken"], "progress": step, "total": 2}
                    send(method="notifications/progress", params=params)
            send(method="notifications/message", params={"level": "warning", "data": "half way"})
            send(method="notifications/message", params={"level": "debug", "data": "a detail"})
            return text("done")
        case "ask":
            params = {"message": "Who are you?", "requestedSchema": {"type": "object", "properties": {}}}
            send(id="q1", method="elicitation/create", params=params)
            while (answer := receive()).get("id") != "q1":
                note(answer)
            see(f"answered {json.dumps(answer.get('result', answer.get('error')), sort_keys=True)}")
            return text(json.dumps(answer.get("result", answer.get("error")), sort_keys=True))
        case "changed":
            send(method="notifications/tools/list_changed")
            return text("told")
        case "link":
            return {
                "content": [
                    {"type": "resource_link", "uri": "x://a", "name": "a"},
                    {"type": "resource", "resource": {"uri": "x://b", "text": "b"}},
                ]
            }
        case _:
            return text(f"{name} {json.dumps(arguments, sort_keys=True)}")


def page(key: str, cursor: str | None) -> dict[str, Any]:
    """A list, or as many of it as a page holds; with pages of nothing it never ends."""
    found, size = lists()[key], lists().get("page_size")
    if size is None:
        return {key: found}
    end = int(cursor or "0") + size
    more = {"nextCursor": str(end)} if end < len(found) else {}
    return {key: found[end - size : end], **more}


def answer(message: dict[str, Any]) -> None:
    request, method, params = message["id"], message["method"], message.get("params", {})
    match method:
        case "initialize":
            capabilities = lists().get("capabilities", {"tools": {"listChanged": True}})
            info = {"name": "fake", "version": "1"}
            result: dict[str, Any] | None = {
                "protocolVersion": "2025-11-25",
                "capabilities": capabilities,
                "serverInfo": info,
            }
            see(f"initialize {json.dumps(params['capabilities'], sort_keys=True)}")
        case "ping" | "logging/setLevel":
            result = {}
        case _ if method in METHODS and METHODS[method] in lists():
            see(method)
            result = page(METHODS[method], params.get("cursor"))
        case "tools/call":
            result = call(request, params["name"], params.get("arguments", {}), params.get("_meta", {}))
        case "resources/read":
            see(f"read {params['uri']}")
            result = {"contents": [{"uri": params["uri"], "text": f"of {params['uri']}"}]}
        case "prompts/get":
            said = f"{params['name']} {json.dumps(params.get('arguments'), sort_keys=True)}"
            result = {"messages": [{"role": "user", "content": {"type": "text", "text": said}}]}
        case "completion/complete":
            ref = json.dumps(params["ref"], sort_keys=True)
            result = {"completion": {"values": [ref, params["argument"]["value"]]}}
        case _:
            send(id=request, error={"code": -32601, "message": "no such method"})
            return
    if result is not None:
        send(id=request, result=result)


def main() -> None:
    settings = lists()
    see(f"started {os.getpid()} {os.environ.get('SECRET', '')} {' '.join(sys.argv[2:])}".rstrip())
    if settings.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if settings.get("stubborn") or settings.get("parent"):
        child = subprocess.Popen(["sleep", "1000"])
        see(f"child {child.pid}")
    if settings.get("mute"):
        time.sleep(1000)
    while True:
        try:
            message = receive()
        except EOFError:
            see("stdin closed")
            if settings.get("stubborn"):
                time.sleep(1000)
            return
        if "id" in message and "method" in message:
            answer(message)
        else:
            note(message)


if __name__ == "__main__":
    main()
