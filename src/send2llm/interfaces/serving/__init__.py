"""The running service: a supervisor, its workers that answer HTTP, and its projector that builds the read models."""
