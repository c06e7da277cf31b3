//! Several windows as one: merged by rows, or by the places that they give to the tokens.
//!
//! * `by=rows` (default): the query rows of all members, one after the other, under the scoring of the first.
//!   `union:of=laq+last:8` has the rows, the scoring and the kept tokens of LAQ++: its softmax runs over the prompt's
//!   keys alone, as LAQ's does. `union:of=last:8+laq` has the same rows under SnapKV's scoring, whose softmax runs over
//!   all keys that a row sees.
//! * `by=best-rank`: a token ranks as high as in the member that ranks it highest; equal places go to the member
//!   named first. The top B are then the members' tops, dealt out in turn.
//! * `by=mean-rank`: tokens by the mean of their places (Borda count).
//!
//! What any member always keeps is always kept.

use kvlens_analysis::{ForcedKeep, KeepRule, Scoring};

use super::registry::parse_window;
use super::union_ranks::{RankMerge, merge_ranks};
use super::{ObservationWindow, WindowLabel};
use crate::SessionError;
use crate::estimate::{Memory, RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, QueryRows};
use crate::prefill::{Needs, Prefilled, RunControl};

/// How members become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merge {
    Rows,
    Ranks(RankMerge),
}

/// Several windows as one.
pub struct Union {
    label: String,
    merge: Merge,
    members: Vec<Box<dyn ObservationWindow>>,
}

impl Union {
    /// From `union:[by=rows|best-rank|mean-rank,]of=WINDOW+WINDOW...`, each written with its own options. A plus
    /// sign parts two windows where a letter follows it.
    ///
    /// # Errors
    /// [`SessionError::Plan`] for fewer than two members, one that is no window, or a union inside a union.
    pub fn from_label(label: &WindowLabel) -> Result<Self, SessionError> {
        let mut options = label.options();
        let merge = options.choice(
            "by",
            &[
                ("rows", Merge::Rows),
                ("best-rank", Merge::Ranks(RankMerge::Best)),
                ("mean-rank", Merge::Ranks(RankMerge::Mean)),
            ],
        )?;
        let members = options.members().unwrap_or_default();
        let mut windows: Vec<Box<dyn ObservationWindow>> = Vec::new();
        for text in split_members(members) {
            let member: WindowLabel = text.parse()?;
            if member.name() == label.name() {
                return Err(options.wrong("a union cannot hold another one"));
            }
            windows.push(parse_window(&member)?);
        }
        if windows.len() < 2 {
            return Err(options.wrong("name at least two windows, as in union:of=last:8+laq:n=8"));
        }
        options.finish()?;
        if merge == Merge::Rows
            && let Some(member) = windows.iter().find(|member| !member.gives_rows())
        {
            return Err(SessionError::Plan {
                reason: format!(
                    "window '{}': '{}' gives scores and no rows; merge it with by=best-rank or by=mean-rank",
                    label.text(),
                    member.label()
                ),
            });
        }
        Ok(Self {
            label: label.text().to_owned(),
            merge,
            members: windows,
        })
    }

    fn first_scoring(&self) -> Scoring {
        self.members
            .first()
            .map_or_else(Scoring::default, |member| member.scoring())
    }

    fn merge_rows(
        &self,
        observed: &[Observation],
        cost: Cost,
    ) -> Result<Observation, SessionError> {
        // every member has rows: that was asked when the label was read
        let rows: Vec<&QueryRows> = observed
            .iter()
            .filter_map(Observation::query_rows)
            .collect();
        let merged = QueryRows::concatenate(&rows)?;
        let token_ids: Vec<u32> = observed
            .iter()
            .flat_map(|member| member.token_ids().to_vec())
            .collect();
        // ids are known for every row or not kept at all
        let token_ids = Some(token_ids).filter(|ids| ids.len() == merged.count());
        Observation::by_queries(self.info(token_ids.unwrap_or_default(), cost), merged)
    }
}

/// Parts at every plus sign that a letter follows: `laq+++last:8` is `laq++` and `last:8`.
fn split_members(text: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let mut start = 0;
    for (index, _) in text.match_indices('+') {
        let next = text.get(index + 1..).and_then(|rest| rest.chars().next());
        if next.is_some_and(|next| next.is_ascii_alphabetic()) {
            members.extend(text.get(start..index));
            start = index + 1;
        }
    }
    members.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    members
}

impl ObservationWindow for Union {
    fn label(&self) -> &str {
        &self.label
    }

    fn gives_rows(&self) -> bool {
        self.merge == Merge::Rows
    }

    fn check_prompt(&self, prompt_tokens: usize) -> Result<(), SessionError> {
        self.members
            .iter()
            .try_for_each(|member| member.check_prompt(prompt_tokens))
    }

    fn needs(&self) -> Needs {
        self.members
            .iter()
            .fold(Needs::default(), |needs, member| needs.and(&member.needs()))
    }

    fn scoring(&self) -> Scoring {
        match self.merge {
            Merge::Rows => self.first_scoring(),
            Merge::Ranks(_) => Scoring::default(),
        }
    }

    fn forced_keep(&self) -> ForcedKeep {
        self.members
            .iter()
            .fold(ForcedKeep::default(), |keep, member| {
                keep.union(member.forced_keep())
            })
    }

    fn keep_rule(&self) -> KeepRule {
        self.members
            .iter()
            .fold(KeepRule::default(), |rule, member| {
                rule.union(member.keep_rule())
            })
    }

    fn prepare(&mut self, model: &Model) -> Result<(), SessionError> {
        self.members
            .iter_mut()
            .try_for_each(|member| member.prepare(model))
    }

    fn loaded_weights_sha256(&self) -> Vec<String> {
        let members = self.members.iter();
        members
            .flat_map(|member| member.loaded_weights_sha256())
            .collect()
    }

    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let mut all = WindowMemory::default();
        for member in &self.members {
            let member = member.memory(run)?;
            let before = Memory::on_host(all.observation_bytes);
            all.loaded = all.loaded + member.loaded;
            all.working = all.working.max(before + member.working);
            all.observation_bytes += member.observation_bytes;
        }
        let members = Memory::on_host(all.observation_bytes);
        if self.merge == Merge::Rows {
            all.working = all.working.max(members + members);
            return Ok(all);
        }
        let heads = run.config.query_heads;
        // order and places of every member, and the last one's scores or the merged ones
        let rankings = Memory::on_host(2.0 * self.members.len() as f64 * run.scores(heads));
        let rows = self.needs().last_rows.min(run.prompt_tokens);
        all.working = all.working.max(members + rankings + run.ranked(rows));
        all.observation_bytes = run.scores(heads);
        Ok(all)
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let observed = self
            .members
            .iter()
            .map(|member| member.observe(model, prefilled, control))
            .collect::<Result<Vec<_>, _>>()?;
        let cost = observed.iter().fold(Cost::default(), |cost, member| {
            cost.and_then(*member.cost())
        });
        match self.merge {
            Merge::Rows => self.merge_rows(&observed, cost),
            Merge::Ranks(merge) => {
                let keys = prefilled
                    .keys_for_scoring(model)?
                    .stopped_by(control.cancel);
                let heads = model.config().query_heads;
                let scores = merge_ranks(&observed, &keys, heads, merge)?;
                Observation::by_scores(self.info(Vec::new(), cost), scores)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_parted_where_a_letter_follows_the_plus() {
        assert_eq!(split_members("last:8+laq:n=8"), ["last:8", "laq:n=8"]);
        assert_eq!(split_members("laq+++last:8"), ["laq++", "last:8"]);
        assert_eq!(split_members("last+laq++:w=4"), ["last", "laq++:w=4"]);
        assert!(split_members("").is_empty());
    }

    #[test]
    fn a_union_needs_two_windows_and_holds_no_union() {
        let error = |text: &str| match Union::from_label(&text.parse().unwrap()) {
            Err(error) => error.to_string(),
            Ok(window) => format!("'{}' was taken", window.label()),
        };
        assert!(error("union").contains("at least two"));
        assert!(error("union:of=last:8").contains("at least two"));
        assert!(error("union:of=last+union:of=laq+tova").contains("another one"));
        assert!(error("union:of=last+lats").contains("no window 'lats'"));
        assert!(error("union:by=votes,of=last+tova").contains("best-rank"));
    }

    #[test]
    fn needs_and_forced_tokens_are_those_of_all_members() {
        let label = "union:by=mean-rank,of=last:8+dapq:n=4+h2o:recent=3"
            .parse()
            .unwrap();
        let union = Union::from_label(&label).unwrap();
        let needs = union.needs();
        assert_eq!((needs.last_rows, needs.extra_tokens), (8, 4));
        assert!(needs.column_sums);
        assert_eq!(union.forced_keep().recent, 8);
        let label = "union:by=mean-rank,of=last:8+h2o:recent=50%"
            .parse()
            .unwrap();
        let rule = Union::from_label(&label).unwrap().keep_rule();
        assert_eq!([10, 64].map(|budget| rule.at(budget).recent), [8, 32]);
    }
}
