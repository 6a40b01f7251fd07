"""Distributions of other libraries that want to be asked in their own way: by tensors (torch), with keys (jax), by one number.

None of those libraries is imported here: an object of torch has torch loaded, and one whose draws take a key has jax.
"""

from __future__ import annotations

import copy
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
    values = X[:, 0] if scalar and not tuple(getattr(thing, "event_shape", ())) else X
    if _torch_of(thing) is None:
        return as_numbers(ask(values))
    found = _asked_inside(thing, ask, values)
    near = as_numbers(as_given(thing, values))
    lost = np.isneginf(found) & (near != values).reshape(len(found), -1).any(axis=1)
    if lost.any():  # rounding to single precision has put them on an end of the support, or past it
        near, toward = near[lost], np.where(values[lost] > near[lost], np.inf, -np.inf).astype(near.dtype)
        near = np.where(near == values[lost], near, np.nextafter(near, toward))
        found[lost] = _asked_inside(thing, ask, near)
    return found


def _asked_inside(thing: Any, ask: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Log-densities of torch, which has an error for rows outside of the support: -inf there."""
    given = as_given(thing, values)
    inside = _inside(thing, given)
    if inside is None or inside.all():
        return np.array(as_numbers(ask(given)), dtype=np.float64)
    found = np.full(len(values), -np.inf)
    if inside.any():
        found[inside] = np.ravel(as_numbers(ask(given[inside])))
    return found


def _inside(thing: Any, given: Any) -> NDArray[np.bool_] | None:
    """Which rows are in the support; None where that is not known."""
    try:
        inside = np.asarray(as_numbers(thing.support.check(given)))
    except (AttributeError, NotImplementedError):
        return None
    return inside.reshape(len(given)) if inside.size == len(given) else None


def refuse_batch(thing: Any, name: str) -> None:
    """ValueError for several distributions in one object of torch or numpyro, as their parameters that are vectors make it."""
    shape = tuple(getattr(thing, "batch_shape", ()))
    if int(np.prod(shape)) != 1:
        raise ValueError(
            f"{name} is a batch of distributions, of shape {shape}, and one is expected: as the columns of a row that are "
            f"independent of each other they are Independent({name}, {len(shape)}); else pass one at a time."
        )


def closed_form(p: Any, q: Any) -> float | None:
    """KL(p || q) as torch has it for two of its distributions, in double precision; None where it has none."""
    torch = _torch_of(p)
    if torch is None or _torch_of(q) is None:
        return None
    try:
        value = float(torch.distributions.kl_divergence(_in_double(p, torch), _in_double(q, torch)))
    except (NotImplementedError, ValueError, RuntimeError, AttributeError):  # such as of vectors of two lengths
        return None
    return None if np.isnan(value) else value


def _in_double(thing: Any, torch: Any) -> Any:
    """The distribution with its parameters, and those of the ones within, in double precision."""
    twin = copy.copy(thing)
    for name, value in vars(thing).items():
        if torch.is_tensor(value) and value.is_floating_point():
            vars(twin)[name] = value.detach().double()
        elif hasattr(value, "log_prob"):
            vars(twin)[name] = _in_double(value, torch)
    return twin


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
