"""Independent groups of columns, each of a family of its own: the components of mixtures for tables of mixed type.

``family`` is what such a product offers as a family, ``parts`` its groups and their rows, ``spaces`` what its parameters are,
``fitting`` the maximum of all groups with their priors.
"""

from fastkl.families.product.family import Product

__all__ = ["Product"]
