//! What a table decides: compile, match, filters, decide. Pure.
