//! What the text shows of the chosen window: scores, heat, what is kept, and ranks against the oracle's.

use std::sync::Arc;

use super::curves::{HeadGrid, selected};
use super::ranks::rank_agreement;
use super::{
    Derived, EvidenceKept, KeptTokens, RankAgreement, TokenScores, TokenShade, TokensKey, Wanted,
};
use crate::gui::query::Pool;
use crate::gui::views::Need;
use crate::measurement::MeasuredWindow;

impl Derived {
    pub(super) fn refresh_text(
        &mut self,
        pool: &Pool,
        wanted: &Wanted<'_>,
        window: &MeasuredWindow,
    ) {
        let (shown, choices) = (wanted.shown, wanted.choices);
        let window = window.nearest(self.budget_tokens());
        let key = (shown.version, window.label.clone(), choices.heads.clone());
        let heads = selected(
            &window.comparison,
            HeadGrid::of(wanted.info),
            &choices.heads,
        );
        if wanted.needs.contains(&Need::RankAgreement) {
            let sample = Arc::clone(&shown.sample);
            let (label, heads) = (window.label.clone(), heads.clone());
            self.rank_agreement
                .in_pool(pool, key.clone(), move |version| {
                    let mut windows = sample.windows.iter().flat_map(MeasuredWindow::observations);
                    let window = windows.find(|window| window.label == label)?;
                    Some(rank_agreement(&sample, window, &heads, version))
                });
        } else {
            self.rank_agreement.let_go();
        }
        match wanted.needs.contains(&Need::Tokens) {
            true => self.refresh_tokens(pool, wanted, key, heads),
            false => self.let_tokens_go(),
        }
    }

    /// Means over the selected heads, token by token, and what follows from them.
    fn refresh_tokens(
        &mut self,
        pool: &Pool,
        wanted: &Wanted<'_>,
        key: TokensKey,
        heads: Vec<(usize, usize)>,
    ) {
        let (shown, choices) = (wanted.shown, wanted.choices);
        let exempt = shown.options.exempt;
        let (sample, label) = (Arc::clone(&shown.sample), key.1.clone());
        self.tokens.in_pool(pool, key, move |version| {
            let mut windows = sample.windows.iter().flat_map(MeasuredWindow::observations);
            let window = windows.find(|window| window.label == label);
            let tokens = window.map(|window| TokenScores::of(&sample, window, &heads, exempt));
            (Arc::new(tokens.unwrap_or_default()), version)
        });
        let Some((tokens, version)) = self.tokens.value() else {
            return;
        };
        let (scale, heat) = (choices.heat_scale, choices.token_heat);
        let scores = Arc::clone(tokens);
        self.shade
            .in_pool(pool, (*version, heat, scale), move |version| {
                scores.shade(heat, scale, version)
            });
        let (scores, budget) = (Arc::clone(tokens), self.budget_tokens());
        let sample = Arc::clone(&shown.sample);
        self.kept.in_pool(pool, (*version, budget), move |_| {
            let kept = scores.kept(budget);
            let evidence = kept.of_evidence(&sample.record.evidence_tokens);
            (kept, evidence)
        });
    }

    fn let_tokens_go(&mut self) {
        self.tokens.let_go();
        self.shade.let_go();
        self.kept.let_go();
    }

    /// Scores and ranks of the tokens.
    #[must_use]
    pub fn tokens(&self) -> Option<&TokenScores> {
        let (key, (tokens, _)) = self.tokens.held()?;
        (key.0 == self.shown_version).then_some(tokens)
    }

    /// The tokens' heat.
    #[must_use]
    pub fn shade(&self) -> Option<&TokenShade> {
        self.shade.value()
    }

    /// Ranks of oracle and window against each other.
    #[must_use]
    pub fn rank_agreement(&self) -> Option<&RankAgreement> {
        let (key, ranks) = self.rank_agreement.held()?;
        ranks.as_ref().filter(|_| key.0 == self.shown_version)
    }

    /// What the window's rule keeps at the budget.
    #[must_use]
    pub fn kept(&self) -> Option<&KeptTokens> {
        self.kept.value().map(|(kept, _)| kept)
    }

    /// How many of the needed tokens survive at the budget.
    #[must_use]
    pub fn evidence(&self) -> EvidenceKept {
        self.kept.value().map(|(_, kept)| *kept).unwrap_or_default()
    }

    /// Differs whenever another set of tokens is kept.
    #[must_use]
    pub fn kept_version(&self) -> u64 {
        self.kept.version()
    }
}
