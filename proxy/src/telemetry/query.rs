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

/// Longest part of a parameter's name that is looked at. A longer one is no name of ours.
const NAME: usize = 64;

/// Parameters whose values never appear.
#[derive(Debug)]
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// The built-in ones and these.
    pub fn new(more: &[String]) -> Self {
        let names = SECRET.iter().copied().chain(more.iter().map(String::as_str));
        Self(names.map(|name| name.bytes().filter_map(folded).collect()).collect())
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
        let decoded: SmallVec<[u8; NAME]> = Decoded(name).collect();
        decoded.split(|byte| matches!(byte, b'[' | b']' | b'.')).any(|part| {
            let mut folded = SmallVec::<[u8; NAME]>::new();
            folded.extend(part.iter().copied().filter_map(self::folded).take(NAME + 1));
            self.0.iter().any(|secret| **secret == *folded)
        })
    }
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
        Secrets::new(&["session-id".to_owned()]).write(&mut out, query.as_bytes());
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
