//! A bound on what a tokenizer makes of a text before it cuts it: a chain of replacements, each of which doubles what it
//! finds, turns a prompt into gigabytes.

use serde_json::Value;

/// Bytes that a byte of text may become. SentencePiece's tokenizers write three bytes for a space.
const MOST_GROWTH: usize = 64;

/// Bytes that may be put before a text.
const MOST_PREPENDED_BYTES: usize = 1024;

/// Refuses a `tokenizer.json` whose normalisers may make far more of a text than it is.
pub(super) fn check_growth(tokenizer: &Value) -> Result<(), String> {
    let normalizer = tokenizer.get("normalizer").unwrap_or(&Value::Null);
    let growth = growth(normalizer);
    if growth <= MOST_GROWTH {
        return Ok(());
    }
    Err(format!(
        "the normalizer of tokenizer.json may make a text more than {MOST_GROWTH} times as long, which no published one does"
    ))
}

/// Bytes that a byte may become at most.
fn growth(normalizer: &Value) -> usize {
    let text = |field: &str| {
        normalizer
            .get(field)
            .and_then(Value::as_str)
            .map_or(0, str::len)
    };
    match normalizer.get("type").and_then(Value::as_str) {
        Some("Sequence") => {
            let parts = normalizer.get("normalizers").and_then(Value::as_array);
            let parts = parts.into_iter().flatten().map(growth);
            parts.fold(1, usize::saturating_mul)
        }
        Some("Replace") => {
            let found = normalizer
                .pointer("/pattern/String")
                .and_then(Value::as_str);
            // a regular expression may find single letters, and what is empty is found between any two
            let found = found.map_or(1, str::len);
            match found {
                0 => text("content").saturating_add(1),
                found => text("content").div_ceil(found).max(1),
            }
        }
        Some("Prepend") if text("prepend") > MOST_PREPENDED_BYTES => usize::MAX,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn published_normalisers_pass_and_doubling_ones_do_not() {
        let of = |parts: Vec<Value>| {
            check_growth(&json!({"normalizer": {"type": "Sequence", "normalizers": parts}}))
        };
        // Llama 2 and Gemma
        let space = || replace(json!({"String": " "}), "\u{2581}");
        assert!(
            of(vec![
                json!({"type": "Prepend", "prepend": "\u{2581}"}),
                space()
            ])
            .is_ok()
        );
        assert!(check_growth(&json!({"normalizer": space()})).is_ok());
        assert!(check_growth(&json!({"normalizer": null})).is_ok());
        let double = || replace(json!({"String": "a"}), "aa");
        assert!(of(vec![double(); 6]).is_ok());
        assert!(of(vec![double(); 7]).is_err());
        assert!(
            check_growth(&json!({"normalizer": replace(json!({"Regex": "."}), &"x".repeat(65))}))
                .is_err()
        );
        assert!(
            check_growth(&json!({"normalizer": replace(json!({"String": ""}), &"x".repeat(65))}))
                .is_err()
        );
        let long = json!({"type": "Prepend", "prepend": "x".repeat(2000)});
        assert!(check_growth(&json!({"normalizer": long})).is_err());
    }
}
