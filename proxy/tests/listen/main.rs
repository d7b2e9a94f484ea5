//! The listeners from the outside: real sockets on loopback, real clients, and a small application in Pingora's place
//! that says what it saw.

mod h1;
mod h2;
mod leave;
mod limits;
mod tls;
mod world;
