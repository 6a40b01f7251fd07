"""Distributions of other libraries that want to be asked in their own way: by tensors (torch), with keys (jax), by one number.

None of those libraries is imported here: an object of torch has torch loaded, and one whose draws take a key has jax.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Libraries disagree about the name; each takes rows, or the values of one column.
LOG_DENSITIES = ("log_prob", "log_pdf", "log_pmf")


def is_discrete(thing: Any) -> bool:
    """Whether a distribution says of its support that it is discrete, or has a log-probability and no log-density."""
    said = getattr(getattr(thing, "support", None), "is_discrete", None)
    if isinstance(said, bool):
        return said
    kind = getattr(thing, "get_tag", None)
    if callable(kind) and not hasattr(thing, "log_prob"):  # skpro's has both methods, and a tag
        return "discrete" in str(kind("distr:measuretype", "continuous"))
    return hasattr(thing, "log_pmf") and not (hasattr(thing, "log_pdf") or hasattr(thing, "log_prob"))


def n_columns_of(thing: Any) -> int | None:
    """Columns of an event, where the distribution says it."""
    shape = getattr(thing, "event_shape", None)
    if shape is None or len(shape) > 1 or len(getattr(thing, "batch_shape", ())):
        return None
    return int(shape[0]) if len(shape) else 1


def log_densities(thing: Any, X: NDArray[Any], discrete: bool) -> Any:
    """What a distribution answers for rows X (n, d)."""
    names = [name for name in LOG_DENSITIES if callable(getattr(thing, name, None))]
    ask = getattr(thing, "log_pmf" if discrete and names[0] != "log_prob" and "log_pmf" in names else names[0])
    scalar = X.shape[1] == 1 and (n_columns_of(thing) == 1 or getattr(thing, "ndim", None) == 0)
    if scalar and getattr(thing, "ndim", None) == 0:  # skpro's distribution of one number takes one number
        return [float(np.asarray(ask(float(value))).ravel()[0]) for value in X[:, 0]]
    return as_numbers(ask(as_given(thing, X[:, 0] if scalar and not tuple(getattr(thing, "event_shape", ())) else X)))


def draws(thing: Any, n_draws: int, known: Any, rng: np.random.RandomState) -> Any:
    """Draws by a method ``sample`` with these parameters, which has no ``random_state``."""
    seed = int(rng.randint(2**31 - 1))
    if "key" in known:
        key = importlib.import_module("jax").random.PRNGKey(seed)
        return as_numbers(thing.sample(key, (n_draws,)))
    how = {"seed": seed} if "seed" in known else {}
    size: Any = (n_draws,) if "sample_shape" in known else n_draws
    torch = _torch_of(thing)
    if torch is None:
        return as_numbers(thing.sample(size, **how))
    with torch.random.fork_rng():  # torch draws from its own generator, which is left as it was
        torch.manual_seed(seed)
        return as_numbers(thing.sample(size))


def as_given(thing: Any, values: NDArray[Any]) -> Any:
    """Numbers in the form that the distribution takes: a tensor of the type of its parameters for torch."""
    torch = _torch_of(thing)
    if torch is None:
        return values
    like = _parameter(thing, torch)
    kind = {} if like is None else {"dtype": like.dtype, "device": like.device}
    return torch.as_tensor(np.ascontiguousarray(values), **kind)


def as_numbers(values: Any) -> Any:
    """An answer as numpy takes it: a tensor without its gradient."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def _torch_of(thing: Any) -> Any:
    """torch, for an object of it or of a class that is derived from one of it."""
    of_torch = any(cls.__module__.split(".")[0] in ("torch", "pyro") for cls in type(thing).__mro__)
    return importlib.import_module("torch") if of_torch else None


def _parameter(thing: Any, torch: Any) -> Any:
    """A parameter of floating point, of the distribution or of one within; None if it has none."""
    for value in vars(thing).values():
        if torch.is_tensor(value):
            if value.is_floating_point():
                return value
        elif hasattr(value, "log_prob"):
            inner = _parameter(value, torch)
            if inner is not None:
                return inner
    return None
