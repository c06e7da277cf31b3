//! The tokenizer in a GGUF header as the `tokenizer.json` that says the same.

use serde_json::{Map, Value, json};

use super::header::Header;
use super::merges::merges_by_score;
use super::pre_tokenizer::PreTokenizer;
use crate::SessionError;

/// Kinds of tokens, `tokenizer.ggml.token_type`.
const CONTROL: usize = 3;
const UNKNOWN: usize = 2;
const USER_DEFINED: usize = 4;

/// The whole file.
pub(super) fn tokenizer_json(header: &Header) -> Result<Value, SessionError> {
    let kind = header
        .text("tokenizer.ggml.model")?
        .ok_or_else(|| header.missing("tokenizer.ggml.model"))?;
    let tokens = header
        .texts("tokenizer.ggml.tokens")?
        .ok_or_else(|| header.missing("tokenizer.ggml.tokens"))?;
    let parts = match kind {
        "gpt2" => byte_level(header, &tokens)?,
        "llama" => sentence_piece(header, &tokens)?,
        other => return Err(unsupported(header, &format!("'{other}'"))),
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": added_tokens(header, &tokens)?,
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": post_processor(header, &tokens, parts.adds_bos)?,
        "decoder": parts.decoder,
        "model": parts.model,
    }))
}

/// What differs between kinds of tokenizers.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
    /// Whether a prompt begins with the token for that, if the header does not say it.
    adds_bos: bool,
}

/// Byte-level BPE with merges (GPT-2, Llama 3, Qwen). How text is cut before it goes by `tokenizer.ggml.pre`.
fn byte_level(header: &Header, tokens: &[&str]) -> Result<Parts, SessionError> {
    let merges = header
        .texts("tokenizer.ggml.merges")?
        .ok_or_else(|| header.missing("tokenizer.ggml.merges"))?;
    let merges: Option<Vec<_>> = merges.iter().map(|merge| merge.split_once(' ')).collect();
    let merges = merges.ok_or_else(|| {
        header.wrong("an entry of 'tokenizer.ggml.merges' is no pair of pieces".to_owned())
    })?;
    let name = match header.text("tokenizer.ggml.pre")? {
        Some(name) => name,
        None => cut_of_architecture(header, tokens)?,
    };
    let pre_tokenizer = PreTokenizer::of(name)
        .ok_or_else(|| unsupported(header, &format!("that cuts text as '{name}' does")))?;
    Ok(Parts {
        normalizer: match pre_tokenizer.composes {
            true => json!({"type": "NFC"}),
            false => Value::Null,
        },
        pre_tokenizer: pre_tokenizer.json(),
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
            "use_regex": true}),
        model: bpe(
            tokens,
            &merges,
            json!({"ignore_merges": pre_tokenizer.ignores_merges}),
        ),
        adds_bos: pre_tokenizer.adds_bos,
    })
}

fn cut_of_architecture(header: &Header, tokens: &[&str]) -> Result<&'static str, SessionError> {
    let architecture = header.text("general.architecture")?.unwrap_or_default();
    Ok(PreTokenizer::name_for(architecture, tokens))
}

/// A warning where the header does not say how text is cut.
pub(super) fn assumption(header: &Header) -> Result<Option<String>, SessionError> {
    if header.text("tokenizer.ggml.model")? != Some("gpt2")
        || header.text("tokenizer.ggml.pre")?.is_some()
    {
        return Ok(None);
    }
    let tokens = header.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    Ok(Some(format!(
        "the GGUF file does not say how its tokenizer cuts text ('tokenizer.ggml.pre'); '{}' is taken, by its \
         architecture: put the checkpoint's tokenizer.json beside the file to be sure",
        cut_of_architecture(header, &tokens)?
    )))
}

/// SentencePiece BPE with scores and bytes for what has no piece (Llama 2, Mistral).
fn sentence_piece(header: &Header, tokens: &[&str]) -> Result<Parts, SessionError> {
    let scores = header
        .numbers("tokenizer.ggml.scores")?
        .filter(|scores| scores.len() == tokens.len())
        .ok_or_else(|| {
            header.wrong("'tokenizer.ggml.scores' has not one score for each token".to_owned())
        })?;
    let merges = merges_by_score(tokens, &scores);
    let unknown = header
        .count("tokenizer.ggml.unknown_token_id")?
        .unwrap_or(0);
    let spaced = header
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let normalizer = match spaced {
        true => json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, replace]}),
        false => replace,
    };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if spaced {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(Parts {
        normalizer,
        pre_tokenizer: Value::Null,
        decoder: json!({"type": "Sequence", "decoders": decoders}),
        model: bpe(
            tokens,
            &merges,
            json!({"unk_token": tokens.get(unknown), "fuse_unk": true, "byte_fallback": true}),
        ),
        adds_bos: true,
    })
}

fn bpe(tokens: &[&str], merges: &[(&str, &str)], more: Value) -> Value {
    let vocab: Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, &token)| (token.to_owned(), id.into()))
        .collect();
    let mut model = json!({"type": "BPE", "dropout": null, "unk_token": null,
        "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
        "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges});
    if let (Some(model), Value::Object(more)) = (model.as_object_mut(), more) {
        model.extend(more);
    }
    model
}

/// Tokens that are found in a text before it is cut: special ones, and those that a user defined. Phi-3's take the
/// white space behind them away.
fn added_tokens(header: &Header, tokens: &[&str]) -> Result<Vec<Value>, SessionError> {
    /// Those of Phi-3 that take no space away, as llama.cpp has it.
    const KEEP_SPACE: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];
    let kinds = header
        .counts("tokenizer.ggml.token_type")?
        .unwrap_or_default();
    // a header does not say it
    let eats_space = header.text("general.architecture")? == Some("phi3")
        && header.text("tokenizer.ggml.model")? == Some("llama");
    let added = tokens.iter().zip(&kinds).enumerate();
    Ok(added
        .filter(|(_, (_, kind))| matches!(**kind, CONTROL | UNKNOWN | USER_DEFINED))
        .map(|(id, (token, kind))| {
            let rstrip = eats_space && !KEEP_SPACE.contains(token);
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": rstrip,
                "normalized": false, "special": *kind != USER_DEFINED})
        })
        .collect())
}

/// Which tokens stand before and behind a prompt.
fn post_processor(header: &Header, tokens: &[&str], adds_bos: bool) -> Result<Value, SessionError> {
    let token = |name: &str, default: bool| {
        let adds = header.flag(&format!("tokenizer.ggml.add_{name}_token"))?;
        if !adds.unwrap_or(default) {
            return Ok(None);
        }
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = header.count(&key)?;
        let found = id.and_then(|id| Some((id, *tokens.get(id)?)));
        found
            .map(Some)
            .ok_or_else(|| header.wrong(format!("'{key}' is no token, but is to be added")))
    };
    let (before, behind) = (token("bos", adds_bos)?, token("eos", false)?);
    if before.is_none() && behind.is_none() {
        return Ok(Value::Null);
    }
    let special = |found: Option<(usize, &str)>| {
        found.map(|(_, token)| json!({"SpecialToken": {"id": token, "type_id": 0}}))
    };
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let around = |inside: Vec<Value>| {
        let parts = special(before).into_iter().chain(inside);
        parts.chain(special(behind)).collect::<Vec<_>>()
    };
    let known: Map<String, Value> = [before, behind]
        .into_iter()
        .flatten()
        .map(|(id, token)| {
            let entry = json!({"id": token, "ids": [id], "tokens": [token]});
            (token.to_owned(), entry)
        })
        .collect();
    Ok(json!({
        "type": "TemplateProcessing",
        "single": around(vec![text("A")]),
        "pair": around(vec![text("A"), text("B")]),
        "special_tokens": known,
    }))
}

fn unsupported(header: &Header, what: &str) -> SessionError {
    header.wrong(format!(
        "the GGUF file has a tokenizer {what}, which is not supported; put the checkpoint's tokenizer.json beside it"
    ))
}
