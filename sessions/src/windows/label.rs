//! Reading a window as it is typed: `name`, `name:32`, `name:key=value,key=value`.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::SessionError;

/// A window's name and options, and the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowLabel {
    text: String,
    name: String,
    /// A bare number after the colon, such as 32 in `last:32`.
    number: Option<usize>,
    options: BTreeMap<String, String>,
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
        };
        for part in rest.into_iter().flat_map(|rest| rest.split(',')) {
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
                None if label.number.is_none() => {
                    let number = part
                        .parse()
                        .map_err(|_| wrong(&format!("'{part}' is no number")))?;
                    label.number = Some(number);
                }
                _ => return Err(wrong(&format!("'{part}' is no option"))),
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

    /// The one whole number that a window takes, given bare or as `key`, at least 1; `default` if absent.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for zero, for both spellings at once, or for any other option.
    pub fn only_count(&self, key: &str, default: usize) -> Result<usize, SessionError> {
        let wrong = |why: String| SessionError::Plan {
            reason: format!("window '{}': {why}", self.text),
        };
        if let Some(unknown) = self.options.keys().find(|option| *option != key) {
            return Err(wrong(format!(
                "there is no option '{unknown}' (there is: {key})"
            )));
        }
        let named = self
            .options
            .get(key)
            .map(|value| {
                value
                    .parse::<usize>()
                    .map_err(|_| wrong(format!("'{value}' is no whole number")))
            })
            .transpose()?;
        match (self.number, named) {
            (Some(_), Some(_)) => Err(wrong(format!("{key} is given twice"))),
            (Some(0), _) | (_, Some(0)) => Err(wrong(format!("{key} must be at least 1"))),
            (number, named) => Ok(number.or(named).unwrap_or(default)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_named_option_is_the_same_count() {
        let count = |text: &str| text.parse::<WindowLabel>().unwrap().only_count("w", 32);
        assert_eq!(count("last").unwrap(), 32);
        assert_eq!(count("last:8").unwrap(), 8);
        assert_eq!(count("last:w=8").unwrap(), 8);
        assert!(
            count("last:8,w=8")
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        assert!(
            count("last:0")
                .unwrap_err()
                .to_string()
                .contains("at least 1")
        );
        assert!(count("last:n=4").unwrap_err().to_string().contains("'n'"));
    }

    #[test]
    fn nonsense_is_refused_with_the_form_that_is_meant() {
        for text in ["", ":8", "last:", "last:x", "last:w=", "last:w=1,w=2"] {
            let error = text.parse::<WindowLabel>().unwrap_err();
            assert!(error.to_string().contains("key=value"), "{text}: {error}");
        }
    }
}
