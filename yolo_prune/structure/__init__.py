"""What can be removed from a model, and removing it."""

from yolo_prune.structure.groups import ChannelGroup, Member
from yolo_prune.structure.layers import Width
from yolo_prune.structure.network import LayerShape, Network, find_groups
from yolo_prune.structure.plan import Keep, PruningPlan

__all__ = ["ChannelGroup", "Keep", "LayerShape", "Member", "Network", "PruningPlan", "Width", "find_groups"]
