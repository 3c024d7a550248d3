"""A stand-in for the server of W&B on the loopback interface; started by the tests in a process of its own.

It prints its port, keeps the rows it is sent, and tells them at ``GET /received``.
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"id": "P", "name": "p", "entity": {"id": "E", "name": "e"}}
received: list[dict[str, Any]] = []


def bucket() -> dict[str, Any]:
    """Return what the server knows of the run."""
    last = received[-1] if received else {}
    return {
        "id": "B",
        "name": "run",
        "displayName": "run",
        "description": "",
        "notes": "",
        "config": "{}",
        "wandbConfig": json.dumps({"t": 1}),
        "sweepName": None,
        "tags": [],
        "project": PROJECT,
        "summaryMetrics": json.dumps(last),
        "historyLineCount": len(received),
        "eventsLineCount": 0,
        "logLineCount": 0,
        "historyTail": json.dumps([json.dumps(last)] if received else []),
        "eventsTail": "[]",
    }


def viewer() -> dict[str, Any]:
    """Return an account without teams."""
    return {
        "viewer": {"id": "v", "entity": "e", "username": "e", "flags": "{}", "teams": {"edges": []}},
        "serverInfo": {"cliVersionInfo": {"max_cli_version": "9.9.9"}, "latestLocalVersionInfo": None},
    }


def upload_places(variables: dict[str, Any], host: str) -> dict[str, Any]:
    """Return where the client may put its files."""
    names = variables.get("files", [])
    files = [{"name": name, "uploadUrl": f"http://{host}/put/{index}"} for index, name in enumerate(names)]
    return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": files}}


def answer(query: str, variables: dict[str, Any], host: str) -> dict[str, Any]:
    """Return the data of a GraphQL answer; empty for what the tests do not need."""
    match = re.search(r"(?:query|mutation)\s+(\w+)", query)
    name = match.group(1) if match else ""
    if name == "UpsertBucket":
        return {"upsertBucket": {"bucket": bucket(), "inserted": not received}}
    if name == "RunResumeStatus":
        return {"model": {**PROJECT, "bucket": bucket() if received else None}}
    if name == "CreateRunFiles":
        return upload_places(variables, host)
    return viewer() if name == "Viewer" else {}


class Handler(BaseHTTPRequestHandler):
    """Answers what the client asks."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is inherited
        """Be quiet."""

    def _reply(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:
        """Tell what was received."""
        self._reply(received if self.path == "/received" else {})

    def do_PUT(self) -> None:
        """Accept an upload."""
        self._body()
        self._reply({})

    def do_POST(self) -> None:
        """Take history rows, or answer a query."""
        body: dict[str, Any] = json.loads(self._body())
        if "file_stream" in self.path:
            files: dict[str, Any] = body.get("files") or {}
            lines: list[str] = files.get("wandb-history.jsonl", {}).get("content", [])
            received.extend(json.loads(line) for line in lines)
            self._reply({"exitcode": None, "limits": {}})
        else:
            self._reply(
                {"data": answer(body.get("query", ""), body.get("variables") or {}, self.headers["Host"])}
            )


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    sys.stdin.close()
    server.serve_forever()
