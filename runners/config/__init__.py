"""What is asked for, as plain values: policies, cells, requests, experiment files."""
