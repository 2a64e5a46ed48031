//! Statements to plans.
