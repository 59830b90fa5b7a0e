"""Wire formats: pure conversion between JSON bodies and the domain, for both ends of a call."""
