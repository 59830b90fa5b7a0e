"""What relays are called. Their rows stand beside those of the projections, which have other names."""

RELAY_TO_NATS = "relay_nats"

RELAYS = frozenset({RELAY_TO_NATS})
