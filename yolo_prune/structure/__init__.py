"""What can be removed from a model, and removing it."""

from yolo_prune.structure.groups import ChannelGroup, Member
from yolo_prune.structure.layers import Width
from yolo_prune.structure.network import LayerShape, Network, find_groups, find_network
from yolo_prune.structure.plan import Keep, PruningPlan
from yolo_prune.structure.reasons import MustStay

__all__ = [
    "ChannelGroup", "Keep", "LayerShape", "Member", "MustStay", "Network", "PruningPlan", "Width", "find_groups",
    "find_network",
]  # fmt: skip
