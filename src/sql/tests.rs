//! Statements in, trees, positions and words out.
use super::*;
