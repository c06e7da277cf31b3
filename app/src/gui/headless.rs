//! The workbench without a window: a list of commands is played, and a picture is taken.
//!
//! Drawn on the CPU ([`super::offscreen`]), so documentation and tests get the same picture on every machine, but for
//! letters that the built-in fonts lack: those come from the system's fonts, as in a window.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use egui::{Pos2, RawInput, Rect, vec2};
use egui_system_font_provider::SystemFontProvider;

use super::Start;
use super::command::{Command, SessionCommand};
use super::data::Severity;
use super::layout::Layout;
use super::offscreen::{OffscreenRenderer, Picture};
use super::state::{Settings, ThemeChoice};
use super::workbench::Workbench;
use crate::jobs::failure::Failure;
use crate::jobs::folders::sessions_folder;

/// Simulated time between two frames, in seconds.
const FRAME_SECS: f64 = 1.0 / 60.0;

/// Frames after the last command, so that animations and sizes that depend on the frame before have settled.
const SETTLING_FRAMES: usize = 30;

/// Sides of the texture that holds the glyphs: while commands are played, and for the picture. With another size it is
/// filled anew, in the order of the last frames; until then it goes by what the lanes finished first, and where a
/// glyph lies can change the rounding of a pixel.
const GLYPH_TEXTURE_SIDES: [usize; 2] = [2048, 4096];

/// Frames without a job after which a command counts as done.
const QUIET_FRAMES: usize = 4;

/// How long to leave the lanes alone between two looks at them.
const PATIENCE: Duration = Duration::from_millis(5);

/// A frame waits so long for its values at most.
const LONGEST_FRAME: Duration = Duration::from_secs(60);

/// A picture to take.
#[derive(Clone, Debug)]
pub struct Screenshot {
    /// The PNG file to write.
    pub out: PathBuf,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Light or dark.
    pub theme: ThemeChoice,
}

/// Opens the sessions, plays the commands one by one, each when the one before is done, and takes the picture.
///
/// # Errors
/// What the workbench would show as an error, and when the file cannot be written.
pub fn take(start: &Start, screenshot: &Screenshot) -> Result<()> {
    let mut stage = Stage::new(screenshot)?;
    let opening = start.sessions.iter().cloned();
    let opening = opening.map(|path| SessionCommand::OpenSession(path).into());
    for command in opening.chain(start.script.iter().cloned()) {
        stage.play(command)?;
    }
    let [_, side] = GLYPH_TEXTURE_SIDES;
    stage.glyph_texture_side = side;
    for _ in 0..SETTLING_FRAMES {
        stage.frame();
    }
    write(&stage.picture(), &screenshot.out)
}

/// The workbench and what it is drawn with.
struct Stage {
    context: egui::Context,
    workbench: Workbench,
    renderer: OffscreenRenderer,
    size: [usize; 2],
    glyph_texture_side: usize,
    /// Pixels of a point: the zoom.
    scale: f32,
    time_secs: f64,
}

impl Stage {
    fn new(screenshot: &Screenshot) -> Result<Self> {
        let context = egui::Context::default();
        // as in a window: letters that the built-in fonts lack come from the system's
        context.add_font_provider(Arc::new(SystemFontProvider::new()));
        let settings = Settings {
            theme: screenshot.theme,
            ..Settings::default()
        };
        let mut workbench =
            Workbench::new(&context, settings, Layout::default(), sessions_folder())?;
        // no picture shows a value of the choice before
        workbench.set_patience(LONGEST_FRAME);
        let [glyph_texture_side, _] = GLYPH_TEXTURE_SIDES;
        Ok(Self {
            context,
            workbench,
            renderer: OffscreenRenderer::default(),
            size: screenshot.size,
            glyph_texture_side,
            scale: 1.0,
            time_secs: 0.0,
        })
    }

    /// Sends a command and draws frames until nothing is left to do.
    fn play(&mut self, command: Command) -> Result<()> {
        let said = self.workbench.data().log.len();
        self.workbench.send(command.clone());
        self.wait();
        let mut new = self.workbench.data().log.iter().skip(said);
        match new.find(|message| message.severity == Severity::Error) {
            // what was asked for, or what it was asked of, is wrong
            Some(message) => Err(Failure::BadInput(format!(
                "{} (at the command {})",
                message.text,
                serde_json::to_string(&command)?
            ))
            .into()),
            None => Ok(()),
        }
    }

    /// Draws frames until some in a row found no job: what one shows may start the next.
    fn wait(&mut self) {
        let mut quiet_frames = 0;
        while quiet_frames < QUIET_FRAMES {
            self.frame();
            if self.workbench.is_idle() {
                quiet_frames += 1;
            } else {
                quiet_frames = 0;
                std::thread::sleep(PATIENCE);
            }
        }
    }

    fn picture(&mut self) -> Picture {
        let shapes = self.frame();
        self.render(shapes)
    }

    fn render(&mut self, shapes: Vec<egui::epaint::ClippedShape>) -> Picture {
        let primitives = self.context.tessellate(shapes, self.scale);
        let background = self.context.global_style().visuals.panel_fill;
        self.renderer
            .render(&primitives, self.size, self.scale, background)
    }

    fn frame(&mut self) -> Vec<egui::epaint::ClippedShape> {
        self.time_secs += FRAME_SECS;
        // what was zoomed with the last frame counts from this one on, as in a window
        self.scale = self.context.zoom_factor();
        let [width, height] = self.size.map(|side| side as f32 / self.scale);
        let window = Rect::from_min_size(Pos2::ZERO, vec2(width, height));
        let input = RawInput {
            screen_rect: Some(window),
            max_texture_side: Some(self.glyph_texture_side),
            time: Some(self.time_secs),
            focused: true,
            ..RawInput::default()
        };
        let workbench = &mut self.workbench;
        let mut output = self.context.run_ui(input, |ui| {
            let background = ui.visuals().panel_fill;
            ui.painter().rect_filled(window, 0.0, background);
            workbench.ui(ui);
        });
        let mut delta = std::mem::take(&mut output.textures_delta);
        self.renderer.update_textures(&delta);
        delta.clear();
        self.scale = output.pixels_per_point;
        for viewport in output.viewport_output.values() {
            for command in &viewport.commands {
                if let egui::ViewportCommand::Screenshot(callback) = command {
                    callback
                        .clone()
                        .complete(Arc::new(self.screenshot(output.shapes.clone())));
                }
            }
        }
        output.shapes
    }

    /// What was asked of the window: the picture of this frame.
    fn screenshot(&mut self, shapes: Vec<egui::epaint::ClippedShape>) -> egui::ColorImage {
        let picture = self.render(shapes);
        let size = [picture.width, picture.height];
        egui::ColorImage::from_rgba_unmultiplied(size, &picture.rgba)
    }
}

fn write(picture: &Picture, out: &Path) -> Result<()> {
    let image = image::RgbaImage::from_raw(
        picture.width as u32,
        picture.height as u32,
        picture.rgba.clone(),
    )
    .context("the picture has the wrong size")?;
    let aside = out.with_added_extension("partial");
    let written = image
        .save_with_format(&aside, image::ImageFormat::Png)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(std::fs::rename(&aside, out)?));
    if written.is_err() {
        // the rest of a failed write must not stay; that it cannot be removed changes nothing
        let _ = std::fs::remove_file(&aside);
    }
    written.with_context(|| format!("the picture cannot be written: {}", out.display()))
}
