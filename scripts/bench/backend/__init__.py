"""What stands behind the proxies: `web`, fast, for requests; and `streams`, in Python, for streams and large bodies."""
