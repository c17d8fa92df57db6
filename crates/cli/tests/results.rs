//! The matrix's results in files: a page, JSON and JUnit, and shards merged into one.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs `postbound matrix` in a folder: the exit code and what it says.
fn matrix(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_postbound"))
        .arg("matrix")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

fn json(folder: &Path, file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

#[test]
fn page_json_and_junit_stand_side_by_side_and_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["--report", "a.html", "--json", "a.json", "--junit", "a.xml"];
    let (code, text) = matrix(folder.path(), &files);
    assert_eq!(code, 0, "{text}");
    let results = json(folder.path(), "a.json");
    let cells = results["cells"].as_array().unwrap();
    assert!(cells.len() > 250);
    let lost = cells
        .iter()
        .find(|cell| cell["fault"] == "lost-reply")
        .unwrap();
    assert_eq!(lost["ran"]["outcome"], "ambiguous");
    assert_eq!(lost["ran"]["mailbox"], 1);
    assert!(lost["ran"]["elapsed"].as_u64() <= lost["promise"].as_u64());
    let dialogue = lost["ran"]["dialogue"].as_array().unwrap();
    assert!(dialogue.iter().any(|line| line["text"] == "DATA"));
    let junit = fs::read_to_string(folder.path().join("a.xml")).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), cells.len());
    assert!(junit.contains("failures=\"0\""));
    let page = fs::read_to_string(folder.path().join("a.html")).unwrap();
    assert!(page.contains("committed-then-reset") && page.ends_with("</html>\n"));
}

#[test]
fn shards_merge_into_one_and_none_is_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for shard in ["1/2", "2/2"] {
        let file = format!("{}.json", &shard[..1]);
        let arguments = ["--cases", "1500", "--seed", "9", "--shard", shard];
        let (code, text) = matrix(folder, &[&arguments[..], &["--json", &file]].concat());
        assert_eq!(code, 0, "{text}");
    }
    let merged = ["--merge", "1.json", "2.json", "--json", "all.json"];
    let (code, text) = matrix(folder, &merged);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("1500 random cases of seed 9 on mem (shard 1/2, 2/2), 0 violations"),
        "{text}"
    );
    let (one, all) = (json(folder, "1.json"), json(folder, "all.json"));
    assert_eq!(one["cells"], all["cells"], "every cell once");

    let (code, text) = matrix(folder, &["--merge", "all.json", "2.json"]);
    assert_eq!(code, 66);
    assert!(
        text.contains("shard 2/2 of random cases of seed 9 on mem is in more than one"),
        "{text}"
    );
    fs::write(folder.join("x.json"), "{}").unwrap();
    let (code, text) = matrix(folder, &["--merge", "x.json"]);
    assert_eq!(code, 66);
    assert!(
        text.contains("x.json: not what `postbound matrix --json FILE` writes"),
        "{text}"
    );
}

#[test]
fn one_broken_cell_in_one_of_the_files_breaks_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(matrix(folder, &["--json", "good.json"]).0, 0);
    let mut bad = json(folder, "good.json");
    let cell = &mut bad["cells"][7];
    cell["verdict"] = "broken".into();
    cell["violations"] = serde_json::json!(["g4: claims \"<accepted>\", the mailbox has 0"]);
    fs::write(folder.join("bad.json"), bad.to_string()).unwrap();
    let merged = ["--merge", "good.json", "bad.json", "--junit", "bad.xml"];
    let (code, text) = matrix(folder, &merged);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("1 are broken"), "{text}");
    let junit = fs::read_to_string(folder.join("bad.xml")).unwrap();
    assert!(junit.contains("failures=\"1\""));
    assert!(junit.contains("claims &quot;&lt;accepted&gt;&quot;"));
}

#[test]
fn a_goal_that_was_never_reached_breaks_the_run_and_is_a_failure_in_junit_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(matrix(folder, &["--json", "good.json"]).0, 0);
    let mut bad = json(folder, "good.json");
    let goals = bad["coverage"]["goals"].as_object_mut().unwrap();
    let (goal, count) = goals.iter_mut().next().unwrap();
    let goal = goal.clone();
    *count = 0.into();
    fs::write(folder.join("bad.json"), bad.to_string()).unwrap();
    let (code, text) = matrix(folder, &["--merge", "bad.json", "--junit", "bad.xml"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains(&format!("BROKEN never seen: {goal}\n")),
        "{text}"
    );
    let junit = fs::read_to_string(folder.join("bad.xml")).unwrap();
    assert!(junit.contains("failures=\"1\""), "{junit}");
    let case = format!("<testcase classname=\"coverage\" name=\"{goal}\"");
    assert!(junit.contains(&case), "{junit}");
    let cases = bad["cells"].as_array().unwrap().len() + 1;
    assert_eq!(junit.matches("<testcase ").count(), cases);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = matrix(folder.path(), &["--report", "no/such/folder.html"]);
    assert_eq!(code, 74);
    assert!(
        text.contains("no/such/folder.html can't be written"),
        "{text}"
    );
}
