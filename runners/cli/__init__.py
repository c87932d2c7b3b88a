"""The command line. One file per command; what is slow to import is imported when a command runs."""
