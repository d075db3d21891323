"""One tree of errors. Every message names the file, column, table or key, what was found and what was expected."""


class TandemRecError(Exception):
    """What went wrong in the user's terms: the command line prints it as one line and exits with 1."""


class ConfigError(TandemRecError):
    """A setting is unknown, of the wrong type, or does not fit another."""


class SourceError(TandemRecError):
    """A source file or folder is missing, empty, unreadable or lacks a mapped column."""


class TableError(TandemRecError):
    """A table of the lake is absent, of another contract, or was refused a write."""


class LockError(TandemRecError):
    """Another process runs the same stage on the same lake."""


class QualityError(TandemRecError):
    """A table does not meet what the settings expect of it."""


class ModelError(TandemRecError):
    """A model's inputs, checkpoint or encoder do not fit."""


class EngineError(TandemRecError):
    """An engine ended while a stage was at work; no table is half written, and the stage can be run again."""


class MissingDependencyError(TandemRecError):
    """An optional library is not installed; the message names the extra that brings it."""
