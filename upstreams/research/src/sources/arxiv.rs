//! arXiv: the Atom API (<https://info.arxiv.org/help/api/user-manual.html>).
//!
//! The feed is read event by event with its namespaces resolved: what counts is that an element is Atom's, arXiv's or
//! OpenSearch's, not which prefix it was given. Entities are never defined by the document, so none can expand.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use super::{Page, Query, some_text};
use crate::identifiers;
use crate::model::{Author, Item, Kind, Source, day};
use crate::text;
use crate::upstream::{Exchange, Fault, Upstream, UpstreamError};

pub const BASE_URL: &str = "https://export.arxiv.org";
pub const PATH: &str = "/api/query";

const ATOM: &str = "http://www.w3.org/2005/Atom";
const ARXIV: &str = "http://arxiv.org/schemas/atom";
const OPENSEARCH: &str = "http://a9.com/-/spec/opensearch/1.1/";

/// An arXiv feed nests four deep.
const MAX_DEPTH: usize = 16;

pub async fn search(upstream: &Upstream, query: &Query, exchange: Exchange<'_>) -> Result<Page, UpstreamError> {
    let (start, max_results) = (query.offset.to_string(), query.limit.to_string());
    let what = match identifiers::arxiv_id(&query.text) {
        Some(id) => ("id_list", id),
        None => ("search_query", search_query(&query.text)),
    };
    let request = upstream.get(PATH, &[(what.0, &what.1), ("start", &start), ("max_results", &max_results)]);
    upstream.ask(request, exchange, |answer| read(answer.content()?)).await
}

/// Every word, anywhere. Only words go in: the query language's own marks (quotes, colons, brackets) stay out.
fn search_query(text: &str) -> String {
    let words: Vec<String> = text::words(text).iter().map(|word| format!("all:{word}")).collect();
    words.join(" AND ")
}

/// Reads an Atom feed.
///
/// # Errors
/// [`Fault::Truncated`] where it ends inside an element, [`Fault::Malformed`] where it is not a feed or an entry lacks
/// what every entry has, [`Fault::Refused`] where it is the feed that tells of an error.
pub fn read(body: &[u8]) -> Result<Page, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| Fault::Malformed(error.to_string()))?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut feed = Feed::default();
    loop {
        let (namespace, event) =
            reader.read_resolved_event().map_err(|error| Fault::Malformed(format!("not XML: {error}")))?;
        match event {
            Event::Start(start) => {
                let name = Name { space: Space::of(&namespace), local: start.local_name().as_ref().to_owned() };
                feed.open(name, &start)?;
            }
            Event::End(_) => feed.close()?,
            Event::Text(text) => feed.text.push_str(&text),
            Event::CData(data) => feed.text.push_str(&data),
            Event::GeneralRef(reference) => feed.text.push_str(&resolve(&reference)?),
            Event::Eof => return feed.finish(),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) | Event::Empty(_) => {}
        }
    }
}

/// `&amp;` and its like, and `&#233;`; any other entity would need a definition, which arXiv never sends.
fn resolve(reference: &BytesRef<'_>) -> Result<String, Fault> {
    let unknown = || Fault::Malformed(format!("the entity &{}; means nothing", &**reference));
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string()),
        Ok(None) => resolve_predefined_entity(reference).map(str::to_owned).ok_or_else(unknown),
        Err(_) => Err(unknown()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Atom,
    Arxiv,
    OpenSearch,
    Other,
}

impl Space {
    fn of(resolved: &ResolveResult<'_>) -> Self {
        match resolved {
            ResolveResult::Bound(Namespace(ATOM)) => Space::Atom,
            ResolveResult::Bound(Namespace(ARXIV)) => Space::Arxiv,
            ResolveResult::Bound(Namespace(OPENSEARCH)) => Space::OpenSearch,
            _ => Space::Other,
        }
    }
}

struct Name {
    space: Space,
    local: String,
}

/// What has been read so far, and where in the document we are.
#[derive(Default)]
struct Feed {
    open: Vec<Name>,
    /// The text since the last tag.
    text: String,
    /// Whether the outermost element was Atom's `feed`.
    is_feed: bool,
    total: Option<u64>,
    entry: Entry,
    items: Vec<Item>,
}

#[derive(Default)]
struct Entry {
    id: String,
    title: String,
    summary: String,
    published: String,
    authors: Vec<Author>,
    doi: String,
    journal: String,
    subjects: Vec<String>,
    links: Vec<String>,
}

impl Feed {
    fn open(&mut self, name: Name, start: &BytesStart<'_>) -> Result<(), Fault> {
        if self.open.is_empty() {
            if name.space != Space::Atom || name.local != "feed" {
                return Err(Fault::Malformed(format!("not an Atom feed: its root is `{}`", name.local)));
            }
            self.is_feed = true;
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Fault::Malformed(format!("elements nest deeper than {MAX_DEPTH}")));
        }
        self.open.push(name);
        self.text.clear();
        match path(&self.open).as_slice() {
            [_, (Space::Atom, "entry")] => self.entry = Entry::default(),
            [_, (Space::Atom, "entry"), (Space::Atom, "author")] => self.entry.authors.push(Author::named("")),
            [_, (Space::Atom, "entry"), (Space::Atom, "category")] => {
                self.entry.subjects.extend(attribute(start, "term")?);
            }
            [_, (Space::Atom, "entry"), (Space::Atom, "link")]
                if attribute(start, "title")?.as_deref() == Some("pdf") =>
            {
                self.entry.links.extend(attribute(start, "href")?);
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let text = std::mem::take(&mut self.text);
        match path(&self.open).as_slice() {
            [_, (Space::OpenSearch, "totalResults")] => self.total = text.trim().parse().ok(),
            [_, (Space::Atom, "entry")] => self.items.push(std::mem::take(&mut self.entry).into_item()?),
            [_, (Space::Atom, "entry"), field] => match field {
                (Space::Atom, "id") => self.entry.id = text,
                (Space::Atom, "title") => self.entry.title = text,
                (Space::Atom, "summary") => self.entry.summary = text,
                (Space::Atom, "published") => self.entry.published = text,
                (Space::Arxiv, "doi") => self.entry.doi = text,
                (Space::Arxiv, "journal_ref") => self.entry.journal = text,
                _ => {}
            },
            [_, (Space::Atom, "entry"), (Space::Atom, "author"), field] => {
                if let Some(author) = self.entry.authors.last_mut() {
                    match field {
                        (Space::Atom, "name") => author.name = text::one_line(&text),
                        (Space::Arxiv, "affiliation") => author.affiliation = some_text(&text),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        self.open.pop();
        Ok(())
    }

    fn finish(self) -> Result<Page, Fault> {
        if let Some(name) = self.open.last() {
            return Err(Fault::Truncated(format!("the feed ends inside <{}>", name.local)));
        }
        if !self.is_feed {
            return Err(Fault::Malformed("not an Atom feed: there is no element in it".into()));
        }
        Ok(Page { items: self.items, total: self.total })
    }
}

/// The names of the elements that are open, the outermost first.
fn path(open: &[Name]) -> Vec<(Space, &str)> {
    open.iter().map(|name| (name.space, name.local.as_str())).collect()
}

impl Entry {
    fn into_item(self) -> Result<Item, Fault> {
        let address = self.id.trim();
        let title = text::one_line(&self.title);
        if address.contains("arxiv.org/api/errors") {
            return Err(Fault::Refused { status: 200, message: some_text(&self.summary) });
        }
        let id = identifiers::arxiv_mention(address).ok_or_else(|| {
            Fault::Malformed(format!("an entry's id is no arXiv id: `{}`", text::excerpt(address, 80)))
        })?;
        if title.is_empty() {
            return Err(Fault::Malformed(format!("the entry {id} has no title")));
        }
        Ok(Item {
            source: Source::Arxiv,
            kind: Kind::Paper,
            title,
            authors: self.authors.into_iter().filter(|author| !author.name.is_empty()).collect(),
            summary: some_text(&self.summary),
            url: format!("https://arxiv.org/abs/{id}"),
            // A paper with an erratum has two, separated by white space.
            doi: self.doi.split_whitespace().next().and_then(identifiers::doi),
            published: day(self.published.trim()),
            venue: some_text(&self.journal),
            subjects: self.subjects,
            stars: None,
            links: self.links,
            arxiv_id: Some(id.clone()),
            id,
        })
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, Fault> {
    let malformed = |error: &dyn std::fmt::Display| Fault::Malformed(format!("a bad attribute: {error}"));
    let Some(attribute) = start.try_get_attribute(name).map_err(|error| malformed(&error))? else { return Ok(None) };
    Ok(Some(attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| malformed(&error))?.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:os="http://a9.com/-/spec/opensearch/1.1/">
  <title type="html">ArXiv Query</title><id>http://arxiv.org/api/x</id>
  <os:totalResults>1000</os:totalResults>
  <entry>
    <id>http://arxiv.org/abs/hep-ex/0307015v1</id>
    <published>2003-07-07T13:46:39-04:00</published>
    <title>Multi-Electron Production
  at High &lt;p_T&gt; &amp; HERA</title>
    <summary>  With <![CDATA[p < 1]]> &#233;t&#xe9;.
</summary>
    <author><name>H1 Collaboration</name><x:affiliation xmlns:x="http://arxiv.org/schemas/atom">DESY</x:affiliation></author>
    <x:doi xmlns:x="http://arxiv.org/schemas/atom">10.1140/EPJC/s2003-01326-x</x:doi>
    <doi>10.9999/not-arxivs-own</doi>
    <x:journal_ref xmlns:x="http://arxiv.org/schemas/atom">Eur.Phys.J. C31 (2003) 17-29</x:journal_ref>
    <link href="http://arxiv.org/abs/hep-ex/0307015v1" rel="alternate" type="text/html"/>
    <link title="pdf" href="http://arxiv.org/pdf/hep-ex/0307015v1" rel="related"/>
    <category term="hep-ex" scheme="http://arxiv.org/schemas/atom"/>
  </entry>
</feed>"#;

    #[test]
    fn an_entry_is_read_whatever_its_prefixes() {
        let page = read(FEED.as_bytes()).expect("a feed");
        assert_eq!(page.total, Some(1000));
        let item = &page.items[0];
        assert_eq!(item.id, "hep-ex/0307015");
        assert_eq!(item.title, "Multi-Electron Production at High <p_T> & HERA");
        assert_eq!(item.summary.as_deref(), Some("With p < 1 été."));
        assert_eq!(item.authors, [Author { name: "H1 Collaboration".into(), affiliation: Some("DESY".into()) }]);
        assert_eq!(item.doi.as_deref(), Some("10.1140/epjc/s2003-01326-x"));
        assert_eq!(item.published, Some(jiff::civil::date(2003, 7, 7)));
        assert_eq!(item.venue.as_deref(), Some("Eur.Phys.J. C31 (2003) 17-29"));
        assert_eq!(item.links, ["http://arxiv.org/pdf/hep-ex/0307015v1"]);
        assert_eq!(item.subjects, ["hep-ex"]);
    }

    #[test]
    fn an_empty_feed_is_an_answer_without_results() {
        let page = read(br#"<feed xmlns="http://www.w3.org/2005/Atom"/>"#).expect("a feed");
        assert_eq!(page, Page { items: Vec::new(), total: None });
    }

    #[test]
    fn a_feed_cut_anywhere_is_a_fault() {
        let whole = FEED.len();
        for cut in (0..whole).filter(|at| FEED.is_char_boundary(*at)) {
            assert!(read(&FEED.as_bytes()[..cut]).is_err(), "cut at {cut} of {whole}");
        }
    }

    #[test]
    fn what_is_no_feed_is_malformed() {
        let deep = format!(r#"<feed xmlns="{ATOM}">{}"#, "<a>".repeat(20));
        for body in ["", "{}", "<rss/>", r#"<feed xmlns="urn:other"/>"#, "<feed>", "<a></b>", &deep, "\u{1}"] {
            assert!(matches!(read(body.as_bytes()), Err(Fault::Malformed(_))), "{body}");
        }
        assert!(matches!(read(b"\xff\xfe"), Err(Fault::Malformed(_))));
    }

    #[test]
    fn an_entry_without_what_every_entry_has_is_malformed() {
        for entry in ["", "<id>http://arxiv.org/abs/1706.03762v1</id>", "<id>urn:x</id><title>T</title>", "&nope;"] {
            let body = format!(r#"<feed xmlns="{ATOM}"><entry>{entry}</entry></feed>"#);
            assert!(matches!(read(body.as_bytes()), Err(Fault::Malformed(_))), "{entry}");
        }
    }

    #[test]
    fn the_error_feed_is_a_refusal_with_its_message() {
        let body = format!(
            r#"<feed xmlns="{ATOM}"><entry><id>http://arxiv.org/api/errors#incorrect_id_format_for_1234</id>
            <title>Error</title><summary>incorrect id format for 1234</summary></entry></feed>"#
        );
        let message = Some("incorrect id format for 1234".to_owned());
        assert_eq!(read(body.as_bytes()), Err(Fault::Refused { status: 200, message }));
    }

    #[test]
    fn a_query_is_words_and_nothing_of_the_query_language() {
        assert_eq!(
            search_query("attention is (all) you \"need\""),
            "all:attention AND all:all AND all:you AND all:need"
        );
        assert_eq!(search_query("au:x ANDNOT"), "all:au AND all:x AND all:andnot");
    }
}
