"""Trackers: other tools that are told what a run measures, while it measures it."""

from runners.trackers.events import Evaluation
from runners.trackers.registry import make_trackers, trackers
from runners.trackers.tracker import Description, Sink, State, Tracker
from runners.trackers.tracking import Tracked, Tracking

__all__ = [
    "Description", "Evaluation", "Sink", "State", "Tracked", "Tracker", "Tracking", "make_trackers", "trackers",
]  # fmt: skip
