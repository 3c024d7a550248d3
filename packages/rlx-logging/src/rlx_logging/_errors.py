"""Errors and warnings of this package.

MissingBackendError(ImportError): an optional library is not installed.
LoggingWarning(RuntimeWarning): something about logging; training continues.
    DroppedRowsWarning: a backend could not take rows.
    NotANumberWarning: a value was left out of a row.
    ShorterLogWarning: a log does not hold what the snapshot that was taken of it says.
    GapWarning: a backend lacks rows because it was off when they were logged.
    DamagedLogWarning: records of a log could not be read.
"""


class MissingBackendError(ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class LoggingWarning(RuntimeWarning):
    """The class of every warning of this package; training continues."""


class DroppedRowsWarning(LoggingWarning):
    """A backend could not take what it was given."""


class NotANumberWarning(LoggingWarning):
    """A value was left out of a row, as it is no number; the message names its key and type."""


class ShorterLogWarning(LoggingWarning):
    """A log file is missing, or it is shorter than or another than the one the snapshot was taken of."""


class GapWarning(LoggingWarning):
    """A backend lacks rows of this run because it was off when they were logged; the journal has them."""


class DamagedLogWarning(LoggingWarning):
    """Records of a log file are damaged and were passed over."""
