//! What SQL can name.
