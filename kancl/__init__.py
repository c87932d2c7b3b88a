"""Networks with a leading seed axis, splines, and the measures of what they remember."""

__version__ = "0.1.0"
