"""An admin port with a FakeGateway behind it, on loopback: `with serve(FakeGateway()) as url:`.

A shell around http.server for tests and for trying clients; the admin server of a real gateway is rauta-control's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from rauta_agent_api.query import GatewayQuery
from rauta_agent_api.rest import respond


@contextmanager
def serve(gateway: GatewayQuery) -> Iterator[str]:
    """Answer for `gateway` on a free port of 127.0.0.1 in a thread of its own; yields the URL, and stops at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, body = respond(gateway, self.path)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass  # the caller's stderr is the caller's

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
