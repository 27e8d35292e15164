"""Who may ask the admin server: checks of Host and Origin on every request. Pure.

The admin server has no password on loopback, so a web page must not reach it through its visitor's browser. A page can
send requests anywhere, but not choose these two fields: Host is the name in the URL, Origin where the page came from. A
page's own name that suddenly resolves to 127.0.0.1 (DNS rebinding) is still in Host; an IP address cannot be rebound.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def refusal(host: str | None, origin: str | None) -> str:
    """Return why a request with these header fields is refused, empty if it is not."""
    name = _hostname(f"//{host}") if host else ""
    if not (_is_local(name) or _is_address(name)):
        return f"the Host {host!r} is neither localhost nor an IP address"
    if origin is None or origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower()):
        return ""
    if not _is_local(_hostname(origin)):
        return f"the Origin {origin!r} is another site"
    return ""


def _hostname(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is no number
    except ValueError:
        return ""
    strange = parts.username is not None or parts.path or parts.query or parts.fragment
    return "" if strange else (parts.hostname or "")


def _is_local(name: str) -> bool:
    """Whether it is a name or address of this machine that nobody else can claim (RFC 6761 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
