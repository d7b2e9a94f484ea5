//! The reader against tables of heads, against itself on cut-up input, and against the parser that reads after it.

use proptest::prelude::*;

use super::Version::{Http10, Http11};
use super::*;

const RULES: Rules = Rules { bytes: 60 * 1024, headers: 100, target: 16 * 1024 };

fn verdict(head: &str) -> Result<Option<HeadInfo>, Fault> {
    read(head.as_bytes(), &RULES).map_err(|refusal| refusal.fault)
}

/// Taken in full, from the first byte to the last.
fn takes(head: &str, version: Version, body: Body) {
    let start = if head.starts_with("\r\n") { 2 } else { 0 };
    let websocket = head.contains("websocket");
    assert_eq!(verdict(head), Ok(Some(HeadInfo { start, end: head.len(), version, body, websocket })), "{head:?}");
}

#[test]
fn well_formed_heads_are_taken() {
    let plain = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \t a.example.com \t\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example.com:8443\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example.com.\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: my_service\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::ffff:192.0.2.1]\r\n\r\n",
        "GET /a/b.c;d=e?f=g&h[i]=j|k HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%E2%82%AC?q=%22 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?q={x}^`\\ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET //double//slash HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /..a/...b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?a=/../.. HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n",
        "m!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTP://A:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET https://a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Blank: \t \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Tab: a\tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Latin: caf\u{e9}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Same: 1\r\nX-Same: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Colons: a:b:c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~9: token\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Content-Length: 010\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Upgrade: x\r\nUPGRADE: h2c\r\nUPGRADE:websocket\r\n\r\n",
    ];
    for head in plain {
        takes(head, Http11, Body::None);
    }
    takes("GET / HTTP/1.0\r\n\r\n", Http10, Body::None);
    takes("GET http://a/ HTTP/1.0\r\n\r\n", Http10, Body::None);
    takes("GET / HTTP/1.0\r\nHost: a\r\n\r\n", Http10, Body::None);
    takes("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", Http10, Body::Length(3));
    takes("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Http11, Body::Length(5));
    takes("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Http11, Body::Length(5));
    takes("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Http11, Body::Chunked);
    takes("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:CHUNKED \r\n\r\n", Http11, Body::Chunked);
}

#[test]
fn malformed_heads_are_refused_and_never_repaired() {
    let lines = |lines: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
    let request_line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    let host = |value: &str| format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n");
    let raw = str::to_owned;

    let cases = [
        // Lines
        (raw("GET / HTTP/1.1\nHost: a\n\n"), Fault::BareLf),
        (raw("GET / HTTP/1.1\r\nHost: a\n\r\n"), Fault::BareLf),
        (raw("GET / HTTP/1.1\r\nHost: a\r\n\n"), Fault::BareLf),
        (raw("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Fault::BareLf),
        (raw("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Fault::EmptyLines),
        (raw("\r\n\r\n"), Fault::EmptyLines),
        (raw(" \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Fault::Method),
        (lines("X: a\rb"), Fault::BareCr),
        (lines("X: a\r"), Fault::BareCr),
        (lines("X\r: a"), Fault::BareCr),
        (lines("X: a\r\n b"), Fault::Fold),
        (lines("X: a\r\n\tb"), Fault::Fold),
        (raw("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), Fault::Fold),
        // Header names and values
        (lines("X : a"), Fault::HeaderSpace),
        (lines("X\t: a"), Fault::HeaderSpace),
        (lines("Content-Length : 5"), Fault::HeaderSpace),
        (lines("X Y: a"), Fault::HeaderSpace),
        (lines(": a"), Fault::HeaderName),
        (lines("X\u{e9}: a"), Fault::HeaderName),
        (lines("X(Y): a"), Fault::HeaderName),
        (lines("X\"Y: a"), Fault::HeaderName),
        (lines("X\0: a"), Fault::HeaderName),
        (lines("X/Y: a"), Fault::HeaderName),
        (lines("X"), Fault::HeaderColon),
        (lines("Content-Length"), Fault::HeaderColon),
        (lines("X: a\0b"), Fault::HeaderValue),
        (lines("X: \u{1}"), Fault::HeaderValue),
        (lines("X: a\u{b}b"), Fault::HeaderValue),
        (lines("X: a\u{c}b"), Fault::HeaderValue),
        (lines("X: \u{1b}[2J"), Fault::HeaderValue),
        (lines("X: \u{7f}"), Fault::HeaderValue),
        (lines("X: 0123456\u{7f}"), Fault::HeaderValue),
        // Request line
        (request_line(""), Fault::Method),
        (request_line("GET"), Fault::RequestLine),
        (request_line("GET /"), Fault::RequestLine),
        (request_line("GET / "), Fault::RequestLine),
        (request_line("GET / HTTP"), Fault::RequestLine),
        (request_line("GET / HTTP/1"), Fault::RequestLine),
        (request_line("GET / HTTP/1."), Fault::RequestLine),
        (request_line("GET / HTTP/1.10"), Fault::RequestLine),
        (request_line("GET / HTTP/01.1"), Fault::RequestLine),
        (request_line("GET / http/1.1"), Fault::RequestLine),
        (request_line("GET / HTTP/1.1x"), Fault::RequestLine),
        (request_line("GET / HTTP/1,1"), Fault::RequestLine),
        (request_line("GET / HTTP/1.1 "), Fault::TargetSpace),
        (request_line("GET / XTTP/1.1"), Fault::RequestLine),
        (request_line("GET / HTTP/1.2"), Fault::Version),
        (request_line("GET / HTTP/0.9"), Fault::Version),
        (request_line("GET / HTTP/2.0"), Fault::Version),
        (request_line("GET / HTTP/3.0"), Fault::Version),
        (raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Fault::Http2),
        (request_line(" GET / HTTP/1.1"), Fault::Method),
        (request_line("GE\tT / HTTP/1.1"), Fault::Method),
        (request_line("GE(T / HTTP/1.1"), Fault::Method),
        (request_line("G\u{c9}T / HTTP/1.1"), Fault::Method),
        (request_line("\u{16}\u{3}\u{1}"), Fault::Method),
        (request_line(&format!("{} / HTTP/1.1", "M".repeat(33))), Fault::Method),
        (request_line("GET\t/ HTTP/1.1"), Fault::Method),
        (request_line("GET /\tHTTP/1.1"), Fault::RequestLine),
        (request_line("GET / a HTTP/1.1"), Fault::TargetSpace),
        (request_line("GET /a b HTTP/1.1"), Fault::TargetSpace),
        (request_line("GET /  HTTP/1.1"), Fault::TargetSpace),
        (request_line("GET  / HTTP/1.1"), Fault::TargetEmpty),
        (request_line("GET  HTTP/1.1"), Fault::TargetEmpty),
        (request_line("CONNECT a:443 HTTP/1.1"), Fault::Connect),
        (request_line("CONNECT / HTTP/1.1"), Fault::Connect),
        // Targets
        (request_line("GET * HTTP/1.1"), Fault::TargetForm),
        (request_line("GET ! HTTP/1.1"), Fault::TargetForm),
        (request_line("GET a HTTP/1.1"), Fault::TargetForm),
        (request_line("GET ?q HTTP/1.1"), Fault::TargetForm),
        (request_line("GET a:80 HTTP/1.1"), Fault::TargetForm),
        (request_line("GET ftp://a/ HTTP/1.1"), Fault::TargetForm),
        (request_line("GET http:/a/ HTTP/1.1"), Fault::TargetForm),
        (request_line("GET http:a HTTP/1.1"), Fault::TargetForm),
        (request_line("OPTIONS ** HTTP/1.1"), Fault::TargetForm),
        (request_line("OPTIONS *a HTTP/1.1"), Fault::TargetForm),
        (request_line("GET /# HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /a?b#c HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /\"a HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /<a> HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /a\\b HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /{a} HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /a?b=\"c\" HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /\u{e9} HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /?\u{e9} HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /\0 HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /?\u{7f} HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /a\tb HTTP/1.1"), Fault::TargetByte),
        (request_line("GET /a\rb HTTP/1.1"), Fault::BareCr),
        (request_line("GET /?a\rb HTTP/1.1"), Fault::BareCr),
        (request_line("GET / HTTP/1.1\r"), Fault::BareCr),
        (request_line("GET /.. HTTP/1.1"), Fault::TargetAboveRoot),
        (request_line("GET /a/../../ok HTTP/1.1"), Fault::TargetAboveRoot),
        (request_line("GET /./../a?b HTTP/1.1"), Fault::TargetAboveRoot),
        (request_line("GET http://a/../b HTTP/1.1"), Fault::TargetAboveRoot),
        (request_line("GET http:// HTTP/1.1"), Fault::Host),
        (request_line("GET http:///a HTTP/1.1"), Fault::Host),
        (request_line("GET http://b/ HTTP/1.1"), Fault::HostDiffers),
        (request_line("GET http://a:80/ HTTP/1.1"), Fault::HostDiffers),
        (request_line("GET http://u@a/ HTTP/1.1"), Fault::Userinfo),
        (request_line("GET http://a:b@c/ HTTP/1.1"), Fault::Userinfo),
        (request_line("GET http://a%2f/ HTTP/1.1"), Fault::Host),
        // Host
        (raw("GET / HTTP/1.1\r\n\r\n"), Fault::HostMissing),
        (raw("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"), Fault::HostMissing),
        (raw("GET http://a/ HTTP/1.1\r\n\r\n"), Fault::HostMissing),
        (lines("Host: a"), Fault::HostRepeated),
        (lines("HOST: b"), Fault::HostRepeated),
        (raw("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Fault::HostRepeated),
        (host(""), Fault::Host),
        (host(" \t "), Fault::Host),
        (host("a b"), Fault::Host),
        (host("a,b"), Fault::Host),
        (host("a/b"), Fault::Host),
        (host("a?b"), Fault::Host),
        (host("a#b"), Fault::Host),
        (host("a\\b"), Fault::Host),
        (host("a%2eb"), Fault::Host),
        (host("http://a"), Fault::Host),
        (host("*.a"), Fault::Host),
        (host(".a"), Fault::Host),
        (host("a..b"), Fault::Host),
        (host("caf\u{e9}"), Fault::Host),
        (host(":80"), Fault::Host),
        (host("a:"), Fault::Host),
        (host("a:x"), Fault::Host),
        (host("a:80:80"), Fault::Host),
        (host("a:-1"), Fault::Host),
        (host("a:65536"), Fault::Host),
        (host("a:000080"), Fault::Host),
        (host("::1"), Fault::Host),
        (host("[::1"), Fault::Host),
        (host("[::1]a"), Fault::Host),
        (host("[1.2.3.4]"), Fault::Host),
        (host("[fe80::1%25eth0]"), Fault::Host),
        (host("[v1.a]"), Fault::Host),
        (host(&"a".repeat(256)), Fault::Host),
        (host("u@a"), Fault::Userinfo),
        (host("u:p@a:80"), Fault::Userinfo),
        // Length and encoding
        (lines("Content-Length: +5"), Fault::Length),
        (lines("Content-Length: -5"), Fault::Length),
        (lines("Content-Length: 010"), Fault::Length),
        (lines("Content-Length: 00"), Fault::Length),
        (lines("Content-Length: 5, 5"), Fault::Length),
        (lines("Content-Length: 5,6"), Fault::Length),
        (lines("Content-Length: 5 5"), Fault::Length),
        (lines("Content-Length: 0x5"), Fault::Length),
        (lines("Content-Length: 5a"), Fault::Length),
        (lines("Content-Length: 5.0"), Fault::Length),
        (lines("Content-Length: \"5\""), Fault::Length),
        (lines("Content-Length:"), Fault::Length),
        (lines("Content-Length: 9223372036854775808"), Fault::Length),
        (lines("Content-Length: 18446744073709551621"), Fault::Length),
        (lines("Content-Length: 5\r\nContent-Length: 5"), Fault::LengthRepeated),
        (lines("Content-Length: 5\r\nContent-Length: 6"), Fault::LengthRepeated),
        (lines("Content-Length: 5\r\ncontent-length: 5"), Fault::LengthRepeated),
        (lines("Transfer-Encoding: gzip"), Fault::Encoding),
        (lines("Transfer-Encoding: identity"), Fault::Encoding),
        (lines("Transfer-Encoding:"), Fault::Encoding),
        (lines("Transfer-Encoding: gzip, chunked"), Fault::Encoding),
        (lines("Transfer-Encoding: chunked, gzip"), Fault::Encoding),
        (lines("Transfer-Encoding: chunked, chunked"), Fault::Encoding),
        (lines("Transfer-Encoding: ,chunked"), Fault::Encoding),
        (lines("Transfer-Encoding: chunked,"), Fault::Encoding),
        (lines("Transfer-Encoding: xchunked"), Fault::Encoding),
        (lines("Transfer-Encoding: chunked;q=1"), Fault::Encoding),
        (lines("Transfer-Encoding: \"chunked\""), Fault::Encoding),
        (lines("Transfer-Encoding: \u{b}chunked"), Fault::HeaderValue),
        (lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Fault::EncodingRepeated),
        (lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), Fault::EncodingRepeated),
        (lines("Content-Length: 5\r\nTransfer-Encoding: chunked"), Fault::LengthAndEncoding),
        (lines("Transfer-Encoding: chunked\r\nContent-Length: 0"), Fault::LengthAndEncoding),
        (raw("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Fault::EncodingOnHttp10),
    ];
    for (head, fault) in &cases {
        assert_eq!(verdict(head), Err(*fault), "{head:?}");
    }
    assert!(cases.len() > 150);
}

#[test]
fn limits_hold_to_the_byte() {
    let rules = Rules { bytes: 200, headers: 3, target: 10 };
    let verdict =
        |head: &str| read(head.as_bytes(), &rules).map(|head| head.is_some()).map_err(|refusal| refusal.fault);

    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes - 1));
    assert_eq!(verdict(&target(10)), Ok(true));
    assert_eq!(verdict(&target(11)), Err(Fault::TargetTooLong));
    assert_eq!(verdict("GET /aaaaaaaaaa"), Err(Fault::TargetTooLong), "without waiting for its end");
    assert_eq!(verdict("GET /aaaaaaaaa"), Ok(false));

    let headers = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(verdict(&headers(3)), Ok(true));
    assert_eq!(verdict(&headers(4)), Err(Fault::TooManyHeaders));

    let head = |bytes: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(bytes - rest))
    };
    assert_eq!(verdict(&head(200)), Ok(true));
    assert_eq!(verdict(&head(201)), Err(Fault::HeadTooLarge));
    assert_eq!(verdict(&head(300)[..200]), Err(Fault::HeadTooLarge), "the head cannot end in time any more");
    assert_eq!(verdict(&head(300)[..199]), Ok(false));
    assert_eq!(verdict(&(head(190) + &"body".repeat(100))), Ok(true), "what follows a head does not count");
}

#[test]
fn a_method_that_cannot_be_one_is_refused_at_its_first_bad_byte() {
    assert_eq!(verdict("\u{16}"), Err(Fault::Method));
    assert_eq!(verdict("GE"), Ok(None));
    assert_eq!(verdict("GE\r"), Ok(None), "a line may still end here");
    assert_eq!(verdict("GE\rT"), Err(Fault::Method));
    assert_eq!(verdict(&"M".repeat(32)), Ok(None));
    assert_eq!(verdict(&"M".repeat(33)), Err(Fault::Method));
}

#[test]
fn a_refusal_says_what_could_be_read() {
    let refused = |head: &str| {
        let refusal = read(head.as_bytes(), &RULES).expect_err("a refusal");
        (refusal.method.map(String::from), refusal.target.map(String::from))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(refused("GET /a?b HTTP/1.1\r\n\r\n"), (some("GET"), some("/a?b")));
    assert_eq!(refused("\r\nGET /a?b HTTP/1.1\r\n\r\n"), (some("GET"), some("/a?b")));
    assert_eq!(refused("CONNECT a:443 HTTP/1.1\r\n\r\n"), (some("CONNECT"), some("a:443")));
    assert_eq!(refused("GET /\u{e9} HTTP/1.1\r\n"), (some("GET"), some("/\\xc3\\xa9")));
    assert_eq!(refused("GET /a\r\n"), (some("GET"), some("/a")));
    assert_eq!(refused("G\u{1}T / HTTP/1.1\r\n"), (None, None));
    assert_eq!(refused(&format!("{} / HTTP/1.1\r\n", "M".repeat(33))), (None, None));
    let (_, target) = refused(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000)));
    assert_eq!(target.map(|target| target.len()), Some(256));

    let mut reader = Reader::default();
    let late = b"GET /slow HTTP/1.1\r\nHo";
    assert_eq!(reader.read(late, &RULES), Ok(None));
    let refusal = reader.refusal(Fault::TooSlow, late);
    assert_eq!((refusal.kind(), refusal.target.as_deref()), (Kind::TooSlow, Some("/slow")));
}

/// Heads made of lines that are mostly good, then of pieces that may be anything: wrong in few places, if at all.
fn any_head() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec!["", "GET / HTTP/1.1\r\nHost: a\r\n", "POST http://a/b HTTP/1.0\r\n"]);
    let line = prop::sample::select(vec![
        "X: y\r\n",
        "X-Y:\t\u{e9} z \r\n",
        "Accept:*/*\r\n",
        "Empty:\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: a\r\n",
    ]);
    let piece = prop::sample::select(vec![
        "GET ",
        "POST ",
        "OPTIONS ",
        "PRI ",
        "/",
        "/a/../b?c",
        "*",
        "http://a",
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/2.0",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "Host: a",
        "Host: b:80",
        "Host:",
        "Content-Length: 05",
        "X : y",
        " folded",
        "\t",
        "\0",
        "\u{e9}",
        ":",
        "#",
        "aaaaaaaaaaaaaaaa",
        "\u{7f}",
    ]);
    let lines = prop::collection::vec(line, 0..5);
    let pieces = prop_oneof![Just(Vec::new()), prop::collection::vec(piece, 0..10)];
    (start, lines, pieces).prop_map(|(start, lines, pieces)| {
        let end = if pieces.is_empty() { "\r\n" } else { "\r\n\r\n" };
        let head: String = [start].into_iter().chain(lines).chain(pieces).chain([end]).collect();
        head.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However a head is cut into reads, it is judged alike, and what is refused of it reads alike.
    #[test]
    fn cuts_do_not_matter(
        head in any_head(),
        cuts in prop::collection::vec(1_usize..9, 1..40),
        bytes in 20_usize..200,
        target in 1_usize..20,
    ) {
        let rules = Rules { bytes, headers: 3, target };
        let at_once = read(&head, &rules);

        let mut reader = Reader::default();
        let mut end = 0;
        let mut in_pieces = Ok(None);
        for cut in cuts.iter().cycle() {
            end = (end + cut).min(head.len());
            in_pieces = reader.read(&head[..end], &rules);
            if in_pieces != Ok(None) || end == head.len() {
                break;
            }
        }
        match (at_once, in_pieces) {
            // Of a target that is refused before its end came, less is known.
            (Err(whole), Err(piece)) => {
                prop_assert_eq!(whole.fault, piece.fault);
                prop_assert_eq!(whole.method, piece.method);
                let (whole, piece) = (whole.target.unwrap_or_default(), piece.target.unwrap_or_default());
                prop_assert!(whole.starts_with(&*piece), "{:?} {:?}", whole, piece);
            }
            (whole, piece) => prop_assert_eq!(whole, piece),
        }
    }

    /// What is taken here, httparse and the request type behind it read in the same way: no head that passes is then
    /// answered by Pingora with a bare 400, and none has a second reading.
    #[test]
    fn what_is_taken_reads_the_same_to_pingora(head in any_head()) {
        if let Ok(Some(info)) = read(&head, &RULES) {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut request = httparse::Request::new(&mut headers);
            let end = request.parse(&head[info.start..]);
            prop_assert_eq!(end, Ok(httparse::Status::Complete(info.end - info.start)));
            prop_assert_eq!(request.version, Some(u8::from(info.version == Http11)));
            let lines = head[info.start..info.end].split(|&byte| byte == b'\n').count() - 3;
            prop_assert_eq!(request.headers.len(), lines);
            let path = request.path.unwrap_or_default();
            let parsed = pingora::http::RequestHeader::build(request.method.unwrap_or_default(), path.as_bytes(), None);
            prop_assert!(parsed.is_ok_and(|parsed| parsed.raw_path() == path.as_bytes()));
        }
    }

    /// Any target that is taken is one that Pingora's request type takes, byte for byte.
    #[test]
    fn every_target_that_is_taken_is_one_to_pingora(target in "/[!-~]{0,12}([?][!-~]{0,12})?") {
        if syntax::path_and_query(target.as_bytes()).is_ok() {
            let parsed = pingora::http::RequestHeader::build("GET", target.as_bytes(), None);
            prop_assert!(parsed.is_ok_and(|parsed| parsed.raw_path() == target.as_bytes()));
        }
    }

    /// Nothing that is sent makes the reader panic.
    #[test]
    fn any_bytes_are_judged(head in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&head, &RULES);
    }
}

#[test]
fn one_byte_at_a_time_is_read_in_linear_time() {
    // 60 KiB in one line and in many. Were each read to begin anew, this would look at 1.8 billion bytes.
    for filler in ["y", "y\r\nX: "] {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        while head.len() < 59 * 1024 {
            head.extend_from_slice(filler.as_bytes());
        }
        head.extend_from_slice(b"\r\n\r\n");
        let rules = Rules { headers: usize::MAX, ..RULES };
        let mut reader = Reader::default();
        for end in 0..head.len() {
            assert_eq!(reader.read(&head[..end], &rules), Ok(None));
            assert_eq!(reader.searched, end, "what was given is not searched again");
        }
        assert!(matches!(reader.read(&head, &rules), Ok(Some(_))));
    }
}
