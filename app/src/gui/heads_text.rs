//! The selected heads as a person types them: `3.5, 4.*` or `all`.

use std::collections::BTreeSet;

use super::state::HeadAddress;

/// The selection as text; `all` for none in particular.
#[must_use]
pub fn heads_text(heads: &BTreeSet<HeadAddress>) -> String {
    if heads.is_empty() {
        return "all".to_owned();
    }
    let texts: Vec<String> = heads
        .iter()
        .map(|address| format!("{}.{}", address.layer, address.head))
        .collect();
    texts.join(", ")
}

/// The heads that a text names; none for `all`.
///
/// # Errors
/// A sentence about the part that names no head of the model.
pub fn parse_heads(
    text: &str,
    layers: usize,
    query_heads: usize,
) -> Result<Vec<HeadAddress>, String> {
    let mut heads = Vec::new();
    for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
        if part == "all" {
            return Ok(Vec::new());
        }
        let wrong = || {
            format!(
                "'{part}' names no head; write layer.head with layers below {layers} and heads below {query_heads}"
            )
        };
        let (layer, head) = part.split_once('.').ok_or_else(wrong)?;
        let layer = number(layer, layers).ok_or_else(wrong)?;
        if head == "*" {
            heads.extend((0..query_heads).map(|head| HeadAddress { layer, head }));
        } else {
            let head = number(head, query_heads).ok_or_else(wrong)?;
            heads.push(HeadAddress { layer, head });
        }
    }
    Ok(heads)
}

fn number(text: &str, limit: usize) -> Option<usize> {
    text.parse().ok().filter(|number| *number < limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back_as_they_were_written() {
        let heads = parse_heads("1.2, 0.3,1.0", 2, 4).unwrap();
        let set: BTreeSet<HeadAddress> = heads.into_iter().collect();
        assert_eq!(heads_text(&set), "0.3, 1.0, 1.2");
        assert_eq!(parse_heads(&heads_text(&set), 2, 4).unwrap().len(), 3);
        assert_eq!(parse_heads("all", 2, 4), Ok(Vec::new()));
        assert_eq!(heads_text(&BTreeSet::new()), "all");
    }

    #[test]
    fn a_whole_layer_is_a_star() {
        assert_eq!(parse_heads("1.*", 2, 4).unwrap().len(), 4);
    }

    #[test]
    fn heads_that_the_model_lacks_are_refused_by_name() {
        for text in ["2.0", "0.4", "x.1", "3", "-1.0", "1.x"] {
            assert!(
                parse_heads(text, 2, 4).unwrap_err().contains(text),
                "{text}"
            );
        }
    }
}
