"""The history as files for analysts: Parquet, one row for each event and one for each call."""
