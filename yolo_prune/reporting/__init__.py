"""Pages, tables and plots of a run, made from plain dictionaries."""
