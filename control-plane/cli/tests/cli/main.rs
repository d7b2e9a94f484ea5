//! The CLI as a script or a person uses it: the built binary, real files, exit codes, what stands on stdout and stderr.

mod catalogue;
mod check;
mod dev;
mod diff;
mod explain;
mod help;
mod world;
