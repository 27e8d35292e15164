"""Checks of what installs RAUTA: `manifests/`, `docker/` and `deploy/`."""
