//! Tables as others write them.

mod fixtures;
