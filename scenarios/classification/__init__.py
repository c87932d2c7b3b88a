"""Classifications: data sets that are split, permuted and rotated."""
