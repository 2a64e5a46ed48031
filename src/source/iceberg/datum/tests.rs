//! Bounds, promotions, keys.
