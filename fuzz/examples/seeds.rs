//! Writes whole files of a session, from which the targets `manifest`, `sample` and `pack` set out: `seeds FOLDER`.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "corpus".to_owned());
    let seeds = kvlens_fuzz::readers::sessions::seeds();
    for (name, bytes) in [
        ("manifest", seeds.manifest),
        ("sample", seeds.sample),
        ("pack", seeds.pack),
    ] {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("whole"), bytes)?;
    }
    Ok(())
}
