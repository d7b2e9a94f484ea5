//! Which backend of a rule a request goes to: by chance, or the same one for the same client.

use std::net::IpAddr;

use weir_config::mesh;

use crate::request::{Facts, RequestHead};
use crate::table::UpstreamId;

/// The backends of a rule that get traffic, and what keeps a client on one of them.
#[derive(Clone, Debug)]
pub struct Split {
    /// At least one; each with a weight above 0. In the order of their names.
    backends: Box<[Backend]>,
    total: u64,
    sticky: Option<mesh::Sticky>,
}

/// An upstream of a split, and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    pub upstream: UpstreamId,
    /// Above 0; parts of the sum of all weights.
    pub weight: u32,
    /// The sum of the weights up to here, its own included.
    upto: u64,
    /// The hash of the upstream's name.
    name: u64,
}

impl Split {
    /// `None` if no weight is above 0.
    pub(crate) fn new<'n>(
        backends: impl Iterator<Item = (UpstreamId, &'n str, u32)>,
        sticky: Option<mesh::Sticky>,
    ) -> Option<Self> {
        let mut total = 0;
        let backends: Box<[Backend]> = backends
            .filter(|(_, _, weight)| *weight > 0)
            .map(|(upstream, name, weight)| {
                total += u64::from(weight);
                Backend { upstream, weight, upto: total, name: hash(name.as_bytes()) }
            })
            .collect();
        (total > 0).then_some(Self { backends, total, sticky })
    }

    /// The backends, in the order of their names. None has weight 0.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// The part of all requests that a backend gets, 0 to 1.
    pub fn share(&self, backend: &Backend) -> f64 {
        f64::from(backend.weight) / self.total as f64
    }

    /// The upstream for a request, and the `Set-Cookie` that keeps its client there, where one is due.
    pub(crate) fn choose(&self, head: &RequestHead<'_>, facts: &Facts, chance: u64) -> (UpstreamId, Option<String>) {
        if let [only] = &*self.backends {
            return (only.upstream, None);
        }
        match &self.sticky {
            None => (self.by_chance(chance), None),
            Some(mesh::Sticky::Header(name)) => match head.headers.get(name).filter(|value| !value.is_empty()) {
                Some(value) => (self.by_id(value), None),
                None => (self.by_chance(chance), None),
            },
            Some(mesh::Sticky::Address) => (
                match facts.client.to_canonical() {
                    IpAddr::V4(address) => self.by_id(&address.octets()),
                    IpAddr::V6(address) => self.by_id(&address.octets()),
                },
                None,
            ),
            Some(mesh::Sticky::Cookie(name)) => {
                let mut found = None;
                head.headers.for_each("cookie", &mut |line| {
                    found = found.or_else(|| cookie(line, name).map(|value| self.by_id(value)));
                });
                if let Some(upstream) = found {
                    return (upstream, None);
                }
                let id = format!("{:016x}", derived(chance, Use::StickyId));
                let secure = if facts.https { "; Secure" } else { "" };
                let set_cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}");
                (self.by_id(id.as_bytes()), Some(set_cookie))
            }
        }
    }

    /// Cuts the range of `chance` into parts as large as the weights, to within one in 2⁶⁴.
    fn by_chance(&self, chance: u64) -> UpstreamId {
        let point = (u128::from(chance) * u128::from(self.total)) >> 64;
        let position = self.backends.partition_point(|backend| u128::from(backend.upto) <= point);
        self.backends[position].upstream
    }

    /// Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005): each
    /// backend draws an exponential variate from the hash of its name and the id, divided by its weight, and the least
    /// wins. The variates do not depend on the weights; so when a weight grows, an id either stays where it is or moves
    /// to that backend.
    ///
    /// It depends on nothing but the id and the names: every process, on every machine, in every version, chooses the
    /// same.
    fn by_id(&self, id: &[u8]) -> UpstreamId {
        let id = mix(hash(id));
        let time = |backend: &Backend| exponential(mix(id ^ backend.name)) / f64::from(backend.weight);
        let mut best = (self.backends[0].upstream, f64::INFINITY);
        for backend in &self.backends {
            let time = time(backend);
            if time < best.1 {
                best = (backend.upstream, time);
            }
        }
        best.0
    }
}

/// What else than the split a decision's one random number is used for.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Mirror = 1,
    StickyId = 2,
}

/// A random number of its own for each use, so that (for instance) the mirrored requests are not those of one backend.
pub(crate) fn derived(chance: u64, by: Use) -> u64 {
    mix(chance.wrapping_add((by as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// The value of a cookie in one line of `Cookie` (RFC 6265 §4.2.1); an empty one is none.
fn cookie<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    line.split(|byte| *byte == b';')
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .find(|value| !value.is_empty())
}

/// FNV-1a, 64 bits (draft-eastlake-fnv). Part of what is promised: sticky clients depend on it.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): spreads every bit over all. Part of what is promised.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `-ln(u)` for the `u` in (0, 1) that the upper 52 bits of `bits` stand for.
///
/// By additions, multiplications and divisions alone, whose results IEEE 754 fixes to the bit; `f64::ln` may differ
/// from one platform to the next, and with it where a client goes. Exact to about 1e-15, which only shares notice.
fn exponential(bits: u64) -> f64 {
    // An odd number of 2⁻⁵³, so never 0 and never 1.
    let u = ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    // u = m · 2^e with m in [1, 2); then centred around 1, where the series is short.
    let mut e = ((u.to_bits() >> 52) as i64 - 1023) as f64;
    let mut m = f64::from_bits(u.to_bits() & ((1 << 52) - 1) | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        e += 1.0;
    }
    // ln(m) = 2 · artanh(s), s = (m-1)/(m+1), |s| < 0.172; the first term left out is below 1e-18.
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = (0..11).rev().fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    -(e * std::f64::consts::LN_2 + 2.0 * s * series)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;
    use weir_config::mesh::Sticky;
    use weir_config::names::HeaderName;

    use super::*;
    use crate::table::ListenerId;

    const NAMES: [&str; 5] = ["blue", "green", "red", "white", "yellow"];

    fn split(weights: &[u32], sticky: Option<Sticky>) -> Option<Split> {
        let backends = (0..).map(UpstreamId).zip(NAMES).zip(weights);
        Split::new(backends.map(|((id, name), weight)| (id, name, *weight)), sticky)
    }

    fn facts() -> Facts {
        let client = IpAddr::from([127, 0, 0, 1]);
        Facts { listener: ListenerId::NONE, client, https: true, port: 443, now: Duration::ZERO }
    }

    fn choose(split: &Split, headers: &[(&str, &str)], chance: u64) -> (u32, Option<String>) {
        let head =
            RequestHead { method: "GET", host: "", path: "/", query: None, headers: &headers, content_length: None };
        let (upstream, cookie) = split.choose(&head, &facts(), chance);
        (upstream.0, cookie)
    }

    /// How many of `points` chances, evenly spread, go to each upstream.
    fn counts(split: &Split, points: u64) -> BTreeMap<u32, u64> {
        let mut counts = BTreeMap::new();
        for point in 0..points {
            let chance = ((u128::from(point) << 64) / u128::from(points)) as u64;
            // The grid's points round down, which may put one just below its border.
            *counts.entry(choose(split, &[], chance.saturating_add(1)).0).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_split_by_chance_gives_each_backend_its_exact_share() {
        assert_eq!(counts(&split(&[95, 5], None).unwrap(), 1000), BTreeMap::from([(0, 950), (1, 50)]));
        assert_eq!(counts(&split(&[1, 1, 1], None).unwrap(), 999), BTreeMap::from([(0, 333), (1, 333), (2, 333)]));
        assert_eq!(counts(&split(&[1, 2, 3, 4], None).unwrap(), 10), BTreeMap::from([(0, 1), (1, 2), (2, 3), (3, 4)]));
        assert_eq!(counts(&split(&[u32::MAX, u32::MAX], None).unwrap(), 4), BTreeMap::from([(0, 2), (1, 2)]));
    }

    #[test]
    fn trap_21_a_weight_of_zero_gets_no_traffic_at_all() {
        let by_chance = split(&[0, 7, 0, 3, 0], None).unwrap();
        assert_eq!(counts(&by_chance, 1000), BTreeMap::from([(1, 700), (3, 300)]));
        assert_eq!(choose(&by_chance, &[], 0).0, 1);
        assert_eq!(choose(&by_chance, &[], u64::MAX).0, 3);
        let sticky = split(&[0, 7, 0, 3, 0], Some(Sticky::Header(HeaderName::parse("x-user").unwrap()))).unwrap();
        for user in 0..10_000 {
            assert!([1, 3].contains(&choose(&sticky, &[("x-user", &user.to_string())], 0).0));
        }
        assert!(split(&[0, 0], None).is_none());
    }

    #[test]
    fn a_sticky_split_gives_each_backend_about_its_share() {
        let split = split(&[70, 25, 5], Some(Sticky::Header(HeaderName::parse("x-user").unwrap()))).unwrap();
        let mut counts = [0u32; 3];
        for user in 0..100_000 {
            counts[choose(&split, &[("x-user", &format!("user-{user}"))], 0).0 as usize] += 1;
        }
        for (count, expected) in counts.into_iter().zip([70_000u32, 25_000, 5_000]) {
            assert!(count.abs_diff(expected) < 700, "{counts:?}");
        }
    }

    #[test]
    fn where_a_client_goes_is_fixed_for_ever() {
        // If this fails, a new version moves the clients of every sticky split.
        let split = split(&[1, 1, 1, 1, 1], Some(Sticky::Header(HeaderName::parse("x-user").unwrap()))).unwrap();
        let homes: Vec<u32> = (0..16).map(|user| choose(&split, &[("x-user", &user.to_string())], 0).0).collect();
        assert_eq!(homes, HOMES);
    }

    const HOMES: [u32; 16] = [3, 2, 4, 0, 3, 4, 4, 4, 4, 2, 1, 0, 0, 3, 0, 4];

    #[test]
    fn a_missing_cookie_is_made_and_leads_to_the_same_backend() {
        let split = split(&[1, 1, 1], Some(Sticky::Cookie("weir-split".into()))).unwrap();
        for chance in (0..100).map(|step| step * (u64::MAX / 100)) {
            let (upstream, set_cookie) = choose(&split, &[("cookie", "other=1; weir-split=")], chance);
            let set_cookie = set_cookie.unwrap();
            let (pair, attributes) = set_cookie.split_once("; ").unwrap();
            assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
            let value = pair.strip_prefix("weir-split=").unwrap();
            assert!(value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
            let cookies = format!("a=b; {pair};c=d");
            assert_eq!(choose(&split, &[("cookie", &cookies)], !chance), (upstream, None));
        }
    }

    #[test]
    fn a_client_is_known_by_its_address_however_it_is_written() {
        let split = split(&[1, 1, 1], Some(Sticky::Address)).unwrap();
        let head = RequestHead {
            method: "GET",
            host: "",
            path: "/",
            query: None,
            headers: &[("", ""); 0],
            content_length: None,
        };
        for last in 0..=255 {
            let v4 = Facts { client: IpAddr::from([192, 0, 2, last]), ..facts() };
            let mapped = Facts { client: format!("::ffff:192.0.2.{last}").parse().unwrap(), ..facts() };
            assert_eq!(split.choose(&head, &v4, 0), split.choose(&head, &mapped, 1));
        }
    }

    #[test]
    fn the_exponential_variate_is_minus_the_logarithm() {
        for bits in [0, 1, 1 << 63, u64::MAX, 0x1234_5678_9abc_def0, 0xb504_f333_f9de_6484] {
            let u = ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
            let (ours, libm) = (exponential(bits), -u.ln());
            assert!((ours - libm).abs() <= 1e-14 * libm.max(1e-2), "{bits:x}: {ours} {libm}");
            assert!(ours > 0.0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn as_a_weight_grows_a_client_only_moves_towards_it(
            weights in prop::collection::vec(0u32..50, 2..=5),
            grown: prop::sample::Index,
            by in 1u32..1000,
            id in ".{1,12}",
        ) {
            let grown = grown.index(weights.len());
            let more: Vec<u32> =
                weights.iter().enumerate().map(|(i, weight)| weight + if i == grown { by } else { 0 }).collect();
            let sticky = || Some(Sticky::Header(HeaderName::parse("x-user").unwrap()));
            if let Some(before) = split(&weights, sticky()) {
                let before = choose(&before, &[("x-user", &id)], 0).0;
                let after = choose(&split(&more, sticky()).unwrap(), &[("x-user", &id)], 1).0;
                prop_assert!(after == before || after as usize == grown, "{before} -> {after}, {grown} grew");
            }
        }

        #[test]
        fn no_chance_finds_a_weight_of_zero(
            weights in prop::collection::vec(prop_oneof![Just(0), 1u32..10, Just(u32::MAX)], 1..=5),
            chance: u64,
        ) {
            if let Some(split) = split(&weights, None) {
                prop_assert!(weights[choose(&split, &[], chance).0 as usize] > 0);
            }
        }
    }
}
