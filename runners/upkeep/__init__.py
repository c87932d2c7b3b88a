"""A folder of results kept in order: what state its cells are in, what is damaged, what can go."""
