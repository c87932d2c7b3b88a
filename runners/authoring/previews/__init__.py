"""Previews of scenarios: one figure that shows what the tasks are, by the kind of their inputs."""

from runners.authoring.previews.draw import draw_preview, preview

__all__ = ["draw_preview", "preview"]
