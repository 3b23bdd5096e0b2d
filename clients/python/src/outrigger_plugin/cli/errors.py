"""Errors of the program, each one line on standard error."""


class Failure(Exception):
    """The program cannot go on. ``exit_code`` is what it ends with."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Misuse(Exception):
    """The arguments contradict each other or say too little: exit code 2."""
