"""Errors that go from the process where they are raised to the one that asked for the work."""

import pickle


def travelling(error: Exception, where: str = "") -> Exception:
    """The error, or where that can't be pickled one that says the same, after ``where``."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its own way of being pickled raises
        return RuntimeError(f"{where}{type(error).__name__}: {error}")
    return error
