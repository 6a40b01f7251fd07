"""Who is near whom: exact nearest neighbours and closed-ball counts."""

from fastkl.spatial._balls import within
from fastkl.spatial._tree import RELATIVE_SLACK
from fastkl.spatial.index import NeighborIndex
from fastkl.spatial.sharded import ShardedIndex, distances_by_number

__all__ = ["RELATIVE_SLACK", "NeighborIndex", "ShardedIndex", "distances_by_number", "within"]
