"""What can be asked of a RAUTA gateway, and the types of the answers."""

DEFAULT_URL = "http://127.0.0.1:9091"
"""Where a gateway answers unless it is told otherwise: the admin port, on loopback."""

DEFAULT_TIMEOUT = 5.0
"""Seconds a client waits for a connection, and for each read."""
