//! What the image is started with is what the program understands and the Dockerfile has; and, where
//! there is a Docker daemon, a mail goes into it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that can't be set up has to fail"
)]

use std::borrow::Cow;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use postbound_testcontainers::{CONTROL, Double, READY, SMTP, Tls};
use testcontainers::Image;
use testcontainers::core::{ContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn command(image: &Double) -> Vec<String> {
    let words = image.cmd().into_iter();
    words
        .map(|word| Into::<Cow<'_, str>>::into(word).into_owned())
        .collect()
}

/// The words of a line of the Dockerfile that is a list in JSON.
fn dockerfile(what: &str) -> Vec<String> {
    let text = include_str!("../../../ci/package.d/Dockerfile");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(what))
        .unwrap();
    let words = line.split('"').skip(1).step_by(2);
    words.map(ToOwned::to_owned).collect()
}

/// Where an option has a value of its own behind it, and where behind `=`, is the same.
fn joined(words: Vec<String>) -> String {
    words.join(" ").replace('=', " ")
}

#[test]
fn it_is_started_as_the_dockerfile_has_it_and_its_ports_are_the_exposed_ones() {
    let image = Double::new();
    assert_eq!(joined(command(&image)), joined(dockerfile("CMD ")));
    assert_eq!((image.name(), image.tag()), ("postbound-double", "latest"));
    assert!(include_str!("../../../ci/package.d/Dockerfile").contains("-t postbound-double "));
    let exposed = include_str!("../../../ci/package.d/Dockerfile");
    let exposed = exposed
        .lines()
        .find_map(|line| line.strip_prefix("EXPOSE "))
        .unwrap();
    let number = |port: &ContainerPort| port.as_u16().to_string();
    let ports: Vec<String> = image.expose_ports().iter().map(number).collect();
    assert_eq!(ports.join(" "), exposed);
    assert_eq!(image.expose_ports(), [SMTP, CONTROL]);
}

#[test]
fn what_goes_wrong_is_said_behind_it() {
    let image = Double::new()
        .with_image("mine/double", "7")
        .with_rules(["rcpt: reply 451 later", "mail: stall"])
        .with_behaviour("mixed-codes")
        .with_tls(Tls::StartTls)
        .with_control_host("ci.example")
        .with_argument("--full");
    let said = command(&image).split_off(command(&Double::new()).len());
    assert_eq!(
        said,
        [
            "--rule=rcpt: reply 451 later",
            "--rule=mail: stall",
            "--behaviour=mixed-codes",
            "--tls=starttls",
            "--control-host=ci.example",
            "--full"
        ]
    );
    assert_eq!((image.name(), image.tag()), ("mine/double", "7"));
}

/// Ends it with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_line_that_is_waited_for_is_the_first_one_that_the_program_prints() {
    let Some(program) = std::env::var_os("POSTBOUND").map(PathBuf::from) else {
        eprintln!("SKIPPED: POSTBOUND does not say where the program is");
        return;
    };
    let image = Double::new()
        .with_rule("rcpt[first 1]: reply 451 4.7.1 later")
        .with_behaviour("mixed-codes")
        .with_tls(Tls::Implicit);
    // On this machine alone, on any free ports.
    let command = command(&image).into_iter();
    let here = command
        .filter(|word| !word.starts_with("--expose"))
        .map(|word| match word.as_str() {
            "2525" | "8025" => "0".to_owned(),
            _ => word,
        });
    let child = Command::new(&program)
        .args(here)
        .stdout(Stdio::piped())
        .spawn();
    let mut running =
        Running(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())));
    let mut line = String::new();
    let stdout = running.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert!(line.starts_with(READY), "{line}");
    let [WaitFor::Log(waited)] = &image.ready_conditions()[..] else {
        panic!("it waits for something else");
    };
    let waited = format!("{waited:?}");
    let expected = format!("{:?}", WaitFor::message_on_stdout(READY));
    assert!(expected.contains(&waited), "{waited}");
}

/// Says a line and gives the last line of the reply.
async fn say(stream: &mut tokio::io::BufReader<TcpStream>, line: &str) -> String {
    if !line.is_empty() {
        let line = format!("{line}\r\n");
        stream.get_mut().write_all(line.as_bytes()).await.unwrap();
    }
    loop {
        let mut reply = String::new();
        stream.read_line(&mut reply).await.unwrap();
        if reply.len() < 4 || reply.as_bytes()[3] == b' ' {
            return reply;
        }
    }
}

#[tokio::test]
async fn a_mail_goes_into_the_container_and_what_it_reports_is_not_what_is_true() {
    let daemon = Command::new("docker").arg("version").output();
    if !daemon.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no Docker daemon can be reached");
        return;
    }
    let there = Command::new("docker")
        .args(["image", "inspect", "postbound-double"])
        .output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: there is no image postbound-double; ci/package says how it is made");
        return;
    }
    let rule = "data-termination: commit; reply 451 4.3.0 so it says";
    let double = Double::new().with_rule(rule).start().await.unwrap();
    let port = double.get_host_port_ipv4(SMTP).await.unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = tokio::io::BufReader::new(stream);
    let mut replies = Vec::new();
    for line in [
        "",
        "EHLO me",
        "MAIL FROM:<a@x>",
        "RCPT TO:<b@x>",
        "DATA",
        "Subject: x\r\n\r\ny\r\n.",
    ] {
        replies.push(
            say(&mut stream, line)
                .await
                .chars()
                .take(3)
                .collect::<String>(),
        );
    }
    assert_eq!(replies, ["220", "250", "250", "250", "354", "451"]);

    let port = double.get_host_port_ipv4(CONTROL).await.unwrap();
    let mut http = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "GET /v1/namespaces/main/ledger HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    );
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\"messages\":1"), "{answer}");
}
