"""The errors a user can meet. A message says what, which value, what was expected, what to do next."""


class MemauditError(Exception):
    """Base of every error that memaudit raises on purpose; `exit_code` is what the command returns."""

    exit_code = 2


class UsageError(MemauditError):
    """A wrong option, or options that contradict each other."""


class InputError(MemauditError):
    """A file or folder that cannot be used: absent, malformed, of another kind."""


class EmptyInputError(InputError):
    """A source without a single image."""


class MissingDependencyError(MemauditError):
    """An optional package or a weights file is not there; the message holds the line that brings it."""


class InconclusiveError(MemauditError):
    """The input is well-formed but incomplete, so that any answer could be a false "clean"."""

    exit_code = 3
