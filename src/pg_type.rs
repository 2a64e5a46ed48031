//! PostgreSQL's types for Arrow's.
