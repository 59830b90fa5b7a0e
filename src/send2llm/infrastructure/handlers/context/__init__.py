"""What ``fit_context`` is made of: what a transcript comes to, and where it can be cut."""
