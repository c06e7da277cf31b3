//! What stands in DapQ's synthetic segment.

use rand::RngExt as _;

use super::WindowOptions;
use super::seed::generator;
use crate::SessionError;
use crate::model::Model;
use crate::prefill::Prefilled;

/// DapQ's prefix part for N = 32, of the split 4 + 28.
const PUBLISHED_PREFIX: usize = 4;

/// The paper tests "a repeated meaningless sentence" without saying which.
const SENTENCE: &str = "The grass is green and the sky is blue and the sun is yellow. ";

/// The content of the pseudo tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The first `prefix` prompt tokens, then its last N - `prefix`.
    PrefixSuffix { prefix: usize },
    /// Uniform over the vocabulary.
    Random { seed: u64 },
    /// A sentence that says nothing, again and again.
    Repeat,
    /// The last N prompt tokens.
    Last,
    /// The tokens of the decode stage: no method, but the bound that content could reach.
    Decode,
}

#[derive(Clone, Copy)]
enum Word {
    PrefixSuffix,
    Random,
    Repeat,
    Last,
    Decode,
}

impl Content {
    /// Reads `content=prefix-suffix|random|repeat|last|decode`, `prefix=P` and `seed=S`.
    pub(super) fn from_options(options: &mut WindowOptions<'_>) -> Result<Self, SessionError> {
        let word = options.choice(
            "content",
            &[
                ("prefix-suffix", Word::PrefixSuffix),
                ("random", Word::Random),
                ("repeat", Word::Repeat),
                ("last", Word::Last),
                ("decode", Word::Decode),
            ],
        )?;
        Ok(match word {
            Word::PrefixSuffix => Self::PrefixSuffix {
                prefix: options.parsed("prefix", PUBLISHED_PREFIX)?,
            },
            Word::Random => Self::Random {
                seed: options.parsed("seed", 0)?,
            },
            Word::Repeat => Self::Repeat,
            Word::Last => Self::Last,
            Word::Decode => Self::Decode,
        })
    }

    /// The ids of `count` pseudo tokens; fewer only where the decode stage itself is shorter. A text that is
    /// too short for its part is begun again.
    pub(super) fn ids(
        self,
        model: &Model,
        prefilled: &Prefilled,
        count: usize,
    ) -> Result<Vec<u32>, SessionError> {
        let prompt = prefilled.prompt_ids();
        let end = |wanted: usize| prompt.iter().skip(prompt.len().saturating_sub(wanted));
        Ok(match self {
            Self::PrefixSuffix { prefix } => {
                let prefix = prefix.min(count);
                let both = prompt.iter().take(prefix).chain(end(count - prefix));
                both.copied().cycle().take(count).collect()
            }
            Self::Random { seed } => {
                let mut chance = generator(seed, prompt);
                let vocabulary = model.config().vocabulary as u32;
                std::iter::repeat_with(|| chance.random_range(0..vocabulary))
                    .take(count)
                    .collect()
            }
            Self::Repeat => {
                let sentence = model.encode_continuation(SENTENCE)?;
                sentence.into_iter().cycle().take(count).collect()
            }
            Self::Last => end(count).copied().cycle().take(count).collect(),
            Self::Decode => prefilled
                .decode_ids()?
                .iter()
                .take(count)
                .copied()
                .collect(),
        })
    }
}
