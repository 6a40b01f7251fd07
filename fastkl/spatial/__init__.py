"""Who is near whom: exact nearest neighbours and closed-ball counts."""

from fastkl.spatial.index import NeighborIndex

__all__ = ["NeighborIndex"]
