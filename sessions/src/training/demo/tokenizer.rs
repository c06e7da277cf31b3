//! The built-in model's tokenizer: byte-level BPE, learned from generated documents and questions.

use kvlens_datasets::TrainingCorpus;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::plan::TrainingPlan;
use crate::SessionError;

/// Opens every text; token 0.
pub(crate) const BEGIN: &str = "<|bos|>";
/// Ends every answer; token 1.
pub(crate) const END: &str = "<|eos|>";
pub(crate) const BEGIN_ID: u32 = 0;
pub(crate) const END_ID: u32 = 1;

/// Documents that the tokenizer is learned from, and their length in estimated tokens.
const DOCUMENTS: u64 = 3000;
const DOCUMENT_LENGTH: usize = 512;

/// Learns a tokenizer of at most `plan.shape.vocabulary` tokens from documents of the plan's tasks.
/// Every byte has a token, so any text can be encoded; a digit is never joined with its neighbour.
///
/// # Errors
/// [`SessionError::Tokenizer`], or what the corpus says of the mixture.
pub(crate) fn train(plan: &TrainingPlan) -> Result<Tokenizer, SessionError> {
    let mixture: Vec<(&str, u32)> = plan
        .mixture
        .iter()
        .map(|(task, weight)| (task.as_str(), *weight))
        .collect();
    let corpus = TrainingCorpus::new(DOCUMENT_LENGTH, plan.seed, &mixture)?;
    let texts = (0..DOCUMENTS).map(|index| corpus.document(index).text);
    let failed = |error: tokenizers::Error| SessionError::Tokenizer {
        reason: format!("it cannot be trained ({error})"),
    };
    let mut tokenizer = Tokenizer::new(ModelWrapper::BPE(BPE::default()));
    let bytes = ByteLevel::default().add_prefix_space(false);
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(vec![
        PreTokenizerWrapper::Digits(Digits::new(true)),
        PreTokenizerWrapper::ByteLevel(bytes),
    ]))));
    tokenizer.with_decoder(Some(bytes));
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(plan.shape.vocabulary)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![
            AddedToken::from(BEGIN, true),
            AddedToken::from(END, true),
        ])
        .show_progress(false)
        .build();
    tokenizer
        .train(&mut TrainerWrapper::BpeTrainer(trainer), texts)
        .map_err(failed)?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{BEGIN} $A"))
        .and_then(|builder| {
            builder
                .special_tokens(vec![(BEGIN, BEGIN_ID)])
                .build()
                .map_err(|error| error.to_string())
        })
        .map_err(|error| SessionError::Tokenizer {
            reason: format!("its template is refused ({error})"),
        })?;
    tokenizer.with_post_processor(Some(template));
    Ok(tokenizer)
}
