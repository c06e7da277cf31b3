//! Reads lessons from Markdown.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use kvlens_datasets::{MOST_TYPED_BYTES, read_text_at_most};

use super::{Lesson, Prediction, Step};
use crate::gui::command::{CaptureCommand, Command, SessionCommand};
use crate::gui::markdown::sections;

/// The file of a lesson that is a folder.
const FILE: &str = "lesson.md";

/// Around a block of commands.
const FENCE: &str = "```";

/// Begins a part of a step.
const PART: &str = "### ";

/// The part with what to try.
const TRY_IT: &str = "Try it";

/// The part with what is asked before the step is shown.
const PREDICT: &str = "Predict";

/// Reads a lesson of one's own: a folder with a `lesson.md`, or such a file. Sessions that its commands open by a
/// relative path lie beside it.
///
/// # Errors
/// When the file cannot be read, or is no lesson.
pub fn read_lesson(path: &Path) -> Result<Lesson> {
    let file = match path.is_dir() {
        true => path.join(FILE),
        false => path.to_owned(),
    };
    let text = read_text_at_most(&file, MOST_TYPED_BYTES)
        .with_context(|| format!("the lesson cannot be read: {}", file.display()))?;
    let mut lesson =
        Lesson::parse(&text).with_context(|| format!("this is no lesson: {}", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    for step in &mut lesson.steps {
        for command in &mut step.commands {
            stand_beside(command, folder);
        }
    }
    Ok(lesson)
}

/// Takes a relative path of a session from the folder of the lesson.
fn stand_beside(command: &mut Command, folder: &Path) {
    if let Command::Session(SessionCommand::OpenSession(path) | SessionCommand::OpenBeside(path)) =
        command
    {
        let beside: PathBuf = folder.join(&*path);
        *path = beside;
    }
}

impl Lesson {
    /// Reads a lesson. The commands above the first step come before those of every step; with `"RunDemo"` among
    /// them the lesson is given on the built-in prompts.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (head, sections) = sections(text);
        let (prose, mut each_step) = commands_of(head)?;
        let (title, aim) = prose.split_once('\n').unwrap_or((&prose, ""));
        let title = title
            .strip_prefix("# ")
            .context("its first line has to be a title, such as '# My lesson'")?;
        ensure!(
            !sections.is_empty(),
            "it has no step, which begins with a line such as '## First step'"
        );
        let demo = Command::from(CaptureCommand::RunDemo);
        let needs_demo = each_step.contains(&demo);
        each_step.retain(|command| *command != demo);
        let steps = sections.iter().map(|section| {
            let (prose, commands) =
                commands_of(section.body).with_context(|| format!("step '{}'", section.heading))?;
            let mut step = Step {
                title: section.heading.to_owned(),
                prediction: None,
                text: String::new(),
                try_it: String::new(),
                commands: each_step.iter().cloned().chain(commands).collect(),
            };
            take_parts(&mut step, &prose).with_context(|| format!("step '{}'", section.heading))?;
            Ok(step)
        });
        Ok(Self {
            title: title.trim().to_owned(),
            aim: aim.trim().to_owned(),
            needs_demo,
            steps: steps.collect::<Result<_>>()?,
            setup: each_step,
        })
    }
}

/// Fills a step from its prose: the text, and the parts below headings of the third level.
fn take_parts(step: &mut Step, prose: &str) -> Result<()> {
    let prose = format!("\n{prose}");
    let heading = format!("\n{PART}");
    let mut parts = prose.split(heading.as_str());
    step.text = parts.next().unwrap_or_default().trim().to_owned();
    for part in parts {
        let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
        match heading.trim() {
            TRY_IT => step.try_it = body.trim().to_owned(),
            PREDICT => step.prediction = Some(prediction(body)?),
            other => bail!(
                "a part of a step is '{PART}{TRY_IT}' or '{PART}{PREDICT}', not '{PART}{other}'"
            ),
        }
    }
    Ok(())
}

/// A question with its choices, the right one ticked: `- [ ] few`, `- [x] most`.
fn prediction(text: &str) -> Result<Prediction> {
    let (mut question, mut choices, mut right) = (String::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        let choice = ["- [ ] ", "- [x] "].map(|mark| line.strip_prefix(mark));
        match choice {
            [Some(words), _] => choices.push(words.trim().to_owned()),
            [_, Some(words)] => {
                right.push(choices.len());
                choices.push(words.trim().to_owned());
            }
            _ => {
                question += line;
                question.push('\n');
            }
        }
    }
    let [right] = right[..] else {
        bail!(
            "a prediction has one right choice, marked by '- [x] ', and others marked by '- [ ] '"
        );
    };
    ensure!(choices.len() > 1, "a prediction has two choices or more");
    Ok(Prediction {
        question: question.trim().to_owned(),
        choices,
        right,
    })
}

/// A text without its fenced blocks, and the commands in them.
fn commands_of(text: &str) -> Result<(String, Vec<Command>)> {
    let (mut prose, mut commands) = (String::new(), Vec::new());
    for (index, part) in text.split(FENCE).enumerate() {
        if index % 2 == 0 {
            prose += part;
            continue;
        }
        let Some(list) = part.strip_prefix("json") else {
            bail!("a block of commands begins with {FENCE}json");
        };
        let read: Vec<Command> =
            serde_json::from_str(list).context("its commands cannot be read")?;
        commands.extend(read);
    }
    Ok((prose.trim().to_owned(), commands))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::command::LookCommand;

    const LESSON: &str = "# Mine\n\nAn aim.\n\n## First\n\nLook *here*.\n\n### Try it\n\nHover.\n\n```json\n[{\"OpenSession\": \"own.kvlens\"}, \"SelectAllHeads\"]\n```\n";

    #[test]
    fn no_damage_of_a_lesson_ends_the_program() {
        crate::damages::each_is_read_or_refused(FILE, LESSON, |path| {
            read_lesson(path)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    #[test]
    fn a_lesson_of_ones_own_is_a_folder_and_its_sessions_lie_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), LESSON).unwrap();
        let lesson = read_lesson(folder.path()).unwrap();
        assert_eq!(
            (lesson.title.as_str(), lesson.aim.as_str()),
            ("Mine", "An aim.")
        );
        assert!(!lesson.needs_demo);
        let step = &lesson.steps[0];
        assert_eq!(
            (step.text.as_str(), step.try_it.as_str()),
            ("Look *here*.", "Hover.")
        );
        let own = folder.path().join("own.kvlens");
        assert_eq!(step.commands[0], SessionCommand::OpenSession(own).into());
        assert_eq!(step.commands[1], LookCommand::SelectAllHeads.into());
        assert_eq!(read_lesson(&folder.path().join(FILE)).unwrap(), lesson);
    }

    #[test]
    fn what_is_no_lesson_is_told_why() {
        let error = |text: &str| format!("{:#}", Lesson::parse(text).unwrap_err());
        assert!(error("text").contains("title"));
        assert!(error("# Title\n").contains("no step"));
        let wrong = "# Title\n## First\n```json\n[\"Fly\"]\n```\n";
        let said = error(wrong);
        assert!(
            said.contains("step 'First'") && said.contains("Fly"),
            "{said}"
        );
        assert!(error("# T\n## First\n```\n[]\n```\n").contains("```json"));
        assert!(error("# T\n## First\n### Guess\n").contains("### Guess"));
        let predict = |choices: &str| error(&format!("# T\n## First\n### Predict\n{choices}"));
        assert!(predict("- [ ] a\n- [ ] b\n").contains("one right choice"));
        assert!(predict("- [x] a\n- [x] b\n").contains("one right choice"));
        assert!(predict("- [x] a\n").contains("two choices"));
    }

    #[test]
    fn a_step_may_ask_first() {
        let text = "# T\n## First\nLook.\n### Predict\nHow *many*?\n\n- [ ] few\n- [x] most\n### Try it\nHover.\n";
        let lesson = Lesson::parse(text).unwrap();
        let step = &lesson.steps[0];
        assert_eq!(
            (step.text.as_str(), step.try_it.as_str()),
            ("Look.", "Hover.")
        );
        let prediction = step.prediction.as_ref().unwrap();
        assert_eq!(prediction.question, "How *many*?");
        assert_eq!((prediction.choices.len(), prediction.right), (2, 1));
    }
}
