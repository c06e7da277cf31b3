//! The options of a window, read one by one, so that what nobody asked for can be refused.

use std::fmt::Display;
use std::str::FromStr;

use kvlens_analysis::Budget;

use super::WindowLabel;
use super::final_budget::own_budget;
use crate::SessionError;

/// Reads the options of one [`WindowLabel`]. End with [`finish`](Self::finish).
#[derive(Debug)]
pub struct WindowOptions<'a> {
    label: &'a WindowLabel,
    known: Vec<&'static str>,
    number_read: bool,
}

impl<'a> WindowOptions<'a> {
    pub(super) fn new(label: &'a WindowLabel) -> Self {
        Self {
            label,
            known: Vec::new(),
            number_read: false,
        }
    }

    /// A number of at least 1.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for anything else.
    pub fn count(&mut self, key: &'static str, default: usize) -> Result<usize, SessionError> {
        match self.parsed(key, default)? {
            0 => Err(self.wrong(&format!("{key} must be at least 1"))),
            count => Ok(count),
        }
    }

    /// A number of at least 1 that may also stand alone behind the colon.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for anything else, and for both spellings at once.
    pub fn main_count(&mut self, key: &'static str, default: usize) -> Result<usize, SessionError> {
        self.number_read = true;
        match (self.label.number, self.label.options.contains_key(key)) {
            (Some(_), true) => Err(self.wrong(&format!("{key} is given twice"))),
            (Some(number), false) => self.count(key, number),
            (None, _) => self.count(key, default),
        }
    }

    /// Whatever can be read from text.
    ///
    /// # Errors
    /// [`SessionError::Plan`] with what the type says of the text.
    pub fn parsed<T>(&mut self, key: &'static str, default: T) -> Result<T, SessionError>
    where
        T: FromStr,
        T::Err: Display,
    {
        Ok(self.given(key)?.unwrap_or(default))
    }

    /// Whatever can be read from text, if it was typed.
    ///
    /// # Errors
    /// [`SessionError::Plan`] with what the type says of the text.
    pub fn given<T>(&mut self, key: &'static str) -> Result<Option<T>, SessionError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(key);
        text.map(|text| {
            let read = text.parse();
            read.map_err(|error| self.wrong(&format!("{key}={text}: {error}")))
        })
        .transpose()
    }

    /// One of a few words; the first is the default.
    ///
    /// # Errors
    /// [`SessionError::Plan`] naming the words.
    pub fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, SessionError> {
        let found = match self.text(key) {
            None => choices.first(),
            Some(text) => choices.iter().find(|(word, _)| *word == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.wrong(&format!("{key} is one of {}", words.join(", ")))
        })
    }

    /// A text, or none.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.label.options.get(key).map(String::as_str)
    }

    /// What stands behind `of=`.
    pub fn members(&mut self) -> Option<&'a str> {
        self.known.push("of");
        self.label.members.as_deref()
    }

    /// `budget=256` or `budget=10%`, or that of one observation of a window with `budget=final`.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for what is no budget, and for the final one where observations cannot be joined.
    pub fn budget(&mut self, default: Budget) -> Result<Budget, SessionError> {
        let Some(typed) = self.text("budget") else {
            return Ok(default);
        };
        match own_budget(typed) {
            "final" => Err(self.wrong(
                "budget=final looks ahead once for each budget and so is a window by itself, not part of another one",
            )),
            budget => budget
                .parse()
                .map_err(|error| self.wrong(&format!("budget={typed}: {error}"))),
        }
    }

    /// Refuses what was typed and never asked for.
    ///
    /// # Errors
    /// [`SessionError::Plan`] naming the option and those that there are.
    pub fn finish(self) -> Result<(), SessionError> {
        let typed = self.label.options.keys().map(String::as_str);
        let members = self.label.members.as_ref().map(|_| "of");
        let unknown = typed
            .chain(members)
            .find(|key| !self.known.contains(key))
            .map(str::to_owned);
        let there_is = match self.known.as_slice() {
            [] => "it takes none".to_owned(),
            known => format!("there is: {}", known.join(", ")),
        };
        match (unknown, self.label.number) {
            (Some(key), _) => Err(self.wrong(&format!("there is no option '{key}' ({there_is})"))),
            (None, Some(number)) if !self.number_read => Err(self.wrong(&format!(
                "the number {number} needs the name of an option ({there_is})"
            ))),
            _ => Ok(()),
        }
    }

    /// The window as it was typed.
    pub fn label(&self) -> &'a str {
        self.label.text()
    }

    /// An error that names the window.
    pub fn wrong(&self, why: &str) -> SessionError {
        SessionError::Plan {
            reason: format!("window '{}': {why}", self.label.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Result<usize, String> {
        let label: WindowLabel = text.parse().unwrap();
        let mut options = label.options();
        let count = options.main_count("w", 32).map_err(|e| e.to_string())?;
        options.finish().map_err(|e| e.to_string())?;
        Ok(count)
    }

    #[test]
    fn a_number_or_a_named_option_is_the_same_count() {
        assert_eq!(count("last"), Ok(32));
        assert_eq!(count("last:8"), Ok(8));
        assert_eq!(count("last:w=8"), Ok(8));
        assert!(count("last:8,w=8").unwrap_err().contains("twice"));
        assert!(count("last:0").unwrap_err().contains("at least 1"));
        assert!(count("last:w=x").unwrap_err().contains("w=x"));
        assert!(count("last:n=4").unwrap_err().contains("'n' (there is: w)"));
        assert!(count("last:of=laq").unwrap_err().contains("'of'"));
    }

    #[test]
    fn a_number_without_a_name_is_refused_where_it_means_nothing() {
        let label: WindowLabel = "tova:3".parse().unwrap();
        let error = label.options().finish().unwrap_err().to_string();
        assert!(error.contains("the number 3"), "{error}");
    }

    #[test]
    fn a_choice_falls_back_to_its_first_word_and_names_the_others() {
        let choices = [("causal", 1), ("as-released", 2)];
        let read = |text: &str| {
            let label: WindowLabel = text.parse().unwrap();
            label.options().choice("mask", &choices)
        };
        assert_eq!(read("laq").unwrap(), 1);
        assert_eq!(read("laq:mask=as-released").unwrap(), 2);
        let error = read("laq:mask=none").unwrap_err().to_string();
        assert!(error.contains("causal, as-released"), "{error}");
    }
}
