//! Statements in, trees, positions and words out.

mod constants;
mod definitions;
mod limits;
mod statements;

use super::*;
use crate::error::ReportError;
