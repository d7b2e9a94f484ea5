//! What may be written in more than one form: a match as a string or a table, a backend or a split, a value or a regex.
//! Each reads all of its forms, shows itself in the shortest, and has its schema written by hand.

mod backends;
mod ca;
mod filter;
mod matching;
mod sticky;
mod value;
