"""The adapters: one folder for each thing outside."""
