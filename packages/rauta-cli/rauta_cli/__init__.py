"""The `rauta` command line client and the `kubectl-rauta` plugin."""
