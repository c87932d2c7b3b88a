"""What matching and tuning chose: plans, how trials choose, the file of choices, what was tuned."""
