"""The `rauta` command line client and the `kubectl-rauta` plugin."""

__version__ = "0.1.0"
