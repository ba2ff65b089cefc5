"""The one error of the private runtime."""


class PrivateRuntimeError(Exception):
    """The private runtime cannot go on. The text says why, and what to do about it."""
