"""Bytes that nobody thought of, through the whole proxy over fake transports: `hatch run fuzz`.

The judge is h11, which reads what came in, what the backend was sent and what the client was sent. It is more lenient
than a gateway must be, so it may see requests that RAUTA refuses, but never the other way round. `conversations` has
real sockets, and no judge but what was meant (conversations.py).
"""
