"""What scenarios are made of: formulas, samples, sizes, heads, derivatives, advice."""
