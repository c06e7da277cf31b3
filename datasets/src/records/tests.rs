//! What rows files give, whatever stands in them.

use std::io::Cursor;

use serde_json::json;

use super::json::Rows;
use super::lines::Lines;
use super::*;

fn lines(bytes: &[u8]) -> Vec<(usize, Result<Value, String>)> {
    collect(Lines::new("a.jsonl".as_ref(), Cursor::new(bytes.to_vec())))
}

fn rows(text: &str) -> Vec<(usize, Result<Value, String>)> {
    collect(Rows::new(
        "a.json".as_ref(),
        Cursor::new(text.as_bytes().to_vec()),
    ))
}

fn collect(
    records: impl Iterator<Item = Result<Record, DatasetError>>,
) -> Vec<(usize, Result<Value, String>)> {
    records
        .map(|record| {
            let record = record.unwrap();
            (record.number, record.fields.map(Value::Object))
        })
        .collect()
}

#[test]
fn lines_end_with_line_feeds_only() {
    let found = lines("{\"a\":1}\r\n\r\n  \n{\"a\":\"x\u{2028}y\u{85}z\"}".as_bytes());
    assert_eq!(
        found,
        [
            (1, Ok(json!({"a": 1}))),
            (4, Ok(json!({"a": "x\u{2028}y\u{85}z"}))),
        ]
    );
}

#[test]
fn a_bad_line_says_why_and_the_next_is_read() {
    let bad: [(&[u8], &str); 13] = [
        (b"{\"a\":\"\\ud800\"}", "half of a surrogate pair"),
        (b"{\"a\":\"\\ud800x\"}", "half of a surrogate pair"),
        (b"{\"a\":\"\\udc00\"}", "half of a surrogate pair"),
        (b"{\"a\":NaN}", "NaN or Infinity"),
        (b"{\"a\": [1, NaN]}", "NaN or Infinity"),
        (b"{\"a\": Infinity}", "NaN or Infinity"),
        (b"{\"a\": -Infinity}", "NaN or Infinity"),
        (b"{\"a\":\"\xff\"}", "not UTF-8 text (first wrong byte at 6"),
        (b"{\"a\":\"x\0\"}", "NUL or another control character"),
        (b"{\"a\":\"x\ty\"}", "NUL or another control character"),
        (b"{\"a\":1,\"b\":2,\"a\":3}", "the field a twice"),
        (b"[1]", "not a JSON object"),
        (b"{\"a\":", "not valid JSON"),
    ];
    for (line, words) in bad {
        let found = lines(&[line, b"\n{\"b\":2}\n"].concat());
        let problem = found[0].1.as_ref().unwrap_err();
        assert!(
            problem.contains(words),
            "{}: {problem}",
            line.escape_ascii()
        );
        assert_eq!(found[1], (2, Ok(json!({"b": 2}))));
    }
}

#[test]
fn an_escaped_nul_is_text() {
    assert_eq!(
        lines(b"{\"a\":\"x\\u0000y\"}"),
        [(1, Ok(json!({"a": "x\0y"})))]
    );
}

#[test]
fn a_line_beyond_the_limit_is_named_with_its_length() {
    let text = b"{\"a\":\"0123456789\"}\n{\"b\":2}\n";
    let records = Lines::new("a.jsonl".as_ref(), Cursor::new(text.to_vec())).with_longest(12);
    let found = collect(records);
    assert_eq!(
        found[0].1.as_ref().unwrap_err(),
        "is 19 bytes long; at most 12 are read"
    );
    assert_eq!(found[1], (2, Ok(json!({"b": 2}))));
}

#[test]
fn a_row_of_json_beyond_the_limit_is_named_and_the_next_is_read() {
    let text = "[{\"a\":\"0123456789 }\"}, {\"b\":2}, {\"c\": \"0123456789";
    let records = Rows::new("a.json".as_ref(), Cursor::new(text.as_bytes().to_vec()));
    let found = collect(records.with_longest(12));
    assert_eq!(
        found[0].1.as_ref().unwrap_err(),
        "is 20 bytes long; at most 12 are read"
    );
    assert_eq!(found[1], (2, Ok(json!({"b": 2}))));
    assert!(found[2].1.as_ref().unwrap_err().contains("at most 12"));
    assert_eq!(found.len(), 3);
}

/// A line of 200 MB, made while it is read, is a row like any other; one beyond the limit costs no memory.
#[test]
fn a_line_of_200_megabytes_is_read_or_passed_over() {
    const LONG: u64 = 200_000_000;
    let file = || {
        let start = Cursor::new(b"{\"a\":\"".to_vec());
        let text = std::io::repeat(b'x').take(LONG);
        let end = Cursor::new(b"\"}\n{\"b\":2}\n".to_vec());
        std::io::BufReader::new(start.chain(text).chain(end))
    };
    let mut lines = Lines::new("a.jsonl".as_ref(), file());
    let long = lines.next().unwrap().unwrap().fields.unwrap();
    assert_eq!(long["a"].as_str().unwrap().len() as u64, LONG);
    let short = Lines::new("a.jsonl".as_ref(), file()).with_longest(1 << 20);
    let found = collect(short);
    let problem = found[0].1.as_ref().unwrap_err();
    assert!(problem.starts_with("is 200000009 bytes long"), "{problem}");
    assert_eq!(found[1], (2, Ok(json!({"b": 2}))));
    let rows = collect(Rows::new("a.json".as_ref(), file()).with_longest(1 << 20));
    assert!(rows[0].1.is_err());
    assert_eq!(rows[1], (2, Ok(json!({"b": 2}))));
}

/// A row of many megabytes is a row like any other.
#[test]
fn a_row_of_many_megabytes_is_read() {
    let long = "x".repeat(8 << 20);
    let line = format!("{{\"a\":\"{long}\"}}\n{{\"b\":2}}");
    let found = lines(line.as_bytes());
    assert_eq!(found[0].1.as_ref().unwrap()["a"], long);
    assert_eq!(found[1], (2, Ok(json!({"b": 2}))));
    assert_eq!(rows(&format!("[{}]", line.replace('\n', ",\n"))).len(), 2);
}

#[test]
fn a_json_file_is_an_array_or_objects_or_one_list_inside_an_object() {
    let expected = [
        (1, Ok(json!({"a": "}],{\"\\"}))),
        (2, Ok(json!({"b": [{"c": 1}]}))),
    ];
    let (first, second) = (r#"{"a": "}],{\"\\"}"#, r#"{"b":[{"c":1}]}"#);
    for text in [
        format!("[{first},{second}]"),
        format!(" [\n {first} ,\n {second}\n ]\n"),
        format!("{first}\n{second}"),
        format!("{first}{second}"),
        format!("{{\"data\": [{first},{second}]}}"),
    ] {
        assert_eq!(rows(&text), expected, "{text}");
    }
    assert_eq!(rows("[]"), []);
    assert_eq!(rows(""), []);
}

/// A download that was cut off, and two files in one.
#[test]
fn a_list_that_does_not_end_and_what_stands_behind_one_are_told() {
    for (text, number, words) in [
        (
            r#"[{"a": 1}, {"a": 2}"#,
            3,
            "the file ends before its list does",
        ),
        (r#"[{"a": 1},"#, 2, "the file ends before its list does"),
        ("[", 1, "the file ends before its list does"),
        (r#"[{"a": 1}] [{"a": 2}]"#, 2, "behind the end of the list"),
    ] {
        let found = rows(text);
        let (last, others) = found.split_last().unwrap();
        assert_eq!(last.0, number, "{text}");
        assert!(last.1.as_ref().unwrap_err().contains(words), "{text}");
        assert!(others.iter().all(|(_, row)| row.is_ok()), "{text}");
    }
    assert_eq!(rows("[{\"a\": 1}]\n \n").len(), 1);
}

#[test]
fn a_bad_row_of_an_array_does_not_spoil_the_others() {
    let found = rows(r#"[{"a": NaN}, 7, {"b": 2}, {"c": "#);
    let problems: Vec<bool> = found.iter().map(|(_, row)| row.is_err()).collect();
    assert_eq!(problems, [true, true, false, true]);
    assert_eq!(found[1].1, Err("is not a JSON object".to_owned()));
}

#[test]
fn python_prints_are_read() {
    let text = r#"[{'Q': "Who's there?", 'A': 'It\'s me\n', 'S': ['a', "b"], 'n': (1, -2.5, None, True)},]"#;
    assert_eq!(
        parse_python(text),
        Some(
            json!([{"Q": "Who's there?", "A": "It's me\n", "S": ["a", "b"], "n": [1, -2.5, null, true]}])
        )
    );
    assert_eq!(
        parse_python(r#"{"a": "\u00e9\xe9" 'x', "b": {}}"#),
        Some(json!({"a": "ééx", "b": {}}))
    );
    for wrong in [
        "",
        "none",
        "['a'",
        "{'a' 1}",
        "['a' 1]",
        "{1: 2}",
        "[] x",
        "'\\ud800'",
        &"[".repeat(500),
    ] {
        assert_eq!(parse_python(wrong), None, "{wrong}");
    }
}

#[test]
fn tables_come_from_whoever_reads_them() {
    let open: &OpenTable =
        &|_: &Path| Ok(Box::new([Ok(json!({"a": 1})), Ok(json!(2))].into_iter()));
    let found: Vec<Record> = super::open("a.parquet".as_ref(), Some(open))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found[0].fields.as_ref().unwrap()["a"], 1);
    assert!(found[1].fields.is_err());
    let Err(error) = super::open("a.parquet".as_ref(), None) else {
        panic!("opened");
    };
    assert!(error.to_string().ends_with("a.parquet"), "{error}");
}
