"""Every error that livesketch raises on purpose.

LivesketchError
├── ControlError            (ValueError)    a live control or an option outside its legal range
├── StrokesError            (ValueError)    strokes that cannot be drawn: wrong shape, NaN, empty
├── DataError               (ValueError)    a data file that cannot be read, or read safely
├── CheckpointError         (ValueError)    a model file that is broken, unsafe or of another kind
│   └── UnsupportedModelError               a sound model file that this version cannot do this with
├── TrainingError           (RuntimeError)  a training that went wrong, or cannot go on with what it was given
├── ModelNotFoundError      (LookupError)   no bundled model and no file of that name
├── BackendUnavailableError (RuntimeError)  a named backend that does not exist or cannot run here
├── OutputError             (OSError)       a target that cannot be opened, reached or written
├── DownloadError           (OSError)       a file that could not be fetched: no network, refused, cut off, too large
└── MissingExtraError       (ImportError)   an optional package that is not installed

Each message says what came, what was expected and what to try.
"""


class LivesketchError(Exception):
    """Base of all errors that livesketch raises on purpose."""


class ControlError(LivesketchError, ValueError):
    """A live control or an option got a value outside its legal range; the old value stays."""


class StrokesError(LivesketchError, ValueError):
    """Strokes that cannot be drawn: wrong shape, not finite, or none at all."""


class DataError(LivesketchError, ValueError):
    """A data file that cannot be read, or cannot be read without running its code."""


class CheckpointError(LivesketchError, ValueError):
    """A model file that is truncated, damaged, of absurd size or of another kind."""


class UnsupportedModelError(CheckpointError):
    """A sound model file that this version of livesketch cannot do this with."""


class TrainingError(LivesketchError, RuntimeError):
    """A training whose numbers left the finite ones, or that cannot go on with the data or options given."""


class ModelNotFoundError(LivesketchError, LookupError):
    """Neither a bundled model nor a file of that name."""


class BackendUnavailableError(LivesketchError, RuntimeError):
    """A backend was asked for by name and does not exist or cannot run here; it is never replaced."""


class OutputError(LivesketchError, OSError):
    """An output's target cannot be opened, reached or written."""


class DownloadError(LivesketchError, OSError):
    """A file that could not be fetched: no network, a server that refuses or breaks off, a file that is too large."""


class MissingExtraError(LivesketchError, ImportError):
    """An optional package is needed and not installed; the message holds the ``pip install`` line."""
