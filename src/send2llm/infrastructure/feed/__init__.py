"""The log for consumers outside: rows as JSON documents, in pages and as they come."""
