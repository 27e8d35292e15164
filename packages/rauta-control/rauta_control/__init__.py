"""RAUTA, the gateway: a supervisor, N proxy workers and one control process with the admin server."""
