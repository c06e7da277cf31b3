//! Samples of several models, tasks or places of the question stand in panels of their own.

use kvlens_analysis::SampleGroup;

/// Something for each group, in the order in which groups first came.
#[derive(Debug)]
pub struct ByGroup<D> {
    groups: Vec<(SampleGroup, D)>,
}

impl<D> Default for ByGroup<D> {
    fn default() -> Self {
        Self { groups: Vec::new() }
    }
}

impl<D: Default> ByGroup<D> {
    /// What belongs to a group.
    pub fn of(&mut self, group: &SampleGroup) -> &mut D {
        let known = self.groups.iter().position(|(known, _)| known == group);
        let index = known.unwrap_or_else(|| {
            self.groups.push((group.clone(), D::default()));
            self.groups.len() - 1
        });
        &mut self.groups[index].1
    }

    /// Everything with the name of its panel: what tells the groups apart; empty for a single group.
    pub fn named(&self) -> impl Iterator<Item = (String, &D)> {
        let groups: Vec<&SampleGroup> = self.groups.iter().map(|(group, _)| group).collect();
        let names = panel_names(&groups);
        names
            .into_iter()
            .zip(&self.groups)
            .map(|(name, (_, data))| (name, data))
    }
}

/// What tells each group from the others.
pub fn panel_names(groups: &[&SampleGroup]) -> Vec<String> {
    let differ = |part: fn(&SampleGroup) -> Option<&str>| {
        let mut parts = groups.iter().map(|group| part(group));
        let first = parts.next().flatten();
        parts.any(|part| part != first)
    };
    let model = |group: &SampleGroup| group.model.clone();
    let task = |group: &SampleGroup| group.task.clone();
    let place = |group: &SampleGroup| match &group.question_place {
        Some(place) => format!("question at the {place}"),
        None => "no question".to_owned(),
    };
    let (models, tasks, places) = (
        differ(|group| Some(&group.model)),
        differ(|group| Some(&group.task)),
        differ(|group| group.question_place.as_deref()),
    );
    let name = |group: &&SampleGroup| {
        let parts = [
            models.then(|| model(group)),
            tasks.then(|| task(group)),
            places.then(|| place(group)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(", ")
    };
    groups.iter().map(name).collect()
}

/// The parts of a panel's name that are not empty.
pub fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(task: &str, place: Option<&str>) -> SampleGroup {
        SampleGroup {
            model: "demo".to_owned(),
            task: task.to_owned(),
            question_place: place.map(str::to_owned),
        }
    }

    #[test]
    fn names_say_what_differs_and_nothing_else() {
        let (end, start) = (group("facts", Some("end")), group("facts", Some("start")));
        assert_eq!(panel_names(&[&end]), [""]);
        assert_eq!(
            panel_names(&[&end, &start]),
            ["question at the end", "question at the start"]
        );
        let niah = group("niah", Some("end"));
        assert_eq!(panel_names(&[&end, &niah]), ["facts", "niah"]);
        assert_eq!(joined(&["layer 1", "", "facts"]), "layer 1, facts");
    }
}
