"""Exceptions that are told to the user in one message: the command line prints no traceback and exits with 2."""


class InputError(ValueError):
    """Input that was refused; the message says what was expected, what came and what to do."""


class StorageError(Exception):
    """The disk did not take a file; what was stored before is untouched."""
