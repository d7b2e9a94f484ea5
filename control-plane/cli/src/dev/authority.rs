//! The development CA and the certificate that the edge shows. Both are kept across runs, so that a client that was
//! told to trust the CA once goes on to work; both are made again before they expire.
//!
//! The CA is constrained to `localhost` and loopback addresses (RFC 5280 §4.2.1.10): whoever gets hold of its key from
//! a machine that trusts it can impersonate nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;

use super::folder::{Access, Folder};
use crate::failure::{OrFail, Result};

/// Files in the state folder.
pub const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
pub const LEAF: &str = "leaf.pem";
pub const LEAF_KEY: &str = "leaf-key.pem";

const DAY: Duration = Duration::from_secs(86_400);
const CA_LIFE: Duration = DAY.saturating_mul(730);
/// A CA with less left than this is made again.
const CA_RESERVE: Duration = DAY.saturating_mul(30);
const LEAF_LIFE: Duration = DAY.saturating_mul(90);
const LEAF_RESERVE: Duration = DAY.saturating_mul(7);
/// Certificates hold from a little before they were made, for clocks that go behind ours.
const SKEW: Duration = DAY;

/// Whom a client has to trust from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The CA of an earlier run.
    Kept,
    /// A CA made by this run.
    New,
}

/// Leaves a CA and a leaf of it in `folder` that both hold for long enough from `now` on. The leaf is for `localhost`,
/// the names below it, and loopback addresses. `hosts` are names below it to spell out: OpenSSL's clients do not take
/// `*.localhost` for them, since a wildcard right below a top-level domain is nobody's to use.
pub fn prepare(folder: &Folder, hosts: &[String], now: SystemTime) -> Result<Trust> {
    let names = [&["localhost".to_owned(), "*.localhost".to_owned()], hosts].concat();
    if let Some((certificate, key)) = kept(folder, CA, CA_KEY, now + CA_RESERVE) {
        let leaf = kept(folder, LEAF, LEAF_KEY, now + LEAF_RESERVE);
        if !leaf.is_some_and(|(leaf, _)| signed_by(&leaf, &certificate) && is_for(&leaf, &names)) {
            make_leaf(folder, &certificate, key, names, now)?;
        }
        return Ok(Trust::Kept);
    }
    let (certificate, key) = make_ca(folder, now)?;
    make_leaf(folder, &certificate, key, names, now)?;
    Ok(Trust::New)
}

/// A certificate (PEM) of an earlier run with its key, if they fit each other and hold until `until` at least.
fn kept(folder: &Folder, certificate: &str, key: &str, until: SystemTime) -> Option<(String, KeyPair)> {
    let certificate = folder.read(certificate)?;
    let key = KeyPair::from_pem(&folder.read(key)?).ok()?;
    let until = i64::try_from(until.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let good = |x509: &X509Certificate<'_>| {
        let fits = x509.public_key().raw == key.subject_public_key_info();
        (fits && x509.validity().not_after.timestamp() > until).then_some(())
    };
    parsed(&certificate, good)?;
    Some((certificate, key))
}

/// Whether the leaf names the key of this CA as its issuer's.
fn signed_by(leaf: &str, ca: &str) -> bool {
    let issuer = parsed(leaf, |x509| {
        x509.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        })
    });
    let subject = parsed(ca, |x509| {
        x509.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
    });
    issuer.is_some() && issuer == subject
}

/// Whether the leaf has all of these names.
fn is_for(leaf: &str, names: &[String]) -> bool {
    let has_all = |x509: &X509Certificate<'_>| {
        let alternatives = &x509.subject_alternative_name().ok()??.value.general_names;
        names.iter().all(|name| alternatives.contains(&GeneralName::DNSName(name))).then_some(())
    };
    parsed(leaf, has_all).is_some()
}

fn parsed<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> Option<T>) -> Option<T> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).ok()?;
    look(&block.parse_x509().ok()?)
}

fn make_ca(folder: &Folder, now: SystemTime) -> Result<(String, KeyPair)> {
    let make = || {
        let key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Weir development CA");
        ca.not_before = (now - SKEW).into();
        ca.not_after = (now + CA_LIFE).into();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![
                GeneralSubtree::DnsName("localhost".to_owned()),
                GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
                GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128)),
            ],
            excluded_subtrees: Vec::new(),
        });
        Ok::<_, rcgen::Error>((ca.self_signed(&key)?.pem(), key))
    };
    let (certificate, key) = make().or_fail("the development CA could not be made", TELL)?;
    folder.write(CA_KEY, &key.serialize_pem(), Access::Owner)?;
    folder.write(CA, &certificate, Access::Everyone)?;
    Ok((certificate, key))
}

fn make_leaf(folder: &Folder, ca: &str, ca_key: KeyPair, names: Vec<String>, now: SystemTime) -> Result<()> {
    let make = || {
        let issuer = Issuer::from_ca_cert_pem(ca, ca_key)?;
        let key = KeyPair::generate()?;
        let addresses =
            [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|address| address.to_string());
        let mut leaf = CertificateParams::new([names, addresses.into()].concat())?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.not_before = (now - SKEW).into();
        leaf.not_after = (now + LEAF_LIFE).into();
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        Ok::<_, rcgen::Error>((leaf.signed_by(&key, &issuer)?.pem(), key))
    };
    let (certificate, key) = make().or_fail("the certificate of the edge could not be made", TELL)?;
    folder.write(LEAF_KEY, &key.serialize_pem(), Access::Owner)?;
    folder.write(LEAF, &certificate, Access::Everyone)
}

const TELL: &str = "remove the state folder and try again";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn world() -> (tempfile::TempDir, Folder) {
        let world = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&world.path().join("state")).expect("opens");
        (world, folder)
    }

    /// What OpenSSL thinks of the leaf when it is asked for a host or an address.
    fn verify(folder: &Folder, check: [&str; 2]) -> std::process::Output {
        Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"])
            .arg(folder.file(CA))
            .args(check)
            .arg(folder.file(LEAF))
            .output()
            .expect("openssl is installed")
    }

    #[test]
    fn openssl_accepts_the_leaf_for_every_name_of_this_machine_and_no_other() {
        let (_world, folder) = world();
        let hosts = ["research.localhost".to_owned()];
        assert_eq!(prepare(&folder, &hosts, SystemTime::now()).expect("made"), Trust::New);
        for check in [
            ["-verify_hostname", "localhost"],
            ["-verify_hostname", "research.localhost"],
            ["-verify_ip", "127.0.0.1"],
            ["-verify_ip", "::1"],
        ] {
            let output = verify(&folder, check);
            assert!(output.status.success(), "{check:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(!verify(&folder, ["-verify_hostname", "example.com"]).status.success());
    }

    #[test]
    fn certificates_are_kept_while_they_hold_and_made_again_before_they_expire() {
        let (_world, folder) = world();
        let now = SystemTime::now();
        prepare(&folder, &[], now).expect("made");
        let (ca, leaf) = (folder.read(CA), folder.read(LEAF));

        assert_eq!(prepare(&folder, &[], now + LEAF_LIFE - LEAF_RESERVE - DAY).expect("kept"), Trust::Kept);
        assert_eq!((folder.read(CA), folder.read(LEAF)), (ca.clone(), leaf.clone()));

        assert_eq!(prepare(&folder, &[], now + LEAF_LIFE - LEAF_RESERVE + DAY).expect("a new leaf"), Trust::Kept);
        assert_eq!(folder.read(CA), ca);
        assert_ne!(folder.read(LEAF), leaf);

        let late = now + CA_LIFE - CA_RESERVE + DAY;
        assert_eq!(prepare(&folder, &[], late).expect("a new CA"), Trust::New);
        assert_ne!(folder.read(CA), ca);
        assert!(signed_by(&folder.read(LEAF).expect("a leaf"), &folder.read(CA).expect("a CA")));
    }

    #[test]
    fn a_leaf_without_a_name_that_is_needed_is_made_again() {
        let (_world, folder) = world();
        let now = SystemTime::now();
        prepare(&folder, &[], now).expect("made");
        assert!(!verify(&folder, ["-verify_hostname", "api.localhost"]).status.success());
        assert_eq!(prepare(&folder, &["api.localhost".to_owned()], now).expect("made"), Trust::Kept);
        assert!(verify(&folder, ["-verify_hostname", "api.localhost"]).status.success());
    }

    #[test]
    fn a_damaged_or_foreign_file_is_replaced() {
        let (_world, folder) = world();
        let now = SystemTime::now();
        for name in [CA, CA_KEY, LEAF, LEAF_KEY] {
            prepare(&folder, &[], now).expect("made");
            folder.write(name, "not PEM", Access::Everyone).expect("writes");
            prepare(&folder, &[], now).expect("made again");
            assert!(verify(&folder, ["-verify_hostname", "localhost"]).status.success(), "{name}");
        }
        // A leaf of a CA that is gone.
        std::fs::remove_file(folder.file(CA)).expect("removed");
        assert_eq!(prepare(&folder, &[], now).expect("made again"), Trust::New);
        assert!(verify(&folder, ["-verify_hostname", "localhost"]).status.success());
    }

    #[test]
    fn private_keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let (_world, folder) = world();
        prepare(&folder, &[], SystemTime::now()).expect("made");
        for key in [CA_KEY, LEAF_KEY] {
            let mode = std::fs::metadata(folder.file(key)).expect("a key").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }
}
