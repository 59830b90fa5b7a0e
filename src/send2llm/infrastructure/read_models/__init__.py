"""What projections make of the events, and how it is read."""
