//! `sql/*.sql` and the README's snippets run as they stand.
