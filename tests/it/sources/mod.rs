//! Tables as others write them.

mod fixtures;
mod original_walkthrough;
