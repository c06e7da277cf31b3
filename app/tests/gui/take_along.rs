//! Stories of what is taken along: scripts of what is shown, pages for a browser, tables for papers.

use std::path::{Path, PathBuf};

use crate::common::{bench, captured, copied, inside, inside_mut, opened_at, send, wait_for};
use kvlens::gui::command::{
    Command, ExportCommand, LayoutCommand, LookCommand, ProgramCommand, SessionCommand,
};
use kvlens::gui::headless::{Screenshot, take};
use kvlens::gui::layout::{Pane, Preset};
use kvlens::gui::numbers::TableFormat;
use kvlens::gui::state::{HeadAddress, MapKind, SelectionChange, Settings, ThemeChoice};
use kvlens::gui::workbench::Workbench;
use kvlens::measurement::MeasureOptions;
use kvlens_analysis::{Budget, Compare, Metric};

fn only_file(folder: &Path, ending: &str) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(ending));
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn a_script_of_what_is_shown_leads_back_to_it_in_another_window() {
    let (folder, session) = captured(&["last:32", "last:8"]);
    let mut first = opened_at(folder.path(), &session, Pane::HEADS);
    let change = SelectionChange::Replace;
    let heads = [(2, 1), (0, 3)].map(|(layer, head)| HeadAddress { layer, head });
    let heads = heads.to_vec();
    let looks = [
        LookCommand::SetBudget(Budget::Fraction(0.05)),
        LookCommand::SetMetric(Metric::Mass),
        LookCommand::SetWindow("last:8".to_owned()),
        LookCommand::SetMapKind(MapKind::Needed),
        LookCommand::SelectHeads { heads, change },
        LookCommand::Pin(Some(HeadAddress { layer: 1, head: 1 })),
        LookCommand::ToggleWindow("last:32".to_owned()),
        LookCommand::SetBaseline(Some("last:32".to_owned())),
        LookCommand::SetDecodeStep(3),
    ];
    for look in looks {
        inside_mut(&mut first).send(look);
    }
    let shows_the_second = |workbench: &Workbench| {
        let shown = workbench.data().shown();
        workbench.is_idle() && shown.is_some_and(|shown| shown.index == 1)
    };
    inside_mut(&mut first).send(SessionCommand::SelectSample(1));
    wait_for(&mut first, "the second sample", shows_the_second);
    inside_mut(&mut first).send(ExportCommand::CopyScript);
    first.step();
    let script = copied(&first);
    let read: Vec<Command> = serde_json::from_str(&script).unwrap();
    assert!(read.len() > 10);
    send(&mut first, ExportCommand::SaveScript);
    let file = only_file(folder.path(), ".look.json");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), script);

    let mut second = bench(folder.path(), Settings::default());
    inside_mut(&mut second).send(ProgramCommand::PlayScript(file));
    wait_for(&mut second, "the script", shows_the_second);
    let [one, other] = [&first, &second].map(|bench| inside(bench).settings().choices.clone());
    assert_eq!(one, other);
    let [one, other] = [&first, &second].map(|bench| inside(bench).layout().visible());
    assert_eq!(one, other);
    // the same as a link, pasted where nothing is typed
    send(&mut first, LayoutCommand::UsePreset(Preset::Teach));
    send(&mut first, LayoutCommand::ShowPane(Pane::DRIFT));
    let asked = MeasureOptions {
        compare: Compare::Methods,
        ..MeasureOptions::default()
    };
    send(&mut first, LookCommand::SetMeasureOptions(asked));
    wait_for(&mut first, "the other scoring", Workbench::is_idle);
    inside_mut(&mut first).send(ExportCommand::CopyLink);
    first.step();
    let link = copied(&first);
    assert!(link.starts_with("kvlens:1:") && link.len() < 2000, "{link}");
    let mut third = bench(folder.path(), Settings::default());
    third.event(egui::Event::Paste(link));
    third.step();
    wait_for(&mut third, "the link", shows_the_second);
    let [one, other] = [&first, &third].map(|bench| inside(bench).settings().choices.clone());
    assert_eq!(one, other);
    assert_eq!(other.measure, asked);
    let [one, other] = [&first, &third].map(|bench| inside(bench).layout().visible());
    assert_eq!(one, other);
    send(
        &mut third,
        ProgramCommand::FollowLink("kvlens:1:abc".to_owned()),
    );
    let said = &inside(&third).data().log.last().unwrap().text;
    assert!(said.contains("the link cannot be followed"), "{said}");

    let missing = ProgramCommand::PlayScript("/no/such/file.json".into());
    send(&mut second, missing);
    let log = &inside(&second).data().log;
    let last = &log.last().unwrap().text;
    assert!(last.contains("the script cannot be read"), "{last}");
}

#[test]
fn tables_are_copied_for_papers() {
    let (folder, session) = captured(&["last:32", "last:8"]);
    let mut bench = opened_at(folder.path(), &session, Pane::INSPECTOR);
    wait_for(&mut bench, "the numbers", Workbench::is_idle);
    let mut table = |format: TableFormat| {
        let pane = Pane::INSPECTOR;
        inside_mut(&mut bench).send(ExportCommand::CopyTable { pane, format });
        bench.step();
        copied(&bench)
    };
    let latex = table(TableFormat::Latex);
    assert!(latex.starts_with("\\begin{tabular}{lr"), "{latex}");
    assert!(latex.contains("last:32 & "), "{latex}");
    let markdown = table(TableFormat::Markdown);
    assert!(markdown.starts_with("| window | budget_tokens | recall |"));
}

/// The picture of a page comes from the window, which a harness does not have: the program's own pictures do.
#[test]
fn a_page_of_a_view_needs_no_other_file() {
    let (folder, session) = captured(&["last:32", "last:8"]);
    let start = kvlens::gui::Start {
        sessions: vec![session],
        script: vec![
            LayoutCommand::ShowPane(Pane::HEADS).into(),
            LookCommand::SelectHeadsBy("best 3".to_owned()).into(),
            ExportCommand::SavePage(Pane::HEADS).into(),
        ],
    };
    let screenshot = Screenshot {
        out: folder.path().join("window.png"),
        size: [1280, 720],
        theme: ThemeChoice::Light,
    };
    take(&start, &screenshot).unwrap();
    let page = std::fs::read_to_string(only_file(folder.path(), ".heads.html")).unwrap();
    assert!(page.contains("src=\"data:image/png;base64,iVBORw0KGgo"));
    assert!(page.contains("<td>true</td>"), "a selected head is told");
    assert!(page.contains("SelectHeads"), "the way back");
    assert!(!page.contains("http"), "it needs nothing else");
}
