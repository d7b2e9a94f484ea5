//! From the socket to a checked head.
