//! What the tests of the workbench share: a session captured with the built-in model, a harness
//! around the very code that the program draws with, and the CPU renderer for its pictures.

pub mod fixture;
pub mod large;
pub mod made_up;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use egui_kittest::kittest::{NodeT as _, Queryable as _};
use egui_kittest::{Harness, TestRenderer};
use kvlens::gui::command::{Command, LayoutCommand, SessionCommand};
use kvlens::gui::export::FigureOf;
use kvlens::gui::lanes::Event;
use kvlens::gui::layout::{Layout, Pane};
use kvlens::gui::offscreen::OffscreenRenderer;
use kvlens::gui::state::Settings;
use kvlens::gui::workbench::Workbench;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, CapturePlan, DecodePlan, StartMode, capture};
use tempfile::TempDir;

/// A test waits this long for the lanes before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(300);

/// The workbench in a harness; made by the first frame, which brings the context that it needs.
pub type Bench<'a> = Harness<'a, Option<Workbench>>;

/// Draws the harness's frames on the CPU.
#[derive(Default)]
pub struct CpuRenderer {
    renderer: OffscreenRenderer,
}

impl TestRenderer for CpuRenderer {
    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        self.renderer.update_textures(delta);
        delta.clear();
    }

    fn render(
        &mut self,
        context: &egui::Context,
        output: &egui::FullOutput,
    ) -> Result<image::RgbaImage, String> {
        let pixels_per_point = output.pixels_per_point;
        let size = context.content_rect().size() * pixels_per_point;
        let size = [size.x.round() as usize, size.y.round() as usize];
        let primitives = context.tessellate(output.shapes.clone(), pixels_per_point);
        let background = context.global_style().visuals.panel_fill;
        let picture = self
            .renderer
            .render(&primitives, size, pixels_per_point, background);
        image::RgbaImage::from_raw(picture.width as u32, picture.height as u32, picture.rgba)
            .ok_or_else(|| "the picture has the wrong size".to_owned())
    }
}

/// A session of four prompts, captured once for all tests of a binary.
pub fn session() -> &'static Path {
    static SESSION: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SESSION.get_or_init(|| captured(&["last:32", "last:8"]));
    path
}

/// A copy of that session, with files that something is done to.
pub fn damaged_session(folder: &Path, damage: impl Fn(&str, &mut Vec<u8>)) -> PathBuf {
    let to = folder.join("damaged.kvlens");
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(session()).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        damage(&name, &mut bytes);
        std::fs::write(to.join(name), bytes).unwrap();
    }
    to
}

/// A copy of that session whose first sample has one bit changed.
pub fn session_with_a_changed_bit(folder: &Path) -> PathBuf {
    damaged_session(folder, |name, bytes| {
        if name == "sample-00000.safetensors" {
            *bytes.last_mut().unwrap() ^= 1;
        }
    })
}

/// Every sample of that session under these windows, for a figure.
pub fn all_of_it<'a>(windows: &'a [(&'a str, Vec<&'a str>)]) -> FigureOf<'a> {
    FigureOf {
        session: session(),
        sample: None,
        windows,
        window: None,
        observation: None,
    }
}

/// A session of four prompts and these windows, in a folder that must be kept.
pub fn captured(windows: &[&str]) -> (TempDir, PathBuf) {
    captured_of("demo:length=512", windows)
}

/// A session of these prompts and windows, in a folder that must be kept.
pub fn captured_of(spec: &str, windows: &[&str]) -> (TempDir, PathBuf) {
    captured_as(spec, windows, |_| {})
}

/// The same with a plan that is changed.
pub fn captured_as(
    spec: &str,
    windows: &[&str],
    change: impl FnOnce(&mut CapturePlan),
) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.kvlens");
    let mut plan = CapturePlan {
        windows: windows.iter().map(|&label| label.to_owned()).collect(),
        decode: DecodePlan {
            max_tokens: 24,
            sample_lengths: false,
            ignore_eos: false,
            teacher_forced: false,
            temperature: None,
            seed: 0,
        },
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::Auto,
        ..CapturePlan::plain(ModelSource::Demo, vec![spec.to_owned()])
    };
    change(&mut plan);
    let samples = kvlens_datasets::load_with(
        &[spec.parse().unwrap()],
        &kvlens_datasets::LoadOptions::default(),
    )
    .unwrap()
    .samples;
    let model = Model::load(&plan.model, plan.device, plan.dtype).unwrap();
    capture(
        &plan,
        &model,
        &samples,
        &path,
        StartMode::New,
        &mut |_| {},
        &CancelFlag::default(),
    )
    .unwrap();
    (folder, path)
}

/// A workbench of 1280 by 800 that keeps its captures in `folder`.
pub fn bench<'a>(folder: &Path, settings: Settings) -> Bench<'a> {
    bench_of(folder, settings, Layout::default(), [1280.0, 800.0])
}

/// A workbench with its panes in their places, in a window of this size.
pub fn bench_of<'a>(
    folder: &Path,
    settings: Settings,
    layout: Layout,
    size: [f32; 2],
) -> Bench<'a> {
    let folder = folder.to_owned();
    let mut start = Some((settings, layout));
    Harness::builder()
        .with_size(size)
        .with_render_cursor(false)
        .renderer(CpuRenderer::default())
        .build_ui_state(
            move |ui, bench: &mut Option<Workbench>| {
                let bench = bench.get_or_insert_with(|| {
                    let (settings, layout) = start.take().unwrap();
                    let mut workbench =
                        Workbench::new(ui.ctx(), settings, layout, folder.clone()).unwrap();
                    // stories do not depend on the speed of the machine; those of a large sample set it back
                    workbench.set_patience(PATIENCE);
                    workbench
                });
                // The harness leaves a margin that the program's window does not have.
                let window = ui.ctx().content_rect();
                ui.scope_builder(egui::UiBuilder::new().max_rect(window), |ui| {
                    ui.set_clip_rect(window);
                    // Whatever a view leaves unpainted shall show, as it would in the window.
                    ui.painter()
                        .rect_filled(window, 0.0, egui::Color32::MAGENTA);
                    bench.ui(ui);
                });
            },
            None,
        )
}

/// A workbench with a session's first sample on show and one pane in front.
pub fn opened_at<'a>(folder: &Path, session: &Path, pane: Pane) -> Bench<'a> {
    let mut bench = bench(folder, Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session.to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    inside_mut(&mut bench).send(LayoutCommand::ShowPane(pane));
    bench.run_steps(2);
    bench
}

/// Sends a command and draws what follows at once.
pub fn send(bench: &mut Bench<'_>, command: impl Into<Command>) {
    inside_mut(bench).send(command);
    bench.run_steps(3);
}

/// What the last frame put on the clipboard.
pub fn copied(bench: &Bench<'_>) -> String {
    copied_now(bench).unwrap()
}

/// The same, if it put something there.
pub fn copied_now(bench: &Bench<'_>) -> Option<String> {
    let commands = &bench.output().platform_output.commands;
    commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    })
}

/// The workbench inside.
pub fn inside<'h>(bench: &'h Bench<'_>) -> &'h Workbench {
    bench.state().as_ref().unwrap()
}

/// The workbench inside, to send commands to.
pub fn inside_mut<'h>(bench: &'h mut Bench<'_>) -> &'h mut Workbench {
    bench.state_mut().as_mut().unwrap()
}

/// Draws frames until `done` says so.
pub fn wait_for(bench: &mut Bench<'_>, what: &str, done: impl Fn(&Workbench) -> bool) {
    let began = Instant::now();
    loop {
        bench.step();
        if done(inside(bench)) {
            // One more frame, so that what came with this one is drawn.
            bench.run_steps(2);
            return;
        }
        assert!(began.elapsed() < PATIENCE, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for what the workbench asks of its own accord. The memory that it is told of depends on the threads of the
/// machine, which must not show in a picture, so a made-up text takes its place.
pub fn settle(bench: &mut Bench<'_>) {
    wait_for(bench, "the lanes", Workbench::is_idle);
    let needs = "Needs about 44 MiB of memory and 8.5 MiB of disk".to_owned();
    inside_mut(bench).receive(Event::Estimated(Ok(needs)));
    bench.run_steps(4);
}

/// The inspector's number, as a screen reader would say it.
pub fn inspector_number(bench: &Bench<'_>, what: &str) -> f64 {
    let node = bench.get_by_label_contains(what);
    let node = node.accesskit_node();
    // A label says its text as its value.
    let said = node.label().or_else(|| node.value()).unwrap();
    said.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A workbench with the shared session on show.
pub fn opened<'a>(folder: &Path) -> Bench<'a> {
    let mut bench = bench(folder, Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session().to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

/// Whether the lanes have nothing to do and a sample is on show.
pub fn shows_a_sample(workbench: &Workbench) -> bool {
    workbench.data().jobs.is_empty() && workbench.data().shown().is_some()
}
