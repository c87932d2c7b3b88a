"""Benchmarks of the avalanche library, in and out."""
