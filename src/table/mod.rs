//! A pinned table snapshot as a relation of the engine.
