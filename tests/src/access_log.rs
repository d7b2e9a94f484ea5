//! The access log as its readers get it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::wait::until;

/// A file of one JSON line a request.
pub struct AccessLog {
    path: PathBuf,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line(pub Value);

impl AccessLog {
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The whole lines so far. A line that is no JSON fails the test.
    pub fn lines(&self) -> Vec<Line> {
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| Line(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))).collect()
    }

    /// Everything in the file.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    /// Waits until there are at least `count` lines.
    pub async fn wait(&self, count: usize) -> anyhow::Result<Vec<Line>> {
        until(&format!("{count} lines in the access log"), || {
            let lines = self.lines();
            (lines.len() >= count).then_some(lines)
        })
        .await
    }

    /// Waits for the line of this path (the original one, without its query).
    pub async fn of_path(&self, path: &str) -> anyhow::Result<Line> {
        until(&format!("the access log's line of {path}"), || {
            self.lines().into_iter().find(|line| line.text("url.path") == path)
        })
        .await
    }
}

impl Line {
    /// A field by its ECS name, whether it is written nested or with dots.
    pub fn get(&self, name: &str) -> Option<&Value> {
        fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
            let fields = value.as_object()?;
            fields.get(name).or_else(|| {
                fields.iter().find_map(|(key, inner)| find(inner, name.strip_prefix(key.as_str())?.strip_prefix('.')?))
            })
        }
        find(&self.0, name)
    }

    /// A field as text; numbers as written; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        match self.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    pub fn reason(&self) -> String {
        self.text("labels.reason")
    }

    pub fn status(&self) -> String {
        self.text("http.response.status_code")
    }
}
