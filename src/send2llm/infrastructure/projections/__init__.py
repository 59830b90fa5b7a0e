"""Runs projections: reads the log, folds, and keeps count of how far each has come."""
