//! Bounds on templates that somebody handed over: how large and how nested they are, how deep a stack and how much time
//! rendering may take. A thread that overflows its stack would end the program, and one that does not end would hang it.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::SessionError;
use crate::caught_panic::unless_it_panics;

/// Bytes of a template; those of published checkpoints have up to 20,000.
const MOST_SOURCE_BYTES: usize = 1 << 18;

/// Operators of one tag, each of which may nest the rest of it; published templates have some tens.
const MOST_OPERATORS: usize = 1_000;

/// Levels of lists and objects that are written out.
const MOST_LEVELS: usize = 100;

/// A number in a format of texts has at most so many digits: it is how wide the text becomes.
const MOST_WIDTH_DIGITS: usize = 4;

/// Stack that every rendering has, and more for each unit of its fuel: a template can nest values by one level for a
/// unit, and what drops or prints them goes down level by level.
const STACK_BYTES: u64 = 64 << 20;
const STACK_BYTES_PER_FUEL: u64 = 1024;

/// How long a rendering may take: it takes a millisecond, and one that has not ended by then will not.
const MOST_TIME: Duration = Duration::from_secs(5);

/// Refuses a template that parsing could not hold.
pub(super) fn check_source(source: &str) -> Result<(), String> {
    if source.len() > MOST_SOURCE_BYTES {
        return Err(format!(
            "it has {} bytes, and at most {MOST_SOURCE_BYTES} are read",
            source.len()
        ));
    }
    let mut operators = 0;
    let mut word = String::new();
    for (place, c) in source.char_indices() {
        // a tag begins and ends with two signs, and so do the comments, which hold none of a tag's meaning
        if matches!(
            source.get(place..place + 2),
            Some("{{" | "{%" | "}}" | "%}")
        ) {
            operators = 0;
        }
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        operators +=
            usize::from(["not", "and", "or", "in", "is", "if", "else"].contains(&word.as_str()));
        word.clear();
        operators += usize::from("-+*/~|.([=<>!%".contains(c));
        if operators > MOST_OPERATORS {
            return Err(format!(
                "one of its tags has more than {MOST_OPERATORS} operators"
            ));
        }
    }
    Ok(())
}

/// Runs `render` on a thread of its own, with a stack that holds what `fuel` can nest, until it ends or its time is up.
///
/// # Errors
/// [`SessionError::Tokenizer`] for what `render` says, a panic, or a rendering that does not end.
pub(super) fn rendered(
    fuel: u64,
    render: impl FnOnce() -> Result<String, Error> + Send + 'static,
) -> Result<String, SessionError> {
    let failed = |reason: &str| SessionError::Tokenizer {
        reason: format!("the chat template cannot be rendered ({reason})"),
    };
    let stack = STACK_BYTES.saturating_add(fuel.saturating_mul(STACK_BYTES_PER_FUEL));
    let (sender, receiver) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("chat-template".to_owned())
        .stack_size(usize::try_from(stack).unwrap_or(usize::MAX))
        .spawn(move || {
            let outcome = unless_it_panics(render);
            // nobody listens any more once the time is up
            let _ = sender.send(outcome);
        });
    thread.map_err(|error| failed(&format!("no thread for it: {error}")))?;
    match receiver.recv_timeout(MOST_TIME) {
        Ok(Some(outcome)) => outcome.map_err(|error| failed(&error.to_string())),
        Ok(None) | Err(RecvTimeoutError::Disconnected) => Err(failed("rendering it panics")),
        Err(RecvTimeoutError::Timeout) => Err(failed(&format!(
            "it has not ended after {} seconds",
            MOST_TIME.as_secs()
        ))),
    }
}

/// Refuses a value that is nested deeper than any text is.
pub(super) fn check_levels(value: &Value) -> Result<(), Error> {
    let mut level = vec![value.clone()];
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        if depth > MOST_LEVELS {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("a value has more than {MOST_LEVELS} levels"),
            ));
        }
        let mut next = Vec::new();
        for value in level {
            match value.kind() {
                ValueKind::Seq => next.extend(values_of(&value).filter(is_nested)),
                ValueKind::Map => next.extend(
                    values_of(&value)
                        .filter_map(|key| value.get_item(&key).ok())
                        .filter(is_nested),
                ),
                _ => {}
            }
        }
        level = next;
    }
    Ok(())
}

fn values_of(value: &Value) -> impl Iterator<Item = Value> {
    value.try_iter().into_iter().flatten()
}

fn is_nested(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map)
}

/// Refuses a text whose `format` method would write more than it was given to write.
pub(super) fn check_format(text: &str) -> Result<(), Error> {
    let longest = text
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max()
        .unwrap_or(0);
    if longest <= MOST_WIDTH_DIGITS {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidOperation,
        format!("a format has a width of {longest} digits"),
    ))
}
