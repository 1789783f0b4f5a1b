"""The processes that do the work: ingest, training, scoring, the scheduler."""
