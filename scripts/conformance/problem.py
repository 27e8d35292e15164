"""The one error of the runner."""


class ConformanceError(Exception):
    """The run cannot go on; the message is for the person who started it."""
