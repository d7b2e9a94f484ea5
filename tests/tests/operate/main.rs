//! What operators rely on: probes, the access log, metrics that agree with the clients, the admin pages, and how a
//! process leaves.

mod access_log;
mod admin;
mod health;
mod leave;
mod metrics;
mod mixed;
mod panics;
mod prometheus;
mod research;
mod series;

/// A listener that speaks HTTP/1.1, and HTTP/2 by prior knowledge.
const BOTH: &str = "default = true\nh2c = true";

/// What must never be in a log.
const SECRET: &str = "S3CR3T";

/// Everything but letters and digits, percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte.is_ascii_alphanumeric() {
            true => out.push(byte.into()),
            false => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
