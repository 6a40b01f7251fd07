"""What scikit-learn's callbacks (1.9 and later) hear of a fit: ``set_callbacks`` with a progress bar, a monitor of scores.

A fit is a task, and every iteration a subtask, with the density as it is at that place. Callbacks change nothing of the answer,
and without one nothing is made for them. In older releases of scikit-learn there are no callbacks, and all else is as here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar, cast

import numpy as np

from fastkl._core.iterations import Listener, told

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    # what stands in for a class of another library is a second definition to mypy
    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing, for want of callbacks."""

    def with_callbacks(method: Any) -> Any:
        """The method as it is."""
        return method


Method = TypeVar("Method", bound=Callable[..., Any])

__all__ = ["CallbackSupportMixin", "hears_callbacks", "part_of_fit"]


def hears_callbacks(fit: Method) -> Method:
    """A ``fit(X, y, sample_weight)`` or ``fit_batches(source)`` of which callbacks hear."""

    @with_callbacks
    def heard(estimator: Any, *args: Any, **options: Any) -> Any:
        in_memory = fit.__name__ == "fit"
        task = FitTask(estimator, *args, **options) if in_memory else FitTask(estimator)
        with told(Listener(task.iteration)):
            fitted = fit(estimator, *args, **options)
        task.end()
        return fitted

    @wraps(fit)
    def either(estimator: Any, *args: Any, **options: Any) -> Any:
        if hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx"):
            return heard(estimator, *args, **options)
        with told(None):
            return fit(estimator, *args, **options)

    return cast(Method, either)  # which has the signature of what it wraps


class FitTask:
    """A fit as callbacks see it.

    Parameters
    ----------
    estimator : density
        What is fitted.
    X, y, sample_weight : object
        Rows in memory, as they were given; None where they are read from a source.
    """

    def __init__(self, estimator: Any, X: Any = None, y: Any = None, sample_weight: Any = None, **_: Any):
        self.estimator = estimator
        self.context = estimator._init_callback_context(max_subtasks=None)
        # The monitor of scores asks for targets, and does nothing without; a density has none, and its score looks at none.
        targets = y if y is not None or X is None else partial(_zeros, X)
        self.data = {
            "X": X,
            "y": targets,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def iteration(self, state: Callable[[], Mapping[str, Any] | None]) -> bool:
        """An iteration has ended, which is known when it has; whether a callback asks for the end."""
        task = self.context.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return bool(task.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=state, **self.data))

    def end(self) -> None:
        """The fit is done: the estimator is what was fitted."""
        self.context.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes={}, **self.data)


def _zeros(X: Any) -> Any:
    """A target for every row, made when a callback asks for it: until the fit has looked at them, the rows may be anything."""
    return np.zeros(len(X))


@contextmanager
def part_of_fit(part: Any, whole: Any) -> Iterator[None]:
    """Inside, the fit of a part is a subtask of that of the whole, whose progress bar it shares."""
    context = getattr(whole, "_callback_fit_ctx", None)
    if context is None:
        yield
        return
    task = context.subcontext(task_name="part")
    task.call_on_fit_task_begin(estimator=whole)
    with task.propagate_callback_context(part):
        yield
    task.call_on_fit_task_end(estimator=whole)
