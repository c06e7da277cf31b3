//! DapQ (Tian, Su, Li and Zhang, arXiv 2603.11564): queries of a synthetic segment that stands where the
//! first decode tokens will stand.
//!
//! N pseudo tokens are run behind the prompt at positions T..T+N-1, as ordinary tokens over the full cache:
//! they see the prompt and each other. Their queries `[L, H, N, D]` observe the prompt; score of prompt token
//! j: the sum over the N rows of their attention on j. The segment is then forgotten.
//!
//! From the paper, through others' notes: N = 32, the positions, the sum, content from the prompt's own
//! beginning and end. Left open, so options with a default: where the split lies (`prefix=4`), pooling
//! (`pool=max:7`, as its SnapKV-style peers pool), whether recent tokens are always kept (`recent=0`); read with those of
//! every window (`windows/scoring_options.rs`). Here rows see the earlier pseudo tokens; `measure --keys prompt` leaves those out of the softmax.
//! `shift=K` moves the positions by K and leaves the content, for interventions on either alone.

use super::appended::Appended;
use super::pseudo_tokens::Content;
use super::{Observe, Observed, Run, Window, WindowOptions, snapkv_scoring};
use crate::SessionError;
use crate::prefill::Needs;

/// N of the paper.
const PUBLISHED_TOKENS: usize = 32;

/// Pseudo tokens at the positions of the decode stage.
struct DapQ {
    label: String,
    tokens: usize,
    content: Content,
    shift: i32,
}

/// From `dapq[:n=32,content=prefix-suffix|random|repeat|last|decode,prefix=4,seed=0,shift=0]`.
pub(super) fn dapq(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    Ok(Window::by_rows(DapQ::from_options(options)?).scored(snapkv_scoring()))
}

impl DapQ {
    fn from_options(options: &mut WindowOptions<'_>) -> Result<Self, SessionError> {
        Ok(Self {
            label: options.label().to_owned(),
            tokens: options.main_count("n", PUBLISHED_TOKENS)?,
            content: Content::from_options(options)?,
            shift: options.parsed("shift", 0)?,
        })
    }

    fn first_position(&self, prompt_tokens: usize) -> Result<u32, SessionError> {
        (prompt_tokens as u32)
            .checked_add_signed(self.shift)
            .ok_or_else(|| SessionError::Plan {
                reason: format!(
                    "window '{}' moves its tokens before the start of a prompt of {prompt_tokens} tokens",
                    self.label
                ),
            })
    }
}

impl Observe for DapQ {
    fn check_prompt(&self, prompt_tokens: usize) -> Result<(), SessionError> {
        self.first_position(prompt_tokens).map(|_| ())
    }

    fn needs(&self) -> Needs {
        Needs {
            extra_tokens: self.tokens,
            extra_positions: self
                .tokens
                .saturating_add(usize::try_from(self.shift).unwrap_or(0)),
            ..Needs::default()
        }
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let ids = self.content.ids(run.model, run.prefilled, self.tokens)?;
        let appended = Appended {
            embeddings: run.model.embed(&ids)?,
            first_position: self.first_position(run.prompt_tokens())?,
            adapters: None,
        };
        Ok(Observed::rows(appended.run(run)?, ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::{WindowLabel, parse_window};

    fn dapq(text: &str) -> Result<DapQ, SessionError> {
        let label: WindowLabel = text.parse().unwrap();
        parse_window(&label)?;
        DapQ::from_options(&mut label.options())
    }

    #[test]
    fn options_belong_to_their_content() {
        let published = dapq("dapq").unwrap();
        assert_eq!((published.tokens, published.shift), (32, 0));
        assert_eq!(published.content, Content::PrefixSuffix { prefix: 4 });
        assert_eq!(
            dapq("dapq:n=8,content=random,seed=7").unwrap().content,
            Content::Random { seed: 7 }
        );
        assert!(
            dapq("dapq:seed=7")
                .err()
                .unwrap()
                .to_string()
                .contains("'seed'")
        );
        assert!(dapq("dapq:content=nothing").is_err());
        assert!(dapq("dapq:pool=max:4").is_err());
    }

    #[test]
    fn a_shift_needs_positions_behind_the_prompt_or_before_its_end() {
        assert_eq!(
            dapq("dapq:n=8,shift=32").unwrap().needs().extra_positions,
            40
        );
        let back = dapq("dapq:n=8,shift=-4").unwrap();
        assert_eq!(back.needs().extra_positions, 8);
        assert_eq!(back.first_position(10).unwrap(), 6);
        assert!(back.first_position(3).is_err());
    }
}
