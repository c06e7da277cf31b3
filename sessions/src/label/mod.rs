//! Reading a window as it is typed: `name`, `name:32`, `name:key=value,key=value`, `name:of=A+B`.

mod final_budget;
mod options;

use std::collections::BTreeMap;
use std::str::FromStr;

pub(crate) use final_budget::one_for_each_budget;
pub use final_budget::{FINAL_BUDGETS, FinalPart, final_part};
pub use options::WindowOptions;

use crate::SessionError;

/// The option that names other windows. It takes the rest of the text, because they have options of their own.
const MEMBERS: &str = "of";

/// The window whose bare text is no number but a path.
const FILE: &str = "file";

/// A window's name and options, and the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowLabel {
    text: String,
    name: String,
    /// A bare number after the colon, such as 32 in `last:32`.
    number: Option<usize>,
    options: BTreeMap<String, String>,
    /// What stands behind `of=`.
    members: Option<String>,
}

impl FromStr for WindowLabel {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| SessionError::Plan {
            reason: format!(
                "window '{text}': {why}; write name, name:NUMBER or name:key=value,key=value"
            ),
        };
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        if name.is_empty() {
            return Err(wrong("the name is missing"));
        }
        let mut label = Self {
            text: text.to_owned(),
            name: name.to_owned(),
            number: None,
            options: BTreeMap::new(),
            members: None,
        };
        let (own, members) = rest.map_or((None, None), split_members);
        if members == Some("") {
            return Err(wrong("no window stands behind of="));
        }
        label.members = members.map(str::to_owned);
        for part in own.into_iter().flat_map(|own| own.split(',')) {
            match part.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                    if label
                        .options
                        .insert(key.to_owned(), value.to_owned())
                        .is_some()
                    {
                        return Err(wrong(&format!("the option '{key}' is there twice")));
                    }
                }
                None if name == FILE && !part.is_empty() => {
                    let earlier = label.options.insert("path".to_owned(), part.to_owned());
                    if earlier.is_some() {
                        return Err(wrong("it takes one file"));
                    }
                }
                None if label.number.is_none() => {
                    let number = part
                        .parse()
                        .map_err(|_| wrong(&format!("'{part}' is no number")))?;
                    label.number = Some(number);
                }
                _ => {
                    return Err(wrong(&format!(
                        "'{part}' is no option, and windows are separated by blanks"
                    )));
                }
            }
        }
        Ok(label)
    }
}

impl WindowLabel {
    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The part before the colon.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was typed for an option of the window itself.
    pub(crate) fn typed(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    /// Whether one of these options was typed, of the window itself and not of a union's members.
    pub(crate) fn first_typed(&self, keys: &[&'static str]) -> Option<&'static str> {
        let mut keys = keys.iter().copied();
        keys.find(|&key| self.options.contains_key(key))
    }

    /// The options, to be read one by one.
    pub fn options(&self) -> WindowOptions<'_> {
        WindowOptions::new(self)
    }
}

/// Parts before and behind `of=`.
fn split_members(rest: &str) -> (Option<&str>, Option<&str>) {
    let key = format!("{MEMBERS}=");
    if let Some(members) = rest.strip_prefix(&key) {
        return (None, Some(members));
    }
    match rest.split_once(&format!(",{key}")) {
        Some((own, members)) => (Some(own), Some(members)),
        None => (Some(rest), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_with_the_form_that_is_meant() {
        for text in [
            "",
            ":8",
            "last:",
            "last:x",
            "last:w=",
            "last:w=1,w=2",
            "union:of=",
        ] {
            let error = text.parse::<WindowLabel>().unwrap_err();
            assert!(error.to_string().contains("key=value"), "{text}: {error}");
        }
    }

    #[test]
    fn members_keep_their_own_options() {
        let label: WindowLabel = "union:by=rank,of=last:w=8+laq:n=4,budget=5%"
            .parse()
            .unwrap();
        assert_eq!(label.members.as_deref(), Some("last:w=8+laq:n=4,budget=5%"));
        assert_eq!(label.options.len(), 1);
    }
}
