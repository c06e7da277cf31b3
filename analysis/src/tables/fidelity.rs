//! The tables of what eviction does to the output: of each eviction, of each of its steps, and of how recall
//! relates to it.

use super::declare::table;
use super::sample::SampleContext;
use crate::budget::Budget;
use crate::importance::HeadKind;
use crate::statistics::Interval;

table! {
    FidelityTable in "fidelity.parquet", one row per "window and budget, and one for the full cache";
    /// One eviction of one sample, or the full cache.
    #[derive(Copy)]
    FidelityRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Label of the window as it was typed; `decode` is the decode stage itself, `full` the cache that is not
        /// evicted.
        window: &'a str,
        /// What the heads are that each keep tokens of their own: `query`, `kv` or `layer`.
        head_kind: HeadKind,
        /// How the budget was shared out over heads: `uniform`, `pyramid` or `head-adaptive`.
        allocation: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt; with forced-keep tokens counted, the mean over heads.
        budget_tokens: u32,
        /// The budget as a share: the one typed for a percentage, otherwise of the tokens used.
        budget_fraction: f64,
        /// Recall of the window's queries, which are scored as the decode stage is, mean over heads.
        recall: Option<f64>,
        /// Recall of the method as published, by whose ranking the cache is evicted, against the raw attention of the
        /// decode stage, mean over heads.
        method_recall: Option<f64>,
        /// Share of the decode stage's top B by raw attention that is kept, mean over heads.
        kept_recall: Option<f64>,
        /// Hit rate of what is kept, mean over heads.
        hit_rate: Option<f64>,
        /// Decode attention on the prompt that the kept tokens hold, mean over heads.
        kept_mass: Option<f64>,
        /// Relative error of attention's output on what is kept, mean over heads; missing in sessions without values and
        /// where heads have budgets of their own.
        output_error: Option<f64>,
        /// Teacher-forced steps that were compared.
        steps: u32,
        /// Mean divergence of the next token's distribution from the full cache's, in nats.
        kl: Option<f64>,
        /// Share of the steps in which both find the same token most likely.
        agreement: Option<f64>,
        /// Mean negative log-likelihood of the reference answer's tokens in nats, when the data has an answer.
        answer_nll: Option<f64>,
        /// Task score in 0..=1 of the greedy generation, when the task can be scored.
        score: Option<f64>,
        /// The text of that generation.
        generated: &'a str,
    }
}

table! {
    FidelityStepsTable in "fidelity_steps.parquet", one row per "window, budget and step";
    /// One step of one eviction.
    #[derive(Copy)]
    FidelityStepRow<'a> {
        /// The sample.
        sample: &'a SampleContext,
        /// Label of the window as it was typed; `decode` is the decode stage itself.
        window: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// The budget in tokens of this prompt.
        budget_tokens: u32,
        /// The budget as a share: the one typed for a percentage, otherwise of the tokens used.
        budget_fraction: f64,
        /// Step i is generated token i, fed back at position T + i; the distribution compared is of the next token.
        step: u32,
        /// Id of the token that was fed.
        token_id: u32,
        /// Divergence of the next token's distribution from the full cache's, in nats.
        kl: Option<f64>,
        /// Whether both find the same token most likely.
        agrees: bool,
    }
}

table! {
    FidelitySummaryTable in "fidelity_summary.parquet", one row per "group, window, budget and metric";
    /// One mean over samples.
    #[derive(Copy)]
    FidelitySummaryRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// Label of the window as it was typed; `decode` is the decode stage itself, `full` the cache that is not
        /// evicted.
        window: &'a str,
        /// The budget as it was typed.
        budget: Budget,
        /// A figure by its column of fidelity.parquet.
        metric: &'a str,
        /// Samples in the mean: contents, so that copies count once.
        samples: u32,
        /// Mean over samples.
        mean: f64,
        /// Over samples.
        interval: Option<Interval>,
    }
}

table! {
    RecallFidelityTable in "recall_fidelity.parquet", one row per "correlation";
    /// One correlation of what was foreseen with how the output changed.
    #[derive(Copy)]
    RecallFidelityRow<'a> {
        /// Name of the model.
        model: &'a str,
        /// Name of the task.
        task: &'a str,
        /// Where the question stands; missing where the data do not say.
        question_place: Option<&'a str>,
        /// The budget as it was typed.
        budget: Budget,
        /// What the correlation runs over: `samples`, `windows` or `window means`.
        over: &'a str,
        /// Label of the window, where the correlation runs over the samples of one.
        window: Option<&'a str>,
        /// What was foreseen: `recall`, `method_recall`, `kept_recall`, `hit_rate`, `kept_mass` or
        /// `output_error`.
        foreseen: &'a str,
        /// What became of the output: `kl`, `agreement`, `answer_nll` or `score`.
        changed: &'a str,
        /// Windows that the figure rests on; the oracle and the full cache are not among them.
        windows: u32,
        /// Samples that the figure rests on.
        samples: u32,
        /// Spearman's correlation; missing where one side has no order.
        spearman: Option<f64>,
        /// Over samples, where the figure is a mean over them.
        interval: Option<Interval>,
    }
}
