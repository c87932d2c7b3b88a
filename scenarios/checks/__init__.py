"""What a scenario must be: refused before anything is trained on it."""
