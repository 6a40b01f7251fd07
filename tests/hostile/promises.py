"""What no call may break, whatever it is given: one call is made, and everything that is promised of it is looked at.

* It comes back, within ten seconds of the processor.
* It changes none of its arguments.
* It raises ``ValueError``, ``TypeError`` or an error of fastkl itself, if any, and none from inside (``IndexError``,
  ``LinAlgError`` ...). A text that is taken for a path may be a ``FileNotFoundError``.
* After an error the estimator is as it was.
* On finite rows, valid weights and valid options, nothing is NaN, no log-density is +inf, and no RuntimeWarning reaches the user.
"""

import atexit
import math
import os
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter

import numpy as np

import fastkl.exceptions
from fastkl import Estimate

SECONDS = 10.0
ALLOWED = (
    ValueError,
    TypeError,
    FileNotFoundError,
    *(kind for kind in vars(fastkl.exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)
MEMORY = "/dev/shm"  # where there is a file system in memory, no disk has to be waited for
FOLDER = tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)  # for the files of the campaign
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
made: Counter[str] = Counter()  # calls of this process


class Clock:
    """When the case at hand began, in seconds of the processor: asked for once a case, since that takes as long as a fit.

    And since when the watch over calls that do not come back is set.
    """

    begun = 0.0
    watched = -math.inf


class BrokenPromiseError(AssertionError):
    """A call that did what no call may do."""


def attempt(what, function, *args, estimator=None, tame=False, whole=False, **options):
    """Make one call and give its result, None after an error that is allowed.

    ``estimator`` is the one whose state an error leaves alone; ``tame`` says that there is no reason for NaN or a warning;
    ``whole`` that a result without NaN is expected if so.
    """
    made[what] += 1
    given = (*args, *options.values())
    before, state = [fingerprint(value) for value in given], fingerprint(estimator)
    result, error = None, None
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = function(*args, **options)
        except Exception as caught:
            error = caught
    if (
        time.perf_counter() - begun > SECONDS
    ):  # the clock on the wall, which others slow down, only asks for the other one
        used = time.process_time() - Clock.begun
        complain(used > SECONDS, what, f"it took {used:.1f} s")
    for value, was in zip(given, before, strict=True):
        if fingerprint(value) != was:  # the message takes longer than most calls
            complain(True, what, f"it changed its argument {value!r:.200}")
    if error is not None:
        complain(not _is_allowed(error), what, f"it raised {type(error).__name__}: {error}", error)
        if fingerprint(estimator) != state:
            complain(True, what, f"an error ({error!r:.200}) left the estimator changed", error)
        return None
    if tame:
        leaked = [str(one.message) for one in heard if issubclass(one.category, RuntimeWarning)]
        complain(bool(leaked), what, f"a RuntimeWarning reached the user: {leaked}")
        if whole and has_nan(result):
            complain(True, what, f"its result holds NaN: {result!r:.300}")
    return result


def complain(broken, what, how, cause=None):
    """BrokenPromiseError if a promise is broken."""
    if broken:
        raise BrokenPromiseError(f"{what}: {how}") from cause


def _is_allowed(error):
    if isinstance(error, np.linalg.LinAlgError) or "array" in type(error).__name__.lower():
        return False  # a ValueError by inheritance, but not one that says what is wrong with the data
    if isinstance(error, AttributeError) and not isinstance(error, ALLOWED):
        # what an estimator does not offer: said by a sentence of fastkl's own, and hasattr has to be able to ask
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "fastkl" in last.filename and "raise" in (last.line or "") and str(error).endswith(".")
    return isinstance(error, ALLOWED)


def has_nan(value):
    """Whether there is a NaN in a result: numbers, arrays, tables and containers of such."""
    if isinstance(value, Estimate):
        return bool(np.isnan(value.value)) or bool(value.standard_error is not None and np.isnan(value.standard_error))
    if isinstance(value, dict):
        return any(map(has_nan, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_nan, value))
    if isinstance(value, float | np.ndarray | np.generic):
        array = np.asarray(value)
        return array.dtype.kind == "f" and bool(np.isnan(array).any())
    return False


def fingerprint(value, depth=0):
    """Something that differs if a value was changed in place: of arrays their bytes, of objects their attributes."""
    if isinstance(value, np.ndarray):
        content = value.tobytes() if value.dtype.kind != "O" else repr(value.ravel().tolist())
        mask = np.ma.getmaskarray(value).tobytes() if isinstance(value, np.ma.MaskedArray) else b""
        return ("array", value.shape, value.dtype.str, value.flags.writeable, content, mask)
    if isinstance(value, dict):
        return ("dict", tuple((key, fingerprint(item, depth + 1)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple(fingerprint(item, depth + 1) for item in value))
    if hasattr(value, "iloc"):
        return ("table", tuple(map(str, getattr(value, "columns", ()))), repr(value.to_numpy().tolist()))
    if (
        hasattr(value, "__dict__")
        and not callable(value)
        and depth < 6
        and type(value).__module__.startswith(("fastkl", "sklearn"))
    ):
        known = {
            name: item for name, item in vars(value).items() if not name.startswith("_")
        }  # but what it keeps at hand
        return (type(value).__name__, fingerprint(known, depth + 1))
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return type(value).__name__  # which goes on with each call
    return repr(value)
