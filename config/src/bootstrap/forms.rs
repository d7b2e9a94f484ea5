//! The bootstrap document's values that stand as one string: a network, the access log's place.

use std::fmt;

use super::*;
use crate::text::{Fault, Text};
use crate::text_type;

text_type!(Network, "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", "An address or a network: 192.0.2.1, 10.0.0.0/8, fd00::/8.");
text_type!(AccessLog, "^(.|\\n)+$", "\"stdout\", \"off\", or a file's path.");

impl Network {
    /// Whether `address` is in it. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits.min(128));
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The network's first address: what of `address` lies beyond `bits` is zero.
    fn first(address: IpAddr, bits: u8) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        }
    }
}

impl Text for Network {
    const WHAT: &'static str = "a network such as \"10.0.0.0/8\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let shown = text.escape_debug();
        let fault = || {
            Fault::new(format!("\"{shown}\" is not a network")).hint(
                "an address, with or without a count of leading bits: \"10.0.0.0/8\", \"fd00::/8\", \"192.0.2.1\"",
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => widest,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => match bits.parse() {
                Ok(bits) if bits <= widest => bits,
                _ => {
                    return Err(Fault::new(format!("\"{shown}\" has too many bits")).hint(format!("at most /{widest}")));
                }
            },
            Some(_) => return Err(fault()),
        };
        let first = Self::first(address, bits);
        if first != address {
            let hint = format!("write the network \"{first}/{bits}\", or the address \"{address}\" alone");
            return Err(Fault::new(format!("\"{shown}\" has bits beyond its first {bits}")).hint(hint));
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = if self.address.is_ipv4() { 32 } else { 128 };
        match self.bits == widest {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

impl Text for AccessLog {
    const WHAT: &'static str = "\"stdout\", \"off\" or a file's path";

    fn from_text(text: &str) -> Result<Self, Fault> {
        match text {
            "" => Err(Fault::new("the access log's place is empty").hint("\"off\" turns it off")),
            "off" => Ok(Self::Off),
            "stdout" => Ok(Self::Stdout),
            file => Ok(Self::File(file.to_owned())),
        }
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(file) => f.write_str(file),
        }
    }
}
