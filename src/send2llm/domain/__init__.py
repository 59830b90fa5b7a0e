"""The language of the business: pure, with no input or output, no clock and no framework."""
