//! The card's text: `card.md` with values in the place of their names.

use anyhow::{Result, bail};

const CARD: &str = include_str!("card.md");

/// What stands in the place of `{{ name }}`, by name.
pub type Values = Vec<(&'static str, String)>;

/// The card with these values.
///
/// # Errors
/// A name that the text does not have, or one of the text without a value.
pub fn filled(values: &Values) -> Result<String> {
    let mut text = String::new();
    let mut rest = CARD;
    let mut used = 0;
    while let Some((before, behind)) = rest.split_once("{{ ") {
        let Some((name, behind)) = behind.split_once(" }}") else {
            bail!("the card's text has a name without an end");
        };
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
            bail!("the card's text asks for '{name}', which is not there");
        };
        text.push_str(before);
        text.push_str(value);
        used += 1;
        rest = behind;
    }
    if used != values.len() {
        bail!("the card's text leaves out values that were made for it");
    }
    // the last of the values ends with its own line
    text.push_str(rest.trim_end());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_too_few_or_too_many_is_told() {
        let names = CARD.split("{{ ").skip(1);
        let mut values: Values = names
            .map(|behind| {
                (
                    behind.split(" }}").next().unwrap_or_default(),
                    "7\n".to_owned(),
                )
            })
            .collect();
        assert!(!filled(&values).unwrap().contains("{{"));
        values.push(("more", String::new()));
        assert!(filled(&values).is_err());
        values.truncate(2);
        assert!(filled(&values).is_err());
    }
}
