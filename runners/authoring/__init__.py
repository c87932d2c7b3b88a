"""For authors of scenarios: a template to fill in, pictures and tables of what was built."""
