//! Models from a hub that stands in this process: what is fetched, and what is said when it cannot be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kvlens_sessions::hub::{DownloadProgress, HubCache, HubId, HubSettings};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, Needs, SessionError};
use sha2::{Digest, Sha256};

use crate::common::{fixtures, prefill_for, values};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does besides answering.
#[derive(Default)]
struct Mischief {
    /// Ends the connection after so many bytes of a file, once.
    cut_after: Option<usize>,
    /// Refuses whoever does not show this token.
    token: Option<&'static str>,
    /// Answers everything with this status.
    status: Option<u16>,
}

/// A hub with one repository `org/tiny`.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(
        files: BTreeMap<String, Vec<u8>>,
        listing: serde_json::Value,
        mischief: Mischief,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut mischief = mischief;
            for stream in listener.incoming() {
                // a client that went away ends its own conversation alone
                let _ = answer(stream.unwrap(), &files, &listing, &mut mischief, &log);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn settings(&self, cache: &Path) -> HubSettings {
        HubSettings {
            cache: HubCache::new(cache.to_owned()),
            endpoint: self.address.clone(),
            token: None,
            offline: false,
        }
    }
}

fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    listing: &serde_json::Value,
    mischief: &mut Mischief,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let (mut path, mut offset, mut token) = (String::new(), None, None);
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let lower = line.to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(range) = lower.strip_prefix("range: bytes=") {
            offset = range.trim_end_matches('-').parse::<usize>().ok();
        } else if lower.starts_with("authorization: bearer ") {
            token = line.rsplit(' ').next().map(str::to_owned);
        } else if line.is_empty() {
            break;
        }
    }
    log.lock().unwrap().push(match offset {
        Some(offset) => format!("{path} from {offset}"),
        None => path.clone(),
    });
    let mut refuse = |status: u16| {
        write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    if let Some(status) = mischief.status {
        return refuse(status);
    }
    if mischief.token.is_some() && mischief.token != token.as_deref() {
        return refuse(401);
    }
    let listing = listing.to_string().into_bytes();
    let body = if path.starts_with("/api/models/org/tiny/revision/main") {
        Some(&listing)
    } else {
        let name = path.strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/"));
        name.and_then(|name| files.get(name))
    };
    let Some(body) = body else {
        return refuse(404);
    };
    let start = offset.unwrap_or(0);
    let status = if start > 0 { 206 } else { 200 };
    let body = &body[start..];
    write!(
        stream,
        "HTTP/1.1 {status} OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    let is_weights = path.ends_with(".safetensors");
    match mischief.cut_after.take_if(|_| is_weights) {
        Some(bytes) => stream.write_all(&body[..bytes]),
        None => stream.write_all(body),
    }
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As `git hash-object` gives it.
fn git_hash(bytes: &[u8]) -> String {
    let blob = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    let hash = sha1::Sha1::digest(blob);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As the hub lists a repository: large files by git-lfs, with their SHA-256.
fn listing(files: &BTreeMap<String, Vec<u8>>) -> serde_json::Value {
    let siblings: Vec<_> = files
        .iter()
        .map(|(name, bytes)| {
            let large = serde_json::json!({"sha256": sha256(bytes), "size": bytes.len()});
            let lfs = name.ends_with(".safetensors") || name.ends_with(".gguf");
            serde_json::json!({
                "rfilename": name,
                "size": bytes.len(),
                "blobId": git_hash(bytes),
                "lfs": if lfs { large } else { serde_json::Value::Null },
            })
        })
        .collect();
    serde_json::json!({"sha": COMMIT, "siblings": siblings, "gated": false})
}

/// A micro checkpoint, and what is not to be fetched.
fn repository() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let bytes = std::fs::read(fixtures().join("llama-gqa-untied").join(name)).unwrap();
        files.insert(name.to_owned(), bytes);
    }
    files.insert("pytorch_model.bin".to_owned(), b"pickle".to_vec());
    files.insert("README.md".to_owned(), b"card".to_vec());
    files
}

fn id() -> HubId {
    "org/tiny".parse().unwrap()
}

fn download(settings: &HubSettings, id: &HubId) -> Result<PathBuf, SessionError> {
    settings.download(id, &CancelFlag::default(), &mut |_| {})
}

fn error(settings: &HubSettings, id: &HubId) -> String {
    download(settings, id).unwrap_err().to_string()
}

fn load(folder: &Path) -> Model {
    let source = ModelSource::Folder(folder.to_owned());
    Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
}

#[test]
fn a_model_is_fetched_once_into_the_layout_of_huggingface_hub() {
    let files = repository();
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    assert_eq!(settings.complete(&id()), None);
    let mut last = None;
    let mut on_progress = |progress: DownloadProgress<'_>| {
        last = Some((progress.done_bytes, progress.total_bytes));
    };
    let folder = settings
        .download(&id(), &CancelFlag::default(), &mut on_progress)
        .unwrap();
    let wanted: usize = ["config.json", "tokenizer.json", "model.safetensors"]
        .map(|name| files[name].len())
        .iter()
        .sum();
    assert_eq!(last, Some((wanted as u64, wanted as u64)));
    let repository = cache.path().join("models--org--tiny");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    let revision = std::fs::read_to_string(repository.join("refs/main")).unwrap();
    assert_eq!(revision, COMMIT);
    let blob = repository
        .join("blobs")
        .join(sha256(&files["model.safetensors"]));
    assert_eq!(
        folder.join("model.safetensors").canonicalize().unwrap(),
        blob.canonicalize().unwrap()
    );
    assert_eq!(
        load(&folder).identity().weights_sha256,
        sha256(&files["model.safetensors"])
    );
    assert_eq!(settings.complete(&id()), Some(folder));
    let asked = server.requests().join("\n");
    assert!(
        !asked.contains("pytorch_model") && !asked.contains("README"),
        "{asked}"
    );
}

#[test]
fn a_connection_that_breaks_is_gone_on_with() {
    let files = repository();
    let cut = Mischief {
        cut_after: Some(1000),
        ..Mischief::default()
    };
    let server = Server::start(files.clone(), listing(&files), cut);
    let cache = tempfile::tempdir().unwrap();
    let folder = download(&server.settings(cache.path()), &id()).unwrap();
    assert_eq!(
        std::fs::read(folder.join("model.safetensors")).unwrap(),
        files["model.safetensors"]
    );
    let asked = server.requests();
    assert!(
        asked
            .last()
            .unwrap()
            .ends_with("model.safetensors from 1000"),
        "{asked:?}"
    );
}

#[test]
fn a_hub_that_says_nothing_does_not_hold_up_a_cancel() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let settings = HubSettings {
        cache: HubCache::new(cache.path().to_owned()),
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        token: None,
        offline: false,
    };
    let cancel = CancelFlag::default();
    let stop = cancel.clone();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| settings.download(&id(), &cancel, &mut |_| {}));
        // it connected, and waits for an answer; the connection stays open until the end of the test
        let _connection = listener.accept().unwrap();
        let asked = std::time::Instant::now();
        stop.cancel();
        let outcome = run.join().unwrap();
        assert!(
            matches!(outcome, Err(SessionError::Cancelled)),
            "{outcome:?}"
        );
        // the hub itself would be waited for 30 seconds
        assert!(asked.elapsed().as_secs() < 15);
    });
}

#[test]
fn a_cancelled_download_is_gone_on_with_by_the_next() {
    let files = repository();
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    let cancel = CancelFlag::default();
    let stop = cancel.clone();
    let outcome = settings.download(&id(), &cancel, &mut |progress| {
        if progress.file == "model.safetensors" {
            stop.cancel();
        }
    });
    assert!(
        matches!(outcome, Err(SessionError::Cancelled)),
        "{outcome:?}"
    );
    assert_eq!(settings.local(&id()), None, "half a checkpoint is none");
    let before = server.requests().len();
    let folder = download(&settings, &id()).unwrap();
    assert_eq!(load(&folder).identity().name, "tiny");
    let asked = &server.requests()[before..];
    assert!(
        !asked.iter().any(|path| path.ends_with("config.json")),
        "{asked:?}"
    );
}

#[test]
fn an_earlier_part_of_a_file_is_kept() {
    let files = repository();
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--org--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let weights = &files["model.safetensors"];
    let aside = blobs.join(format!("{}.incomplete", sha256(weights)));
    std::fs::write(&aside, &weights[..777]).unwrap();
    let folder = download(&server.settings(cache.path()), &id()).unwrap();
    assert_eq!(
        &std::fs::read(folder.join("model.safetensors")).unwrap(),
        weights
    );
    assert!(
        server
            .requests()
            .iter()
            .any(|path| path.ends_with("from 777"))
    );
    // what was kept may be wrong: then nothing of it stays
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--org--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let aside = blobs.join(format!("{}.incomplete", sha256(weights)));
    std::fs::write(&aside, vec![7; 777]).unwrap();
    let settings = server.settings(cache.path());
    assert!(error(&settings, &id()).contains("SHA-256 differs"));
    assert!(!aside.exists());
    assert!(download(&settings, &id()).is_ok());
}

/// Job arrays on one home begin together.
#[test]
fn downloads_at_once_fetch_a_model_together() {
    let mut files = repository();
    let template = b"{{ messages[0].content }}".to_vec();
    files.insert("chat_template.jinja".to_owned(), template.clone());
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    for _ in 0..5 {
        let cache = tempfile::tempdir().unwrap();
        let settings = server.settings(cache.path());
        let before = server.requests().len();
        let folders: Vec<PathBuf> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| download(&settings, &id())))
                .collect();
            let runs = runs.into_iter().map(|run| run.join().unwrap());
            runs.collect::<Result<_, _>>().unwrap()
        });
        let folder = &folders[0];
        for name in ["chat_template.jinja", "tokenizer.json", "model.safetensors"] {
            assert_eq!(
                std::fs::read(folder.join(name)).unwrap(),
                files[name],
                "{name}"
            );
        }
        let asked = &server.requests()[before..];
        let times = asked.iter().filter(|path| path.ends_with(".safetensors"));
        assert_eq!(times.count(), 1, "{asked:?}");
    }
}

#[test]
fn a_download_waits_for_whoever_holds_the_lock_and_takes_what_came() {
    let files = repository();
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    let (config, repository) = (&files["config.json"], "models--org--tiny");
    // where huggingface_hub has it
    let locks = cache.path().join(".locks").join(repository);
    std::fs::create_dir_all(&locks).unwrap();
    let lock = locks.join(format!("{}.lock", git_hash(config)));
    let held = std::fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| download(&settings, &id()));
        while server.requests().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let blobs = cache.path().join(repository).join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(git_hash(config)), config).unwrap();
        drop(held);
        run.join().unwrap().unwrap();
    });
    let asked = server.requests().join("\n");
    assert!(!asked.contains("config.json"), "{asked}");
}

/// What two downloads at once left of an older program.
#[test]
fn a_doubled_small_file_in_the_cache_is_found_and_fetched_again() {
    let mut files = repository();
    let template = b"{{ messages[0].content }}".to_vec();
    files.insert("chat_template.jinja".to_owned(), template.clone());
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    let folder = download(&settings, &id()).unwrap();
    let path = folder.join("chat_template.jinja");
    std::fs::write(&path, template.repeat(2)).unwrap();
    assert_eq!(settings.complete(&id()), None);
    download(&settings, &id()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), template);
    assert_eq!(settings.complete(&id()), Some(folder));
}

#[test]
fn a_small_file_that_came_damaged_is_refused() {
    let files = repository();
    let mut sent = files.clone();
    let config = sent.get_mut("config.json").unwrap();
    *config.last_mut().unwrap() = b' ';
    let server = Server::start(sent, listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let said = error(&server.settings(cache.path()), &id());
    assert!(
        said.contains("'config.json'") && said.contains("git hash differs"),
        "{said}"
    );
}

#[test]
fn what_the_hub_refuses_is_said_with_what_to_do() {
    for (status, words) in [
        (401, &["private or gated", "HF_TOKEN"][..]),
        (403, &["gated", "ask for it on"]),
        (404, &["no such model", "'main'", "no such folder is here"]),
        (429, &["wait"]),
        (500, &["500"]),
    ] {
        let refusing = Mischief {
            status: Some(status),
            ..Mischief::default()
        };
        let server = Server::start(BTreeMap::new(), serde_json::Value::Null, refusing);
        let cache = tempfile::tempdir().unwrap();
        let said = error(&server.settings(cache.path()), &id());
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert_eq!(said.lines().count(), 1);
        assert!(!said.contains("hf_secret"));
    }
}

#[test]
fn the_token_opens_what_is_gated() {
    let files = repository();
    let gated = Mischief {
        token: Some("hf_secret"),
        ..Mischief::default()
    };
    let server = Server::start(files.clone(), listing(&files), gated);
    let cache = tempfile::tempdir().unwrap();
    let mut settings = server.settings(cache.path());
    assert!(error(&settings, &id()).contains("HF_TOKEN"));
    settings.token = Some("hf_wrong".to_owned());
    assert!(error(&settings, &id()).contains("does not take the token"));
    settings.token = Some("hf_secret".to_owned());
    assert!(download(&settings, &id()).is_ok());
}

#[test]
fn without_a_network_it_says_so() {
    let cache = tempfile::tempdir().unwrap();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut settings = HubSettings {
        cache: HubCache::new(cache.path().to_owned()),
        endpoint: nobody,
        token: None,
        offline: false,
    };
    assert!(error(&settings, &id()).contains("cannot be reached"));
    settings.offline = true;
    assert!(error(&settings, &id()).contains("HF_HUB_OFFLINE"));
    settings.offline = false;
    let portal = Server::start(
        BTreeMap::new(),
        serde_json::json!("sign in"),
        Mischief::default(),
    );
    settings.endpoint = portal.address;
    assert!(error(&settings, &id()).contains("HF_ENDPOINT"));
}

#[test]
fn repositories_without_safetensors_say_what_they_have() {
    let said = |names: &[&str], id: &str| {
        let files: BTreeMap<String, Vec<u8>> = names
            .iter()
            .map(|&name| (name.to_owned(), name.as_bytes().to_vec()))
            .collect();
        let server = Server::start(files.clone(), listing(&files), Mischief::default());
        let cache = tempfile::tempdir().unwrap();
        let outcome = download(&server.settings(cache.path()), &id.parse().unwrap());
        match outcome {
            Ok(path) => String::from_utf8(std::fs::read(path).unwrap()).unwrap(),
            Err(error) => error.to_string(),
        }
    };
    let pickle = ["config.json", "tokenizer.json", "pytorch_model.bin"];
    assert!(said(&pickle, "org/tiny").contains("safe_serialization"));
    let gguf = ["tiny.Q4_K_M.gguf", "tiny.Q8_0.gguf"];
    assert!(said(&gguf, "org/tiny").contains("org/tiny:FILE.gguf"));
    assert!(said(&gguf, "org/tiny:other.gguf").contains("tiny.Q8_0.gguf"));
    assert_eq!(said(&gguf, "org/tiny:tiny.Q8_0.gguf"), "tiny.Q8_0.gguf");
    assert!(said(&["model.safetensors", "config.json"], "org/tiny").contains("tokenizer.json"));
}

/// The file of the fixtures, and nothing else of the repository that would not be needed.
#[test]
fn a_gguf_file_is_fetched_by_its_name_and_runs() {
    let path = fixtures().join("gguf/llama-gqa-tied-rope3.gguf");
    let mut files = BTreeMap::new();
    for name in ["tiny.F16.gguf", "tiny.Q8_0.gguf"] {
        files.insert(name.to_owned(), std::fs::read(&path).unwrap());
    }
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    let id: HubId = "org/tiny:tiny.F16.gguf".parse().unwrap();
    assert_eq!(settings.complete(&id), None);
    let fetched = download(&settings, &id).unwrap();
    assert_eq!(settings.complete(&id).as_ref(), Some(&fetched));
    let asked = server.requests().join("\n");
    assert!(!asked.contains("Q8_0"), "{asked}");

    let model = |path: PathBuf| {
        Model::load(
            &ModelSource::from(path),
            DeviceChoice::Cpu,
            DtypeChoice::Auto,
        )
        .unwrap()
    };
    let (fetched, local) = (model(fetched), model(path));
    assert_eq!(fetched.identity().name, "tiny.F16");
    let logits = |model: &Model| {
        let ids = model.encode_prompt("Two blue boxes.", None).unwrap().ids;
        let prefilled = prefill_for(model, &ids, &Needs::default());
        values(prefilled.last_logits())
    };
    assert_eq!(logits(&fetched), logits(&local));
}

#[test]
fn shards_come_by_their_index_which_may_not_lead_elsewhere() {
    let mut files = repository();
    let weights = files.remove("model.safetensors").unwrap();
    files.insert("model-00001-of-00001.safetensors".to_owned(), weights);
    let index = |file: &str| {
        let map = serde_json::json!({"weight_map": {"model.norm.weight": file}});
        map.to_string().into_bytes()
    };
    let name = "model.safetensors.index.json".to_owned();
    let cache = tempfile::tempdir().unwrap();
    files.insert(name.clone(), index("../../config.json"));
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    assert!(error(&server.settings(cache.path()), &id()).contains("which is not there"));
    files.insert(name, index("model-00001-of-00001.safetensors"));
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(files.clone(), listing(&files), Mischief::default());
    let folder = download(&server.settings(cache.path()), &id()).unwrap();
    assert!(load(&folder).config().layers > 0);
}
