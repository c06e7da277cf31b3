//! Reading fields of a JSON configuration with errors that name the field.

use serde_json::{Map, Value};

use crate::SessionError;

/// One JSON object of a configuration and where it stands, for the messages.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Prefix of the field names in messages, such as `rope_scaling.`.
    prefix: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, prefix: &'a str) -> Self {
        Self { object, prefix }
    }

    /// The value of a field that is present and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there, be it null.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    pub(crate) fn size(&self, name: &str) -> Result<usize, SessionError> {
        self.optional_size(name)?
            .ok_or_else(|| self.missing(name, "a whole number"))
    }

    /// A whole number of at least one.
    pub(crate) fn optional_size(&self, name: &str) -> Result<Option<usize>, SessionError> {
        match self.optional_count(name)? {
            Some(0) => Err(self.wrong(name, &Value::from(0), "a whole number of at least 1")),
            count => Ok(count),
        }
    }

    /// A whole number, which may be zero.
    pub(crate) fn optional_count(&self, name: &str) -> Result<Option<usize>, SessionError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        whole_number(value)
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, "a whole number below 2^32"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<f64, SessionError> {
        self.optional_number(name)?
            .ok_or_else(|| self.missing(name, "a number"))
    }

    /// A finite number above zero.
    pub(crate) fn optional_number(&self, name: &str) -> Result<Option<f64>, SessionError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_f64()
            .filter(|number| number.is_finite() && *number > 0.0)
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, "a number above 0"))
    }

    /// A list of finite numbers above zero.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f64>, SessionError> {
        let value = self
            .get(name)
            .ok_or_else(|| self.missing(name, "a list of numbers"))?;
        let numbers = value.as_array().and_then(|numbers| {
            let finite = |n: &Value| n.as_f64().filter(|n| n.is_finite() && *n > 0.0);
            numbers.iter().map(finite).collect()
        });
        numbers.ok_or_else(|| self.wrong(name, value, "a list of numbers above 0"))
    }

    /// A finite number of at least zero.
    pub(crate) fn amount(&self, name: &str) -> Result<Option<f64>, SessionError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_f64()
            .filter(|number| number.is_finite() && *number >= 0.0)
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, "a number of at least 0"))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, SessionError> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(name, value, "true or false"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, SessionError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, "a text"))
    }

    pub(crate) fn object(
        &self,
        name: &str,
    ) -> Result<Option<&'a Map<String, Value>>, SessionError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_object()
            .map(Some)
            .ok_or_else(|| self.wrong(name, value, "an object"))
    }

    fn missing(&self, name: &str, expected: &str) -> SessionError {
        SessionError::Config {
            reason: format!("the field '{}{name}' is missing ({expected})", self.prefix),
        }
    }

    fn wrong(&self, name: &str, value: &Value, expected: &str) -> SessionError {
        SessionError::Config {
            reason: format!(
                "the field '{}{name}' is {}, not {expected}",
                self.prefix,
                shortened(value)
            ),
        }
    }
}

/// A whole number below 2^32, which some programs write with a decimal point, as `8192.0`.
fn whole_number(value: &Value) -> Option<usize> {
    let from_fraction = || {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number))
            .then_some(number as u64)
    };
    let number = value.as_u64().or_else(from_fraction)?;
    u32::try_from(number).ok().map(|number| number as usize)
}

/// A value as JSON, cut where it would no longer fit a sentence.
fn shortened(value: &Value) -> String {
    const MOST_CHARACTERS: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST_CHARACTERS) {
        None => text,
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}
