//! URLs, keys, ranges and durable puts.
