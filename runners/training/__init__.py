"""The native loop: one batched program that trains all seeds of a cell."""
