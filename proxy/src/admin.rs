//! The admin, metrics and health servers.
