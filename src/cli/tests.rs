//! The command line is consistent, and errors look like errors.

use clap::CommandFactory;

use super::*;

#[test]
fn clap_accepts_its_own_description() {
    Cli::command().debug_assert();
}

#[test]
fn errors_have_detail_and_hint_on_lines_of_their_own() {
    let report = Report::new(SqlState::CONFIG_FILE_ERROR, "no").detail("because").hint("do");
    assert_eq!(shown(&report), "featgres: no\nDETAIL:  because\nHINT:  do\n");
}
