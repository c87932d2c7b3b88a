"""The one exception that means: the user's input cannot be used as it is."""


class InputError(ValueError):
    """Input that was refused; the message says what was expected, what came and what to do.

    The command line prints it without a traceback and exits with code 2.
    """
