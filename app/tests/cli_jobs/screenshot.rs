//! `kvlens open --script --screenshot`: pictures without a display.

use std::fs;

use crate::support::{run, run_ok};

fn size_of(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_script_is_played_and_the_same_picture_comes_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "facts:length=160,samples=1",
    ];
    let arguments = [&arguments[..], &["--decode", "4", "--out", "s.kvlens"]].concat();
    run_ok(folder.path(), &arguments);
    let script = r#"[{"SelectHeads": {"heads": [{"layer": 1, "head": 0}], "change": "Replace"}},
                     {"SetMetric": "mass"}, {"UsePreset": "Compare"}, {"ShowPane": "Attention"}]"#;
    fs::write(folder.path().join("script.json"), script).unwrap();
    let shoot = |out: &str, more: &[&str]| {
        let arguments = ["open", "s.kvlens", "--screenshot", out];
        run_ok(folder.path(), &[&arguments[..], more].concat());
        fs::read(folder.path().join(out)).unwrap()
    };
    let scripted = [
        "--script",
        "script.json",
        "--size",
        "900x600",
        "--theme",
        "dark",
    ];
    let first = shoot("a.png", &scripted);
    assert_eq!(size_of(&first), (900, 600));
    assert!(first == shoot("b.png", &scripted), "another picture");
    let plain = shoot("c.png", &["--size", "900x600", "--theme", "dark"]);
    assert!(first != plain, "the script changed nothing");
    assert_eq!(size_of(&shoot("d.png", &[])), (1280, 800));
}

/// Of `[{"SelectSample": 0}, {"SetMetric": "mass"}, {"ShowPane": "Attention"}]`, by Python:
/// `base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).rstrip(b"=")`.
const LINK: &str = "kvlens:1:eNqLrlYKTs1JTS4JTswtyElVslIwqNVRAAmW-KaWFGUmA0WUchOLi5Ugwhn55QGJeSB1So4lJal5JZn5eUq1sQBRFBes";

#[test]
fn a_link_is_shown_as_the_script_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "capture",
        "--model",
        "demo",
        "--data",
        "facts:length=160,samples=1",
        "--decode",
        "4",
        "--out",
        "s.kvlens",
    ];
    run_ok(folder.path(), &arguments);
    let script = r#"[{"SelectSample": 0}, {"SetMetric": "mass"}, {"ShowPane": "Attention"}]"#;
    fs::write(folder.path().join("script.json"), script).unwrap();
    let shoot = |out: &str, more: &[&str]| {
        let arguments = ["open", "s.kvlens", "--screenshot", out];
        run_ok(folder.path(), &[&arguments[..], more].concat());
        fs::read(folder.path().join(out)).unwrap()
    };
    let scripted = shoot("a.png", &["--script", "script.json"]);
    assert!(shoot("b.png", &[LINK]) == scripted, "another picture");
    assert!(shoot("c.png", &[]) != scripted, "the link changed nothing");
}

#[test]
fn what_cannot_be_shown_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.json"), "[\"Dance\"]").unwrap();
    fs::write(
        folder.path().join("lost.json"),
        "[{\"OpenSession\": \"nowhere.kvlens\"}]",
    )
    .unwrap();
    fs::write(folder.path().join("latin.json"), b"[\"\xe9\"]").unwrap();
    let damaged = folder.path().join("damaged.kvlens");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("manifest.json"), "{\"format_version\": 3}").unwrap();
    for (arguments, word) in [
        (&["--script", "latin.json"][..], "no UTF-8"),
        (&["damaged.kvlens"][..], "damaged.kvlens"),
        (&["--script", "bad.json"][..], "no script"),
        (&["--script", "lost.json"][..], "nowhere.kvlens"),
        (&["--script", "none.json"][..], "none.json"),
        (&["kvlens:1:abc"][..], "the link cannot be followed"),
        (&["--size", "12x9"][..], "1280x800"),
    ] {
        let arguments = [&["open", "--screenshot", "x.png"], arguments].concat();
        let refused = run(folder.path(), &arguments);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
        assert!(!folder.path().join("x.png").exists());
    }
}
