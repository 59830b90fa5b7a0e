"""Test doubles that behave: for the tests of Send2LLM, and of what others build on it."""
