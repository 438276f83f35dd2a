"""Data of the project's own making: what it can be tried on without a network."""
