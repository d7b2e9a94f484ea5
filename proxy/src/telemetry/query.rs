//! Query strings without the secrets in them.

use smallvec::SmallVec;

use super::json;

/// Parameters whose values are secrets wherever they occur. Compared without regard to case, `-` and `_`.
const SECRET: &[&str] = &[
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "api_key",
    "key",
    "password",
    "passwd",
    "secret",
    "client_secret",
    "signature",
    "sig",
    "code",
    "auth",
    "authorization",
    "jwt",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

/// What stands instead of a secret.
const REDACTED: &[u8] = b"REDACTED";

/// Parameters whose values never appear.
#[derive(Debug)]
pub struct Secrets {
    /// Folded.
    names: Vec<Vec<u8>>,
    /// Bit `n`: there is a name of length `n`; the last bit: of that length or longer.
    lengths: u64,
}

impl Secrets {
    /// The built-in ones and these.
    pub fn new(more: &[String]) -> Self {
        let names = SECRET.iter().copied().chain(more.iter().map(String::as_str));
        let names: Vec<Vec<u8>> = names.map(|name| name.bytes().filter_map(folded).collect()).collect();
        let lengths = names.iter().fold(0, |lengths, name| lengths | length_bit(name));
        Self { names, lengths }
    }

    /// Writes a query (what follows `?`) as the inside of a JSON string.
    pub fn write(&self, out: &mut Vec<u8>, query: &[u8]) {
        // `;` too: some servers still take it for a separator.
        for parameter in query.split_inclusive(|byte| matches!(byte, b'&' | b';')) {
            let (parameter, end) = match parameter.split_last() {
                Some((end @ (b'&' | b';'), rest)) => (rest, std::slice::from_ref(end)),
                _ => (parameter, &[][..]),
            };
            match memchr::memchr(b'=', parameter) {
                Some(at) if self.is_secret(&parameter[..at]) => {
                    json::escaped(out, &parameter[..=at]);
                    out.extend_from_slice(REDACTED);
                }
                _ => json::escaped(out, parameter),
            }
            out.extend_from_slice(end);
        }
    }

    /// Whether a name, as it stands in the query, or a part of one like `user[password]`, is a secret's.
    fn is_secret(&self, name: &[u8]) -> bool {
        let mut part = SmallVec::<[u8; 64]>::new();
        for byte in Decoded(name) {
            if matches!(byte, b'[' | b']' | b'.') {
                if self.has(&part) {
                    return true;
                }
                part.clear();
            } else if let Some(byte) = folded(byte) {
                part.push(byte);
            }
        }
        self.has(&part)
    }

    fn has(&self, folded: &[u8]) -> bool {
        self.lengths & length_bit(folded) != 0 && self.names.iter().any(|name| name == folded)
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// Lower case; none for what is left out of a comparison.
fn folded(byte: u8) -> Option<u8> {
    (!matches!(byte, b'-' | b'_' | b'+' | b' ')).then(|| byte.to_ascii_lowercase())
}

/// Percent-decoded bytes. What is no escape stands for itself.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = |at: usize| self.0.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        let (byte, used) = match (self.0.first()?, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => ((high << 4 | low) as u8, 3),
            (&byte, ..) => (byte, 1),
        };
        self.0 = &self.0[used..];
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(query: &str) -> String {
        let mut out = Vec::new();
        Secrets::new(&["session-id".to_owned(), "long".repeat(50)]).write(&mut out, query.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_of_secrets_are_replaced_and_nothing_else() {
        for (query, expected) in [
            ("q=rust&limit=5", "q=rust&limit=5"),
            ("token=abc", "token=REDACTED"),
            ("a=1&api_key=s3cret&b=2", "a=1&api_key=REDACTED&b=2"),
            ("API-Key=x&apikey=y&ApiKey=z", "API-Key=REDACTED&apikey=REDACTED&ApiKey=REDACTED"),
            ("accessToken=x;sig=a=b", "accessToken=REDACTED;sig=REDACTED"),
            (
                "user[password]=x&user%5Bpassword%5D=y&user.password=z",
                "user[password]=REDACTED&user%5Bpassword%5D=REDACTED&user.password=REDACTED",
            ),
            ("%74oken=abc&t%6Fken=", "%74oken=REDACTED&t%6Fken=REDACTED"),
            ("session_id=1&SESSION-ID=2", "session_id=REDACTED&SESSION-ID=REDACTED"),
            (&format!("{0}=1&{0}{0}=2", "long".repeat(50)), &format!("{0}=REDACTED&{0}{0}=2", "long".repeat(50))),
            ("tokens=1&keyboard=2&encode=3", "tokens=1&keyboard=2&encode=3"),
            ("token", "token"),
            ("", ""),
            ("&&=&;", "&&=&;"),
            ("%=1&%7=2&%zz=3", "%=1&%7=2&%zz=3"),
        ] {
            assert_eq!(redacted(query), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_never_appears(before in "[a-z=&;%]{0,20}", after in "[a-z=&;%]{0,20}", at in 0..SECRET.len()) {
            let query = format!("{before}&{}=S3CR3T&{after}", SECRET[at]);
            prop_assert!(!redacted(&query).contains("S3CR3T"));
        }
    }
}
