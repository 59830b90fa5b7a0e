"""The message handlers that come along; they come in by the same door as anybody's."""
