"""The composition root: the only place where concrete parts are put together.

Each module can be had alone: a command that reads events waits for no web server and no provider to be imported.
"""
