//! The fields of a row, and which of them were read as what.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::records::{Fields, parse_python};

/// What is wrong with a row, as the end of a sentence that begins with it.
pub(crate) type Problem = String;

/// A row that remembers what was read of it.
pub(crate) struct Row<'a> {
    fields: &'a Fields,
    read: RefCell<BTreeMap<String, &'static str>>,
}

/// What became of the fields of a row.
pub(crate) struct Uses {
    /// What each was read as.
    pub read: BTreeMap<String, &'static str>,
    /// The others.
    pub unread: Vec<String>,
    /// Those that were read and hold nothing.
    pub empty: Vec<String>,
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

impl<'a> Row<'a> {
    pub(crate) fn new(fields: &'a Fields) -> Self {
        Self {
            fields,
            read: RefCell::default(),
        }
    }

    /// What was read as what, and the names of the rest.
    pub(crate) fn uses(self) -> Uses {
        let read = self.read.into_inner();
        let rest = self.fields.keys().filter(|name| !read.contains_key(*name));
        let unread = rest.cloned().collect();
        let is_empty = |name: &&String| self.fields.get(*name).is_some_and(is_empty);
        let empty = read.keys().filter(is_empty).cloned().collect();
        Uses {
            read,
            unread,
            empty,
        }
    }

    /// The names of all fields.
    pub(crate) fn names(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether the field is this text.
    pub(crate) fn holds(&self, name: &str, text: Option<&str>) -> bool {
        self.fields.get(name).and_then(Value::as_str) == text
    }

    /// The field, marked as read, when it is there and not null.
    pub(crate) fn get(&self, name: &str, role: &'static str) -> Option<&'a Value> {
        let value = self.fields.get(name)?;
        self.read.borrow_mut().insert(name.to_owned(), role);
        (!value.is_null()).then_some(value)
    }

    /// The first of these fields that is there and not null.
    pub(crate) fn first(
        &self,
        names: &[&'a str],
        role: &'static str,
    ) -> Option<(&'a str, &'a Value)> {
        let name = names.iter().find(|name| self.has(name))?;
        self.get(name, role).map(|value| (*name, value))
    }

    /// The field as it is, when it is text.
    pub(crate) fn text(
        &self,
        name: &'a str,
        role: &'static str,
    ) -> Result<Option<&'a str>, Problem> {
        self.first_text(&[name], role)
    }

    /// The first of these fields, which must be text.
    pub(crate) fn first_text(
        &self,
        names: &[&'a str],
        role: &'static str,
    ) -> Result<Option<&'a str>, Problem> {
        match self.first(names, role) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((name, _)) => Err(format!("has a field {name} that is not text")),
        }
    }

    /// A text that must be there; it may be empty.
    pub(crate) fn needed(&self, name: &'a str, role: &'static str) -> Result<&'a str, Problem> {
        self.text(name, role)?
            .ok_or_else(|| format!("has no field {name}"))
    }

    /// Texts: one text, number or truth value, or a list of them.
    pub(crate) fn texts(&self, name: &str, role: &'static str) -> Result<Vec<String>, Problem> {
        match self.get(name, role) {
            Some(value) => texts_of(name, value),
            None => Ok(Vec::new()),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn count(
        &self,
        name: &'a str,
        role: &'static str,
    ) -> Result<Option<usize>, Problem> {
        match self.get(name, role) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .map(Some)
                .ok_or_else(|| format!("has a field {name} that is no whole number")),
        }
    }

    /// A list or a dictionary, or a text that prints one in JSON or Python.
    pub(crate) fn structure(&self, name: &'a str, role: &'static str) -> Option<Value> {
        match self.get(name, role)? {
            Value::String(text) => parse_python(text),
            value => Some(value.clone()),
        }
    }
}

/// A text, number or truth value as text, or a list of them.
pub(crate) fn texts_of(name: &str, value: &Value) -> Result<Vec<String>, Problem> {
    let wrong = || format!("has a field {name} that is neither text nor a list of texts");
    match value {
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
            texts.ok_or_else(wrong)
        }
        value => scalar(value).map(|text| vec![text]).ok_or_else(wrong),
    }
}

/// A text as it is, a number or a truth value in JSON's writing.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
