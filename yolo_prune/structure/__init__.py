"""What can be removed from a model, and removing it."""

from yolo_prune.structure.cost import Cost, CostModel
from yolo_prune.structure.groups import ChannelGroup, Member, find_groups
from yolo_prune.structure.plan import Keep, PruningPlan

__all__ = ["ChannelGroup", "Cost", "CostModel", "Keep", "Member", "PruningPlan", "find_groups"]
