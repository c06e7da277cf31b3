//! The options of a window as a form: what its notation says can be chosen, and what a label chooses of it.

use kvlens_sessions::windows::registered;

/// An option of a kind of window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowOption {
    /// Its name in labels.
    pub name: String,
    /// What holds where a label says nothing; empty where that is up to the window.
    pub default: String,
    /// What can be chosen, the default first; a single one where anything of its kind can be typed.
    pub choices: Vec<String>,
}

/// Kinds whose options are paths and other windows, which only a person can type.
const TYPED: [&str; 2] = ["file", "union"];

/// The options of a kind of window, in the order of its notation; those that another kind shares come last.
#[must_use]
pub fn options_of(name: &str) -> Vec<WindowOption> {
    if TYPED.contains(&name) {
        return Vec::new();
    }
    let notation = |name: &str| {
        let kind = registered().iter().find(|kind| kind.name == name);
        kind.map_or("", |kind| kind.syntax)
    };
    let mut options = read(notation(name));
    // `...` stands for those of laq, which others take as well
    if notation(name).contains("...") && name != "laq" {
        for option in read(notation("laq")) {
            let mut known = options.iter_mut();
            match known.find(|known| known.name == option.name) {
                Some(known) if known.choices.iter().any(|choice| choice.contains("...")) => {
                    known.choices = option.choices;
                    known.default = option.default;
                }
                Some(_) => {}
                None => options.push(option),
            }
        }
    }
    options
}

/// What a notation such as `laq[:n=8,heads=query|kv]` names.
fn read(notation: &str) -> Vec<WindowOption> {
    let inside = notation.split_once(':').map_or("", |(_, rest)| rest);
    let inside = match notation.contains("[:") {
        true => inside.strip_suffix(']').unwrap_or(inside),
        false => inside,
    };
    let parts = split(&inside.replace(" | ", ","));
    let mut options: Vec<WindowOption> = Vec::new();
    for part in parts {
        let part = part.trim_matches(['[', ']', ',', ' ']);
        let Some((name, values)) = part.split_once('=') else {
            continue;
        };
        let plain = |value: &str| value.split('[').next().unwrap_or_default().to_owned();
        let choices: Vec<String> = values.split('|').map(plain).collect();
        // in capitals stands what has to be typed, such as a path
        let is_blank = |choice: &String| {
            choice
                .chars()
                .all(|letter| letter.is_uppercase() || letter == '+' || letter == '.')
        };
        let default = choices.first().filter(|choice| !is_blank(choice));
        if options.iter().all(|known| known.name != name) {
            options.push(WindowOption {
                name: name.to_owned(),
                default: default.cloned().unwrap_or_default(),
                choices,
            });
        }
    }
    options
}

/// Parts between the commas that stand in no brackets.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for letter in text.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        match (letter, depth) {
            (',', 0) => parts.push(String::new()),
            _ => parts
                .last_mut()
                .into_iter()
                .for_each(|part| part.push(letter)),
        }
    }
    parts
}

/// What an option is, in a word or two.
#[must_use]
pub fn word(name: &str) -> &'static str {
    match name {
        "w" => "queries of the last prompt tokens",
        "n" => "tokens decoded ahead, or put behind the prompt",
        "budget" => {
            "what the cache keeps while it looks ahead; final: the budget that is evaluated"
        }
        "method" => "how that cache is evicted",
        "stage-w" => "queries that this eviction observes with",
        "heads" => "whether each query head keeps tokens of its own, or each key/value head",
        "mask" => "what the tokens ahead see",
        "content" => "which tokens stand there",
        "prefix" => "first prompt tokens among them",
        "seed" => "where its chance begins",
        "shift" => "positions moved on",
        "file" => "what was trained for the model",
        "weights" => "any: also those trained for other weights",
        "model" => "the folder of the smaller model",
        "dtype" => "the smaller model's number type",
        "sinks" => "first tokens that are always kept",
        "future" => "positions to come that are averaged over",
        "epsilon" => "added to the attention before it is weighted",
        _ => "",
    }
}

/// A label taken apart: the kind, a bare number behind the colon, and options as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// What stands before the colon.
    pub name: String,
    number: Option<String>,
    typed: Vec<(String, String)>,
}

impl Label {
    /// Takes a label apart.
    #[must_use]
    pub fn read(label: &str) -> Self {
        let (name, rest) = label.split_once(':').unwrap_or((label, ""));
        let mut typed: Vec<(String, String)> = Vec::new();
        let mut number = None;
        for part in rest.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) => typed.push((key.to_owned(), value.to_owned())),
                None => number = Some(part.to_owned()),
            }
        }
        Self {
            name: name.trim().to_owned(),
            number,
            typed,
        }
    }

    /// What an option is: as it was typed, or else its default. A bare number is the first option.
    #[must_use]
    pub fn value(&self, option: &WindowOption, is_first: bool) -> String {
        let typed = self.typed.iter().find(|(key, _)| *key == option.name);
        match (typed, &self.number) {
            (Some((_, value)), _) => value.clone(),
            (None, Some(number)) if is_first => number.clone(),
            _ => option.default.clone(),
        }
    }

    /// Sets an option; its default need not be typed.
    pub fn set(&mut self, option: &WindowOption, is_first: bool, value: &str) {
        self.typed.retain(|(key, _)| *key != option.name);
        if is_first {
            self.number = None;
        }
        let value = value.trim();
        if value.is_empty() || value == option.default {
            return;
        }
        match is_first && value.chars().all(|letter| letter.is_ascii_digit()) {
            true => self.number = Some(value.to_owned()),
            false => self.typed.push((option.name.clone(), value.to_owned())),
        }
    }

    /// The label.
    #[must_use]
    pub fn text(&self) -> String {
        let typed = self
            .typed
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let parts: Vec<String> = self.number.clone().into_iter().chain(typed).collect();
        match parts.is_empty() {
            true => self.name.clone(),
            false => format!("{}:{}", self.name, parts.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use kvlens_sessions::windows::parse_windows;

    use super::*;

    #[test]
    fn every_option_of_every_kind_has_a_word_and_its_choices_are_understood() {
        for kind in registered() {
            for option in options_of(kind.name) {
                assert!(!word(&option.name).is_empty(), "{}: {option:?}", kind.name);
                let is_path = ["file", "model"].contains(&option.name.as_str());
                // drafting by itself and by another model exclude each other, and so do their options
                if is_path || kind.name == "draft" {
                    continue;
                }
                for choice in &option.choices {
                    let mut label = Label::read(kind.example);
                    let options = options_of(kind.name);
                    let is_first = options.first() == Some(&option);
                    label.set(&option, is_first, choice);
                    let parsed = parse_windows(&[label.text()]);
                    assert!(parsed.is_ok(), "{}: {}", label.text(), parsed.is_err());
                }
            }
        }
    }

    #[test]
    fn the_notation_is_read_with_its_defaults() {
        let laq = options_of("laq");
        let names: Vec<&str> = laq.iter().map(|option| option.name.as_str()).collect();
        assert_eq!(names, ["n", "budget", "method", "stage-w", "heads", "mask"]);
        assert_eq!(laq[0].default, "8");
        assert_eq!(laq[1].choices, ["10%", "final"]);
        assert_eq!(laq[2].choices, ["snapkv", "h2o", "streaming"]);
        let plus = options_of("laq++");
        assert_eq!(plus[0].name, "w");
        assert_eq!(plus.len(), 1 + laq.len());
        let judge = options_of("judge-q");
        assert_eq!(
            (judge[0].name.as_str(), judge[0].default.as_str()),
            ("file", "")
        );
        assert!(options_of("file").is_empty(), "a path is typed");
        assert!(options_of("tova").is_empty());
    }

    #[test]
    fn a_label_keeps_what_the_form_does_not_know_and_leaves_defaults_out() {
        let options = options_of("laq");
        let mut label = Label::read("laq:16,pool=avg:5");
        assert_eq!(label.value(&options[0], true), "16");
        assert_eq!(label.value(&options[1], false), "10%");
        label.set(&options[0], true, "8");
        label.set(&options[1], false, "20%");
        assert_eq!(label.text(), "laq:pool=avg:5,budget=20%");
        label.set(&options[0], true, "4");
        assert_eq!(label.text(), "laq:4,pool=avg:5,budget=20%");
        label.set(&options[1], false, "10%");
        assert_eq!(label.text(), "laq:4,pool=avg:5");
    }
}
