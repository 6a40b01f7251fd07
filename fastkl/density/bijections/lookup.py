"""``bijection``: the change of variables behind any transformer that is known.

Those of scikit-learn are registered when the first transformer is met: scikit-learn's preprocessing is slow to import.
"""

from __future__ import annotations

from typing import Any

from fastkl.density.bijections.base import Bijection, register, registered_bijection


def bijection(transformer: Any) -> Bijection:
    """The transformer as a change of variables; an own method ``log_abs_det_jacobian`` goes before what is registered.

    Parameters
    ----------
    transformer : object
        A transformer, fitted or not, None or "passthrough".

    Returns
    -------
    Bijection
        The transformer with its Jacobian.

    Raises
    ------
    TypeError
        If the Jacobian is not known.
    LossyTransformerError
        If the transformer is known to be not one-to-one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.density import Bijection, bijection
    >>> class Doubling:
    ...     def transform(self, X):
    ...         return 2 * X
    >>> @bijection.register(Doubling)
    ... class DoublingJacobian(Bijection):
    ...     def log_abs_det_jacobian(self, X):
    ...         return X.shape[1] * np.log(2.0)
    >>> images, log_det = bijection(Doubling()).forward(np.ones((1, 3)))
    >>> log_det.round(4)
    array([2.0794])
    """
    if transformer is not None and not isinstance(transformer, str):
        # they register their types when they are first imported
        import fastkl.density.bijections.composed
        import fastkl.density.bijections.scikit  # noqa: F401
    return registered_bijection(transformer)


# ``bijection.register(MyTransformer)(MyBijection)``: a subclass of Bijection, or a function that returns one. A function with an
# attribute is what singledispatch itself gives; mypy has no type for it.
bijection.register = register  # type: ignore[attr-defined]
