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

use kvlens_analysis::{KeepRule, Scoring};

use super::registry::parse_window;
use super::scoring_options::set_aside_for_queries;
use super::union_ranks::{RankMerge, merge_ranks};
use super::window::Unloaded;
use super::{Observe, Observed, ReadyWindow, Run, Window, WindowLabel, WindowOptions};
use crate::SessionError;
use crate::footprint::{Memory, RunShape, WindowMemory};
use crate::model::{Model, ModelSource};
use crate::observation::{Cost, Observation, QueryRows};
use crate::prefill::Needs;

/// How members become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merge {
    Rows,
    Ranks(RankMerge),
}

/// Several windows as one.
struct Union<W> {
    merge: Merge,
    members: Vec<W>,
}

/// From `union:[by=rows|best-rank|mean-rank,]of=WINDOW+WINDOW...`, each written with its own options. A plus
/// sign parts two windows where a letter follows it. Fewer than two members are refused, one that is no window, and a
/// union inside a union.
pub(super) fn union(options: &mut WindowOptions<'_>) -> Result<Window, SessionError> {
    let merge = options.choice(
        "by",
        &[
            ("rows", Merge::Rows),
            ("best-rank", Merge::Ranks(RankMerge::Best)),
            ("mean-rank", Merge::Ranks(RankMerge::Mean)),
        ],
    )?;
    let members = members(options, merge)?;
    if merge == Merge::Rows
        && let Some(member) = members.iter().find(|member| !member.gives_rows())
    {
        return Err(options.wrong(&format!(
            "'{}' gives scores and no rows; merge it with by=best-rank or by=mean-rank",
            member.label()
        )));
    }
    let scoring = match (merge, members.first()) {
        (Merge::Rows, Some(first)) => first.scoring(),
        _ => Scoring::default(),
    };
    let rules = members.iter().map(Window::keep_rule);
    let keep = rules.fold(KeepRule::default(), KeepRule::union);
    let union = Window::new(merge == Merge::Rows, Union { merge, members });
    Ok(union.scored(scoring).keeping(keep))
}

fn members(options: &mut WindowOptions<'_>, merge: Merge) -> Result<Vec<Window>, SessionError> {
    let mut windows = Vec::new();
    for text in split_members(options.members().unwrap_or_default()) {
        let member: WindowLabel = text.parse()?;
        if member.name() == "union" {
            return Err(options.wrong("a union cannot hold another one"));
        }
        windows.push(parse_window(&member)?);
        if merge == Merge::Rows && set_aside_for_queries(text).is_some() {
            return Err(options.wrong(&format!(
                "rows of several windows have one scoring: write the options of '{text}' on the union itself"
            )));
        }
    }
    if windows.len() < 2 {
        return Err(options.wrong("name at least two windows, as in union:of=last:8+laq:n=8"));
    }
    Ok(windows)
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

impl Unloaded for Union<Window> {
    fn needs_with(&self, source: &ModelSource) -> Result<Needs, SessionError> {
        let mut members = self.members.iter();
        members.try_fold(Needs::default(), |needs, member| {
            Ok(needs.and(&member.needs(source)?))
        })
    }

    fn footprint(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
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
        let rows = self.needs_with(run.source)?.last_rows;
        let ranked = run.ranked(rows.min(run.prompt_tokens));
        all.working = all.working.max(members + rankings + ranked);
        all.observation_bytes = run.scores(heads);
        Ok(all)
    }

    fn load(self: Box<Self>, model: &Model) -> Result<Box<dyn Observe>, SessionError> {
        let members = self.members.into_iter();
        Ok(Box::new(Union {
            merge: self.merge,
            members: members
                .map(|member| member.ready(model))
                .collect::<Result<Vec<_>, _>>()?,
        }))
    }
}

impl Observe for Union<ReadyWindow> {
    fn needs(&self) -> Needs {
        let members = self.members.iter();
        members.fold(Needs::default(), |needs, member| needs.and(&member.needs()))
    }

    fn check_prompt(&self, prompt_tokens: usize) -> Result<(), SessionError> {
        self.members
            .iter()
            .try_for_each(|member| member.check_prompt(prompt_tokens))
    }

    fn loaded_weights_sha256(&self) -> Vec<String> {
        let members = self.members.iter();
        members
            .flat_map(ReadyWindow::loaded_weights_sha256)
            .collect()
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let members = self.members.iter();
        let observed = members
            .map(|member| member.observe(run.model, run.prefilled, &mut run.control))
            .collect::<Result<Vec<_>, _>>()?;
        let costs = observed.iter().map(|member| *member.cost());
        run.left_to_others(costs.fold(Cost::default(), Cost::and_then));
        match self.merge {
            Merge::Rows => merge_rows(&observed),
            Merge::Ranks(merge) => {
                let heads = run.config().query_heads;
                Ok(merge_ranks(&observed, &run.keys()?, heads, merge)?.into())
            }
        }
    }
}

fn merge_rows(observed: &[Observation]) -> Result<Observed, SessionError> {
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
    Ok(Observed::rows(merged, token_ids.unwrap_or_default()))
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
        let error = |text: &str| match parse_window(&text.parse().unwrap()) {
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
        let union = |text: &str| parse_window(&text.parse().unwrap()).unwrap();
        let all = union("union:by=mean-rank,of=last:8+dapq:n=4+h2o:recent=3");
        let needs = all.needs(&ModelSource::Demo).unwrap();
        assert_eq!((needs.last_rows, needs.extra_tokens), (8, 4));
        assert!(needs.column_sums);
        assert_eq!(all.keep_rule().fixed.recent, 8);
        let rule = union("union:by=mean-rank,of=last:8+h2o:recent=50%").keep_rule();
        assert_eq!([10, 64].map(|budget| rule.at(budget).recent), [8, 32]);
    }
}
