"""Power-function distribution: its exponent is minus the inverse of the mean logarithm of each column."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.log_tails import log_one_minus_exp
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, UnivariateFamily


class PowerFunction(UnivariateFamily):
    r"""Power-function distribution of every column, on 0 < x <= 1: the a-th root of a uniform number.

    .. math:: \log p(x) = \log a + (a - 1) \log x

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Exponent a > 0, held fixed where given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> DensityMLE("power_function").fit(np.exp([[-0.5], [-1.0], [-0.0]])).params_["shape"].round(12)
    array([2.])
    """

    name = "power_function"
    parameters = {"shape": Positive()}  # what each parameter is: without a role, as the distribution has no scale
    statistic_names = ("weight", "mean_log")  # in the order of the kernel's record
    support = (ABOVE_ZERO, 1.0, False)  # lowest and highest value, and whether only whole numbers are meant
    support_text = "numbers above 0 and up to 1"
    equivariant = False  # the distribution has no scale
    example = {"shape": [3.0, 0.4]}  # of two columns: the contract test draws its data from them
    extreme = [{"shape": a} for a in (1e-3, 1e3, 1e6, 1e9)]  # of one column: where a careless formula loses digits

    def __init__(self, shape: ArrayLike | None = None):
        self.shape = shape

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["shape"] - 1.0, np.log(params["shape"])

    def solve(self, statistics: Statistics) -> Fit:
        mean_log = statistics["mean_log"]
        fixed = self.fixed_columns(len(mean_log))
        if "shape" in fixed:
            return Fit(fixed)
        if np.any(mean_log == 0.0):
            column = int(np.flatnonzero(mean_log == 0.0)[0])
            raise DegenerateDataError(
                f"Column {column} is 1 in every row (n_samples={statistics['weight'][column]:g}). The likelihood has no "
                "maximum, since it grows without bound as shape goes to infinity. Leave the column out, or hold shape fixed.",
                column,
            )
        return Fit({"shape": -1.0 / mean_log})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        shape = params["shape"]
        total: Floats = statistics["weight"] * (np.log(shape) + (shape - 1.0) * statistics["mean_log"])
        return total

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        return {"shape": statistics["weight"] * (1.0 / params["shape"] + statistics["mean_log"])}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        # (d, p, p), here p = 1, about parameters measured in their ``units``: n / shape^2 about a shape in units of itself
        information: Floats = statistics["weight"][:, None, None].copy()
        return information

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore"):
            value: Floats = params["shape"] * np.log(np.clip(x, 0.0, 1.0))
        return value

    def log_sf(self, x: Floats, params: Params) -> Floats:
        w = -self.log_cdf(x, params)
        with np.errstate(divide="ignore"):
            return log_one_minus_exp(w, np.log(w))

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        uniform = 1.0 - generator.random(size=(n_samples, len(params["shape"])))  # above 0, up to 1
        return uniform ** (1.0 / params["shape"])

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 - 1.0 / params["shape"] - np.log(params["shape"])))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any) -> Any:
        return mp.log(shape) + (shape - 1) * mp.log(x)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any) -> tuple[Any, Any]:
        return x**shape, -mp.expm1(shape * mp.log(x))


@register_kl(PowerFunction, PowerFunction)
def power_function_kl(_p: PowerFunction, p: Params, _q: PowerFunction, q: Params) -> float:
    """r - 1 - log r with r the ratio of shapes, that of q above."""
    return float(np.sum(log_ratio_excess(q["shape"], p["shape"])))
