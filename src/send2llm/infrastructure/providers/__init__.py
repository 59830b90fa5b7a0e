"""Providers of models, over HTTP."""
