//! Words: how text is cut for matching and ranking, and how foreign text is made plain.

/// The words that carry no meaning of their own: Lucene's English stop set (`EnglishAnalyzer`), which the search
/// engines behind the sources drop too.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// Every word, lower-cased, in order: runs of letters and digits.
pub fn all_words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The words worth searching for. A text of stop words alone keeps them all: "it" is a film and a field.
pub fn words(text: &str) -> Vec<String> {
    let all: Vec<String> = all_words(text).collect();
    let kept: Vec<String> = all.iter().filter(|word| !STOP_WORDS.contains(&word.as_str())).cloned().collect();
    if kept.is_empty() { all } else { kept }
}

/// [`words`], with plurals brought to their singular, so that "networks" finds "network".
pub fn tokens(text: &str) -> Vec<String> {
    words(text).into_iter().map(singular).collect()
}

/// The S-stemmer: Harman, "How effective is suffixing?", JASIS 42(1), 1991, table 1.
fn singular(word: String) -> String {
    let stem = |cut: usize, ending: &str| format!("{}{ending}", &word[..word.len() - cut]);
    if !word.is_ascii() || word.len() < 4 {
        return word;
    }
    if word.ends_with("ies") && !word.ends_with("eies") && !word.ends_with("aies") {
        return stem(3, "y");
    }
    if word.ends_with("es") && !["aes", "ees", "oes"].iter().any(|ending| word.ends_with(ending)) {
        return stem(1, "");
    }
    if word.ends_with('s') && !word.ends_with("us") && !word.ends_with("ss") {
        return stem(1, "");
    }
    word
}

/// [`one_line`] without markup: tags dropped, the five predefined entities resolved. PubMed's titles have `<i>` and
/// `&lt;` in them.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        match tag_length(tail) {
            Some(length) => rest = &tail[length..],
            None => {
                out.push('<');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    let resolved = quick_xml::escape::unescape(&out).map_or_else(|_| out.clone(), |text| text.into_owned());
    one_line(&resolved)
}

/// White space collapsed: the sources break lines and indent.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of the tag that `text` begins with, if it does begin with one: `<i>`, `</sub>`, but not `< 1.7e-9`.
fn tag_length(text: &str) -> Option<usize> {
    let end = text.find('>')?;
    let name = text[1..end].trim_start_matches('/');
    let is_tag = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '/' || c == ' ');
    is_tag.then_some(end + 1)
}

/// The head of a text, for an error message: at most `max` characters, one line.
pub fn excerpt(text: &str, max: usize) -> String {
    let line = one_line(text);
    match line.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_drop_stop_words_and_plurals() {
        assert_eq!(tokens("The Networks of Studies, in classes"), ["network", "study", "classe"]);
        assert_eq!(tokens("bias virus gas class"), ["bia", "virus", "gas", "class"]);
    }

    #[test]
    fn a_text_of_stop_words_keeps_them() {
        assert_eq!(words("It is the"), ["it", "is", "the"]);
        assert!(words("!?").is_empty());
    }

    #[test]
    fn plain_text_has_no_tags_entities_or_line_breaks() {
        assert_eq!(plain("CO<sub>2</sub> &amp;\n  <i>E. coli</i>"), "CO2 & E. coli");
        assert_eq!(plain("p &lt; 0.05 & a < 1.7e-9 > b"), "p &lt; 0.05 & a < 1.7e-9 > b");
        assert_eq!(plain("p &lt; 0.05"), "p < 0.05");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt("ééé", 2), "éé…");
        assert_eq!(excerpt(" a\n b ", 10), "a b");
    }
}
