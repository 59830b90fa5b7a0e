"""Logs and metrics.

Nothing is imported here: ``prometheus_client`` decides when it is imported whether it counts for one process
or for several, so whoever starts several must be able to use ``multiprocess`` before that.
"""
