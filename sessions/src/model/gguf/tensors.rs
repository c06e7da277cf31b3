//! Tensors of a GGUF file under the names that Hugging Face gives them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::quantized::gguf_file::TensorInfo;
use candle_core::quantized::{GgmlDType, QTensor};
use kvlens_datasets::open_regular;

use super::header::Header;
use crate::SessionError;
use crate::error::Context;
use crate::error::without_backtrace;

/// Parts of tensor names: Hugging Face's and GGUF's, inside a layer.
const IN_LAYER: [(&str, &str); 14] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    // llama.cpp gives a fused gate and up projection the name of the latter
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("mlp.gate", "ffn_gate_inp"),
];

/// Parts of an expert's tensors, and of those that hold the part of all experts, one behind the other.
const OF_EXPERTS: [(&str, &str); 3] = [
    ("gate_proj", "ffn_gate_exps"),
    ("up_proj", "ffn_up_exps"),
    ("down_proj", "ffn_down_exps"),
];

/// The same for the norms of OLMo 2, which are on what comes out; one of them has the name that the norm before
/// the feed-forward has elsewhere.
const OUTPUT_NORMS: [(&str, &str); 2] = [
    ("post_attention_layernorm", "post_attention_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// The norms of Gemma 3, which are on both sides.
const BOTH_NORMS: [(&str, &str); 3] = [
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// Architectures whose query and key rows llama.cpp's converter moves.
const MOVED_ROWS: [&str; 2] = ["llama", "smollm3"];

/// The same outside of layers.
const OUTSIDE: [(&str, &str); 3] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
];

/// A file's tensors, read one at a time.
pub(in crate::model) struct GgufTensors<H> {
    header: H,
    file: File,
}

impl<'a> GgufTensors<&'a Header> {
    /// For a look at a tensor while the header is being made sense of.
    pub(super) fn of_header(header: &'a Header) -> Result<Self, SessionError> {
        Self::open(header)
    }

    /// The numbers of a short F32 tensor.
    pub(super) fn factors(&self, name: &str) -> Result<Vec<f32>, SessionError> {
        const MOST: usize = 1 << 16;
        let info = self.info(name)?;
        let dims = info.shape.dims();
        if info.ggml_dtype != GgmlDType::F32 || dims.len() != 1 || dims.iter().any(|&n| n > MOST) {
            return Err(self
                .header
                .wrong(format!("'{name}' is no short list of F32 numbers")));
        }
        let bytes = self.bytes(&Stored::whole(name.to_owned()), info)?;
        let numbers = bytes.as_chunks::<4>().0.iter();
        Ok(numbers.map(|four| f32::from_le_bytes(*four)).collect())
    }
}

impl GgufTensors<Arc<Header>> {
    /// All tensors of a checkpoint.
    pub(in crate::model) fn of_checkpoint(header: &Arc<Header>) -> Result<Self, SessionError> {
        Self::open(header.clone())
    }
}

impl<H: std::ops::Deref<Target = Header>> GgufTensors<H> {
    fn open(header: H) -> Result<Self, SessionError> {
        let file = open_regular(header.path()).io("open the GGUF file", header.path())?;
        Ok(Self { header, file })
    }

    pub(in crate::model) fn header(&self) -> &Header {
        &self.header
    }

    /// Shape and format of a tensor by Hugging Face's name.
    pub(in crate::model) fn layout(&self, name: &str) -> Option<(Vec<usize>, GgmlDType)> {
        let stored = self.stored(name)?;
        let info = self.header.tensor(&stored.name)?;
        Some((stored.dims(info)?.to_vec(), info.ggml_dtype))
    }

    /// The tensor as it is stored, by Hugging Face's name, with rows in Hugging Face's order. `head_dim` is
    /// the width of a head.
    pub(in crate::model) fn load(
        &self,
        name: &str,
        head_dim: usize,
        device: &Device,
    ) -> Result<QTensor, SessionError> {
        let stored = self.stored(name).ok_or_else(|| self.header.missing(name))?;
        let info = self.info(&stored.name)?;
        let dims = stored
            .dims(info)
            .ok_or_else(|| self.header.missing(name))?
            .to_vec();
        let mut bytes = self.bytes(&stored, info)?;
        let stored = stored.name;
        let of_heads = ["attn_q.", "attn_k."]
            .iter()
            .any(|part| stored.contains(part));
        if of_heads && MOVED_ROWS.contains(&self.architecture()) {
            bytes = pairs_apart(&bytes, dims.first().copied().unwrap_or(0), head_dim);
        }
        qtensor_from_ggml(info.ggml_dtype, &bytes, dims, device).map_err(|source| {
            SessionError::Tensor {
                context: format!(
                    "cannot load tensor '{stored}' from {}",
                    self.header.path().display()
                ),
                source: without_backtrace(source),
            }
        })
    }

    fn architecture(&self) -> &str {
        // one that is no text was refused when the configuration was read
        let name = self.header.text("general.architecture");
        name.ok().flatten().unwrap_or_default()
    }

    fn stored(&self, name: &str) -> Option<Stored> {
        gguf_name(name, self.architecture())
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, SessionError> {
        self.header
            .tensor(name)
            .ok_or_else(|| self.header.missing(name))
    }

    /// A tensor's bytes, or those of its part; all of the tensor must lie inside the file.
    fn bytes(&self, stored: &Stored, info: &TensorInfo) -> Result<Vec<u8>, SessionError> {
        let block = info.ggml_dtype.block_size();
        let dims = info.shape.dims();
        let whole_blocks = dims.last().is_some_and(|last| last.is_multiple_of(block));
        let length = dims
            .iter()
            .try_fold(1_usize, |all, &dim| all.checked_mul(dim))
            .filter(|_| whole_blocks)
            .and_then(|numbers| (numbers / block).checked_mul(info.ggml_dtype.type_size()));
        let start = self.header.data_start().checked_add(info.offset);
        let inside = start.zip(length).filter(|&(start, length)| {
            let end = start.checked_add(length as u64);
            end.is_some_and(|end| end <= self.header.file_bytes())
        });
        let (start, length) = inside.ok_or_else(|| {
            self.header.wrong(format!(
                "tensor '{}' of shape {dims:?} does not lie inside the file, which is truncated or damaged",
                stored.name
            ))
        })?;
        let (start, length) = match (stored.part, dims.first()) {
            (Some(part), Some(&parts)) if parts > 0 => {
                let length = length / parts;
                (start + (part * length) as u64, length)
            }
            _ => (start, length),
        };
        let mut bytes = vec![0; length];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes))
            .io("read a tensor", self.header.path())?;
        Ok(bytes)
    }
}

/// Where a tensor of Hugging Face's is found.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    name: String,
    /// Which of the parts that stand one behind the other in the tensor, if it is not all of it.
    part: Option<usize>,
}

impl Stored {
    fn whole(name: String) -> Self {
        Self { name, part: None }
    }

    /// The shape of the tensor or its part, if there is such a part.
    fn dims<'a>(&self, info: &'a TensorInfo) -> Option<&'a [usize]> {
        let dims = info.shape.dims();
        match (self.part, dims) {
            (None, _) => Some(dims),
            (Some(part), [parts, of_part @ ..]) => Some(of_part).filter(|_| part < *parts),
            (Some(_), []) => None,
        }
    }
}

/// `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`; `model.layers.3.mlp.experts.5.up_proj.weight` is part 5
/// of `blk.3.ffn_up_exps.weight`.
fn gguf_name(name: &str, architecture: &str) -> Option<Stored> {
    let (stem, kind) = name.rsplit_once('.')?;
    let translated = |table: &[(&'static str, &'static str)], part: &str| {
        let entry = table.iter().find(|(ours, _)| *ours == part);
        entry.map(|(_, theirs)| *theirs)
    };
    match stem.strip_prefix("model.layers.") {
        Some(in_layer) => {
            let (layer, part) = in_layer.split_once('.')?;
            if let Some(of_expert) = part.strip_prefix("mlp.experts.") {
                let (expert, part) = of_expert.split_once('.')?;
                return Some(Stored {
                    name: format!("blk.{layer}.{}.{kind}", translated(&OF_EXPERTS, part)?),
                    part: Some(expert.parse().ok()?),
                });
            }
            let norms = match architecture {
                "olmo2" => translated(&OUTPUT_NORMS, part),
                "gemma3" => translated(&BOTH_NORMS, part),
                _ => None,
            };
            let part = norms.or_else(|| translated(&IN_LAYER, part))?;
            Some(Stored::whole(format!("blk.{layer}.{part}.{kind}")))
        }
        None => Some(Stored::whole(format!(
            "{}.{kind}",
            translated(&OUTSIDE, stem)?
        ))),
    }
}

/// Puts the rows of rotated heads into Hugging Face's order. llama.cpp rotates neighbouring rows of a head
/// (2 i, 2 i + 1) where Hugging Face rotates (i, i + D / 2); its converter has moved the rows of Llama for that.
/// Whole rows move, so quantised ones do not change.
fn pairs_apart(bytes: &[u8], rows: usize, head_dim: usize) -> Vec<u8> {
    if rows == 0 || head_dim == 0 || !rows.is_multiple_of(head_dim) {
        return bytes.to_vec();
    }
    let row_bytes = bytes.len() / rows;
    let half = head_dim / 2;
    let mut moved = Vec::with_capacity(bytes.len());
    for row in 0..rows {
        let (head, place) = (row / head_dim, row % head_dim);
        let source = head * head_dim + 2 * (place % half) + place / half;
        let start = source * row_bytes;
        moved.extend_from_slice(bytes.get(start..start + row_bytes).unwrap_or_default());
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated() {
        let norm = "model.layers.3.post_attention_layernorm.weight";
        for (ours, architecture, theirs) in [
            (
                "model.embed_tokens.weight",
                "llama",
                Some("token_embd.weight"),
            ),
            ("lm_head.weight", "llama", Some("output.weight")),
            (
                "model.layers.12.self_attn.q_proj.bias",
                "qwen2",
                Some("blk.12.attn_q.bias"),
            ),
            ("model.layers.0.mlp.qkv.weight", "llama", None),
            (norm, "smollm3", Some("blk.3.ffn_norm.weight")),
            (norm, "olmo2", Some("blk.3.post_attention_norm.weight")),
        ] {
            let found = gguf_name(ours, architecture);
            let theirs = theirs.map(|name| Stored::whole(name.to_owned()));
            assert_eq!(found, theirs, "{ours}");
        }
        let of_expert = gguf_name("model.layers.3.mlp.experts.5.up_proj.weight", "qwen3moe");
        let expected = Stored {
            name: "blk.3.ffn_up_exps.weight".to_owned(),
            part: Some(5),
        };
        assert_eq!(of_expert, Some(expected));
    }

    #[test]
    fn neighbouring_pairs_become_halves() {
        // two heads of four rows of two bytes: pairs (0, 1) and (2, 3) become (0, 2) and (1, 3)
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(
            pairs_apart(&bytes, 8, 4),
            [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
        );
    }
}
