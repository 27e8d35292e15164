"""The fast backend: nginx that answers from memory. Its ETag and its length differ from answer to answer, as those of
real ones do.

It says which port was asked (so that a probe can tell whether the right route was taken) and, to requests with
`x-probe`, what the proxy added to the request. Below `/up/` it reads the body first, all of it, and answers then; a
probe gets it back.
"""

import os
from pathlib import Path

PADS = (120, 260, 380, 520, 700, 950, 1300, 1900)  # bytes; one in eight each
LONGEST = 4096  # of an answer with its head: more than any is

TEMPLATE = """\
daemon off;
{user}
worker_processes 1;
pid web.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 128k;
  default_type application/json;
  split_clients $request_id $pad {{
{pads}
  }}
  map $http_x_probe $seen_for {{ default ""; "1" $http_x_forwarded_for; }}
  map $http_x_probe $seen_proto {{ default ""; "1" $http_x_forwarded_proto; }}
  map $http_x_probe $seen_id {{ default ""; "1" $http_x_request_id; }}
  map $http_x_probe $seen_target {{ default ""; "1" $request_uri; }}
  add_header Cache-Control "private, max-age=0, must-revalidate";
  add_header ETag '"$request_id"';
  add_header Vary "Accept-Encoding, Cookie";
  add_header X-Content-Type-Options nosniff;
  add_header X-Seen-For $seen_for;
  add_header X-Seen-Proto $seen_proto;
  add_header X-Seen-Id $seen_id;
  add_header X-Seen-Target $seen_target;
  server {{
{listens}
    location / {{ return 200 '{{"id":"$request_id","port":$server_port,"pad":"$pad"}}'; }}
    location ^~ /up/ {{ echo_read_request_body; echo_exec @read; }}
    location @read {{
      if ($http_x_probe) {{ return 200 '{{"id":"$request_id","port":$server_port,"body":"$request_body"}}'; }}
      return 200 '{{"id":"$request_id","port":$server_port,"pad":"$pad"}}';
    }}
  }}
}}
"""


def config(ports: tuple[int, ...]) -> str:
    """The nginx configuration for a backend on these ports. Pure but for the question who runs it."""
    share = 100 / len(PADS)
    rows = [f"    {share}% {'x' * pad};" for pad in PADS[:-1]] + [f"    * {'x' * PADS[-1]};"]
    return TEMPLATE.format(
        user="user root;" if os.geteuid() == 0 else "",  # else the worker becomes `nobody`, who may not write here
        pads="\n".join(rows),
        listens="\n".join(f"    listen 127.0.0.1:{port} backlog=4096;" for port in ports),
    )


def command(binary: Path, folder: Path, ports: tuple[int, ...]) -> list[str]:
    """Write the configuration, return the command."""
    (folder / "web.conf").write_text(config(ports))
    return [str(binary), "-p", str(folder), "-c", "web.conf"]
