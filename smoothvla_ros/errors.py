"""The one error that a user is meant to read."""


class UserError(Exception):
    """Something the user can put right: a bad value, a missing file, an unwritable folder.

    The message is one line and names the value, the place it came from and the remedy. Command
    line entry points print it without a traceback and exit with status 2.
    """
