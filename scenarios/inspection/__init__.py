"""A scenario looked at for its author: what is in it, what to be careful of, whether it is the same again."""
