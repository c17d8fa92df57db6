//! The control interface as a test in another language uses it, and as others abuse it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has to fail"
)]

mod common;

use std::time::Duration;

use common::{send, start};
use postbound_control::NAMESPACES;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

#[tokio::test]
async fn rules_are_set_listed_and_taken_away_and_strike_meanwhile() {
    let server = start().await;
    let rules = "/v1/namespaces/main/rules";
    let body = json!({"rules": ["rcpt[first 1]: reply 451 4.7.1 one", "rcpt[name two, first 1]: reply 452 4.5.3 two"]});
    let reply = server.ask("POST", rules, &body.to_string()).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(
        send(server.smtp, "b@example.org", "x")
            .await
            .last()
            .unwrap(),
        "451"
    );
    assert_eq!(
        send(server.smtp, "b@example.org", "x")
            .await
            .last()
            .unwrap(),
        "452"
    );
    assert_eq!(
        send(server.smtp, "b@example.org", "x")
            .await
            .last()
            .unwrap(),
        "221"
    );
    let listed = server.get(rules).await;
    assert_eq!(listed["rules"][0]["strikes"], 1, "{listed}");
    assert_eq!(listed["rules"][1]["name"], "two", "{listed}");

    let id = listed["rules"][0]["id"].as_u64().unwrap();
    let one = format!("{rules}/{id}");
    assert_eq!(server.ask("DELETE", &one, "").await.status, 204);
    assert_eq!(server.ask("DELETE", &one, "").await.status, 404);
    assert_eq!(server.ask("DELETE", rules, "").await.status, 204);
    assert_eq!(server.get(rules).await["rules"], json!([]));

    let behaviour = r#"{"behaviour": "data-refused"}"#;
    assert_eq!(server.ask("POST", rules, behaviour).await.status, 201);
    assert_eq!(
        server
            .ask("POST", "/v1/namespaces/main/reset", "")
            .await
            .status,
        204
    );
    assert_eq!(
        send(server.smtp, "b@example.org", "x")
            .await
            .last()
            .unwrap(),
        "221"
    );
}

#[tokio::test]
async fn a_reply_is_held_until_a_request_lets_it_go() {
    let server = start().await;
    let rules = "/v1/namespaces/main/rules";
    let body = json!({"rule": "data-termination[name final]: hold"}).to_string();
    let set = server.ask("POST", rules, &body).await.json();
    let id = &set["rules"][0]["id"];
    assert_eq!(set["rules"][0]["waiting"], json!([]), "{set}");

    let one = |to: &'static str| send(server.smtp, to, "x");
    let test = async {
        let path = format!("{rules}/final?count=2&wait=20s");
        let rule = server.get(&path).await;
        assert_eq!((&rule["id"], &rule["strikes"]), (id, &json!(2)), "{rule}");
        assert_eq!(rule["waiting"], json!([1, 2]));
        let ledger = server.get("/v1/namespaces/main/ledger").await;
        assert_eq!(ledger["messages"], 2, "taken, and nobody knows it yet");

        let release = format!("{rules}/{id}/release");
        let let_go = server.ask("POST", &format!("{release}?count=1"), "").await;
        assert_eq!(let_go.json(), json!({"released": [1], "waiting": [2]}));
        let let_go = server.ask("POST", &release, "").await;
        assert_eq!(let_go.json(), json!({"released": [2], "waiting": []}));
    };
    let (first, second, ()) = tokio::join!(one("b@example.org"), one("c@example.org"), test);
    assert_eq!((first.last(), first.len()), (Some(&"221".to_owned()), 7));
    assert_eq!(second.last().unwrap(), "221");
    // It is open for good, until the rule is set anew.
    assert_eq!(one("d@example.org").await.last().unwrap(), "221");
    // And nobody waits for it in vain.
    let begun = Instant::now();
    let rule = server.get(&format!("{rules}/final?wait=60s")).await;
    assert_eq!(
        (&rule["holds"], &rule["waiting"]),
        (&json!(false), &json!([]))
    );
    assert!(begun.elapsed() < Duration::from_secs(40));
    let again = server
        .ask("POST", &format!("{rules}/final/release?wait=1s"), "")
        .await;
    assert_eq!(again.status, 400, "{}", again.body);
    assert_eq!(
        server
            .ask("DELETE", &format!("{rules}/final"), "")
            .await
            .status,
        204
    );

    server.ask("POST", rules, &body).await;
    let (held, status) = tokio::join!(one("e@example.org"), async {
        server.get(&format!("{rules}/final?wait=20s")).await;
        server.ask("DELETE", rules, "").await.status
    });
    assert_eq!((held.last().unwrap().as_str(), status), ("221", 204));

    let events = server.get("/v1/namespaces/main/transcript").await;
    let events = events["events"].as_array().unwrap().clone();
    assert_eq!(
        events
            .iter()
            .filter(|event| event["event"] == "held")
            .count(),
        3
    );
}

#[tokio::test]
async fn a_rule_is_called_by_its_name_before_its_number() {
    let server = start().await;
    let rules = "/v1/namespaces/main/rules";
    let body = json!({"rules": ["rcpt: reply 451 4.7.1 later", "mail[name 2]: stall"]}).to_string();
    let set = server.ask("POST", rules, &body).await.json();
    assert_eq!(
        (&set["rules"][0]["id"], &set["rules"][1]["id"]),
        (&json!(2), &json!(1))
    );
    server.ask("DELETE", &format!("{rules}/2"), "").await;
    let left = server.get(rules).await;
    assert_eq!(
        left["rules"][0]["rule"], "rcpt: reply 451 4.7.1 later",
        "{left}"
    );
}

#[tokio::test]
async fn who_waits_for_a_namespace_does_not_keep_it() {
    let server = start().await;
    let make = json!({"name": "one", "plan": "mail: hold"}).to_string();
    let one = server.ask("POST", "/v1/namespaces", &make).await.json();
    let one: std::net::SocketAddr = one["address"].as_str().unwrap().parse().unwrap();
    let rules = server.get("/v1/namespaces/one/rules").await;
    let id = &rules["rules"][0]["id"];
    let waits = [
        format!("/v1/namespaces/one/rules/{id}?wait=5s"),
        "/v1/namespaces/one/messages?wait=2s".to_owned(),
    ];
    let [rule, messages] = waits.each_ref().map(|path| server.ask("GET", path, ""));
    let deleted = async {
        // Behind the requests that wait.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let deleted = server.ask("DELETE", "/v1/namespaces/one", "").await;
        (deleted.status, TcpStream::connect(one).await.is_ok())
    };
    let (rule, messages, deleted) = tokio::join!(rule, messages, deleted);
    assert_eq!(deleted, (204, false));
    assert_eq!((rule.status, messages.status), (404, 200));
}

#[tokio::test]
async fn what_a_client_was_put_through_is_told_with_the_goals_that_were_missed() {
    let server = start().await;
    let make = json!({"name": "one", "plan": "mail[first 1]: reply 451 4.7.1 later"}).to_string();
    let one = server.ask("POST", "/v1/namespaces", &make).await.json();
    let one = one["address"].as_str().unwrap().parse().unwrap();
    send(one, "b@example.org", "x").await;
    send(one, "committed-then-close-dot@example.org", "x").await;
    send(server.smtp, "b@example.org", "x").await;

    let query = "goal=mail:reply&goal=data-termination:committed-then-close&goal=rcpt:stall";
    let path = format!("/v1/namespaces/one/coverage?{query}");
    let told = server.get(&path).await;
    let cell = |place: &str, fault: &str, committed: u64| json!({"place": place, "fault": fault, "strikes": 1, "committed": committed});
    let cells = json!([
        cell("mail", "reply-4yz", 0),
        cell("data-termination", "commit, close", 1)
    ]);
    assert_eq!(told["cells"], cells, "{told}");
    assert_eq!(
        (&told["messages"], &told["missed"]),
        (&json!(1), &json!(["rcpt:stall"]))
    );
    assert_eq!(
        told["goals"][0],
        json!({"goal": "mail:reply", "strikes": 1})
    );
    assert!(
        told["phases"]
            .as_array()
            .unwrap()
            .contains(&json!({"phase": "mail", "reached": 2}))
    );
    let xml = server
        .ask("GET", &format!("{path}&format=junit"), "")
        .await
        .body;
    assert!(
        xml.contains("failures=\"1\"") && xml.contains("name=\"rcpt:stall\""),
        "{xml}"
    );

    // Neither a reset nor the end of a namespace takes it out of the whole.
    for (method, path) in [
        ("POST", "/v1/namespaces/one/reset"),
        ("DELETE", "/v1/namespaces/one"),
    ] {
        assert_eq!(server.ask(method, path, "").await.status, 204);
        let whole = server.get("/v1/coverage").await;
        assert_eq!(
            (&whole["cells"], &whole["messages"]),
            (&cells, &json!(2)),
            "{method}"
        );
    }
    let main = server.get("/v1/namespaces/main/coverage").await;
    assert_eq!((&main["cells"], &main["messages"]), (&json!([]), &json!(1)));
    for (query, why) in [
        ("goal=rcpt:dance", "lost"),
        ("goals=x", "expected goal"),
        ("format=pdf", "json or junit"),
    ] {
        let refused = server
            .ask("GET", &format!("/v1/coverage?{query}"), "")
            .await;
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, 400, "{query}");
        assert!(
            why == "lost" && detail.contains("half-then-close") || detail.contains(why),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn what_holds_nothing_is_not_let_go_and_a_wait_for_it_has_an_end() {
    let server = start().await;
    let rules = "/v1/namespaces/main/rules";
    let body = json!({"rule": "rcpt[name r]: stall"}).to_string();
    server.ask("POST", rules, &body).await;
    for query in ["", "?count=1"] {
        let path = format!("{rules}/r/release{query}");
        let refused = server.ask("POST", &path, "").await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        assert!(refused.body.contains("holds no reply"), "{}", refused.body);
    }
    assert_eq!(
        server.get(&format!("{rules}/r?wait=60s")).await["waiting"],
        json!([])
    );
    for (path, status) in [
        ("s", 404),
        ("9", 404),
        ("r?wait=soon", 400),
        ("r?for=1", 400),
    ] {
        let reply = server.ask("GET", &format!("{rules}/{path}"), "").await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn what_came_is_waited_for_and_read_octet_for_octet() {
    let server = start().await;
    let messages = "/v1/namespaces/main/messages";
    assert_eq!(server.get(messages).await["messages"], json!([]));
    let begun = Instant::now();
    let (waited, codes) = tokio::join!(
        server.get("/v1/namespaces/main/messages?wait=20s"),
        send(server.smtp, "b@example.org", "Subject: x\r\n\r\n..y"),
    );
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(codes.last().unwrap(), "221");
    let message = &waited["messages"][0];
    assert_eq!(message["number"], 1);
    assert_eq!(message["forward_paths"], json!(["b@example.org"]));
    let whole = server.get(&format!("{messages}/1")).await;
    assert_eq!(whole["text"], "Subject: x\r\n\r\n.y\r\n");
    let raw = server.ask("GET", &format!("{messages}/1/raw"), "").await;
    assert_eq!(raw.body, "Subject: x\r\n\r\n.y\r\n");
    assert!(raw.head.contains("attachment"), "{}", raw.head);
    assert_eq!(
        server.ask("GET", &format!("{messages}/2"), "").await.status,
        404
    );

    let ledger = server.get("/v1/namespaces/main/ledger").await;
    assert_eq!(
        (&ledger["messages"], &ledger["findings"]),
        (&json!(1), &json!([]))
    );
    let transcript = server.get("/v1/namespaces/main/transcript").await;
    let events = transcript["events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .any(|e| e["event"] == "command" && e["detail"] == "DATA"),
        "{transcript}"
    );
    let next = transcript["next"].as_u64().unwrap();
    assert_eq!(next, events.len() as u64);
    let more = server
        .get(&format!("/v1/namespaces/main/transcript?since={next}"))
        .await;
    assert_eq!(more["events"], json!([]));

    assert_eq!(server.ask("DELETE", messages, "").await.status, 204);
    assert_eq!(server.get(messages).await["messages"], json!([]));
    // Numbers go on.
    send(server.smtp, "b@example.org", "z").await;
    assert_eq!(server.get(messages).await["messages"][0]["number"], 2);
}

#[tokio::test]
async fn tests_side_by_side_know_nothing_of_each_other() {
    let server = start().await;
    let mut smtp = Vec::new();
    for (name, body) in [
        (
            "one",
            json!({"name": "one", "plan": "rcpt: reply 550 5.1.1 no"}),
        ),
        ("two", json!({"name": "two", "behaviour": "greeting-554"})),
        ("ns-1", json!({})),
    ] {
        let reply = server
            .ask("POST", "/v1/namespaces", &body.to_string())
            .await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.json()["name"], name);
        smtp.push(reply.json()["address"].as_str().unwrap().parse().unwrap());
    }
    let (one, two, three) = tokio::join!(
        send(smtp[0], "b@example.org", "x"),
        send(smtp[1], "b@example.org", "x"),
        send(smtp[2], "b@example.org", "x"),
    );
    assert_eq!(one.last().unwrap(), "550");
    assert_eq!(two[0], "554");
    assert_eq!(three.last().unwrap(), "221");
    let all = server.get("/v1/namespaces").await;
    let came: Vec<(&Value, &Value)> = all["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|space| (&space["name"], &space["messages"]))
        .collect();
    let expected =
        [("main", 0), ("ns-1", 1), ("one", 0), ("two", 0)].map(|(name, n)| (json!(name), json!(n)));
    assert_eq!(
        came,
        expected
            .iter()
            .map(|(name, n)| (name, n))
            .collect::<Vec<_>>()
    );

    assert_eq!(
        server.ask("DELETE", "/v1/namespaces/one", "").await.status,
        204
    );
    assert!(
        TcpStream::connect(smtp[0]).await.is_err(),
        "its port is closed"
    );
    assert_eq!(
        server.ask("DELETE", "/v1/namespaces/main", "").await.status,
        409
    );
}

#[tokio::test]
async fn a_namespace_has_tls_and_auth_where_its_behaviour_needs_them() {
    let server = start().await;
    let body = json!({"behaviour": "certificate-expired"}).to_string();
    let made = server.ask("POST", "/v1/namespaces", &body).await.json();
    assert_eq!(made["tls"], "starttls");
    let body = json!({"behaviour": "auth-echo", "tls": "implicit"}).to_string();
    let made = server.ask("POST", "/v1/namespaces", &body).await.json();
    assert_eq!(made["tls"], "implicit");
    let pem = server.ask("GET", "/v1/authority.pem", "").await;
    assert!(
        pem.body.starts_with("-----BEGIN CERTIFICATE-----"),
        "{}",
        pem.body
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_the_remedy() {
    let server = start().await;
    let rules = "/v1/namespaces/main/rules";
    for (method, path, body, status, detail) in [
        (
            "POST",
            rules,
            r#"{"rule": "rcpt: stal"}"#,
            400,
            "line 1, column 7",
        ),
        (
            "POST",
            rules,
            r#"{"rules": ["rcpt: stall", "connect: refuse"]}"#,
            400,
            "faults of the network",
        ),
        (
            "POST",
            rules,
            r#"{"ruel": "rcpt: stall"}"#,
            400,
            "unknown field `ruel`",
        ),
        (
            "POST",
            rules,
            "{}",
            400,
            "expected rule, rules or behaviour",
        ),
        (
            "POST",
            rules,
            r#"{"behaviour": "lost-replay"}"#,
            400,
            "lost-reply",
        ),
        ("POST", rules, "{", 400, "EOF while parsing"),
        (
            "POST",
            "/v1/namespaces",
            r#"{"name": "a/b"}"#,
            400,
            "letters, digits",
        ),
        (
            "POST",
            "/v1/namespaces",
            r#"{"plan": "link: latency 5ms"}"#,
            400,
            "loopback can't do",
        ),
        (
            "POST",
            "/v1/namespaces",
            r#"{"plan": "resolve: hang"}"#,
            400,
            "its own name",
        ),
        (
            "POST",
            "/v1/namespaces",
            r#"{"tls": "yes"}"#,
            400,
            "none, starttls or implicit",
        ),
        (
            "POST",
            "/v1/namespaces",
            r#"{"name": "main"}"#,
            409,
            "already",
        ),
        (
            "GET",
            "/v1/namespaces/no-such",
            "",
            404,
            "POST /v1/namespaces",
        ),
        (
            "GET",
            "/v1/namespaces/main/messages?wait=5",
            "",
            400,
            "wait: expected",
        ),
        (
            "GET",
            "/v1/namespaces/main/messages?sinse=5",
            "",
            400,
            "sinse",
        ),
        ("GET", "/v1/nothing", "", 404, "openapi.json"),
        ("PUT", rules, "", 405, "openapi.json"),
        (
            "DELETE",
            "/v1/namespaces/main/rules/x",
            "",
            404,
            "there is no rule",
        ),
    ] {
        let reply = server.ask(method, path, body).await;
        assert_eq!(
            reply.status, status,
            "{method} {path} {body}: {}",
            reply.body
        );
        let problem = reply.json();
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{body}: {problem}"
        );
        assert!(
            reply.head.contains("application/problem+json"),
            "{}",
            reply.head
        );
    }
    // All or none.
    assert_eq!(server.get(rules).await["rules"], json!([]));
}

#[tokio::test]
async fn nobody_from_elsewhere_is_answered() {
    let server = start().await;
    let own = format!("Host: {}\r\n", server.address);
    let json = "Content-Type: application/json\r\n";
    let reset = "/v1/namespaces/main/reset";
    for (method, path, head, status) in [
        // A name of theirs that resolves to 127.0.0.1.
        (
            "GET",
            "/v1/namespaces",
            "Host: evil.example\r\n".to_owned(),
            421,
        ),
        ("GET", "/v1/namespaces", String::new(), 421),
        (
            "GET",
            "/v1/namespaces",
            "Host: double.test\r\n".to_owned(),
            200,
        ),
        // A page of theirs.
        (
            "POST",
            reset,
            format!("{own}Origin: http://evil.example\r\n"),
            403,
        ),
        ("POST", reset, format!("{own}Origin: null\r\n"), 403),
        (
            "POST",
            reset,
            format!("{own}Origin: http://{}\r\n", server.address),
            204,
        ),
        (
            "GET",
            "/v1/namespaces",
            format!("{own}Sec-Fetch-Site: cross-site\r\n"),
            403,
        ),
        (
            "GET",
            "/",
            format!("{own}Sec-Fetch-Site: cross-site\r\n"),
            200,
        ),
        (
            "GET",
            "/v1/namespaces",
            format!("{own}Sec-Fetch-Site: same-origin\r\n"),
            200,
        ),
        // A form of theirs.
        (
            "POST",
            "/v1/namespaces",
            format!("{own}Content-Type: text/plain\r\n"),
            415,
        ),
        ("POST", "/v1/namespaces", format!("{own}{json}"), 201),
    ] {
        let body = if path.ends_with("namespaces") && method == "POST" {
            "{}"
        } else {
            ""
        };
        let reply = server.request(method, path, &head, body).await;
        assert_eq!(
            reply.status, status,
            "{method} {path} {head}: {}",
            reply.body
        );
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
        assert!(reply.head.contains("nosniff"), "{}", reply.head);
        assert!(reply.head.contains("default-src 'none'"), "{}", reply.head);
    }
}

#[tokio::test]
async fn everything_has_a_cap() {
    let server = start().await;
    for number in 1..NAMESPACES {
        let reply = server.ask("POST", "/v1/namespaces", "{}").await;
        assert_eq!(reply.status, 201, "{number}: {}", reply.body);
    }
    assert_eq!(server.ask("POST", "/v1/namespaces", "{}").await.status, 429);

    let many: Vec<&str> = vec!["rcpt: stall"; 900];
    let body = json!({ "rules": many }).to_string();
    let rules = "/v1/namespaces/main/rules";
    assert_eq!(server.ask("POST", rules, &body).await.status, 201);
    assert_eq!(server.ask("POST", rules, &body).await.status, 429);

    let huge = format!("{{\"rule\": \"{}\"}}", "x".repeat(100_000));
    assert_eq!(server.ask("POST", rules, &huge).await.status, 413);

    // A head without end.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut written = 0;
    while written < 1_000_000 && stream.write_all(&[b'x'; 1_000]).await.is_ok() {
        written += 1_000;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        written < 1_000_000 || answer.starts_with(b"HTTP/1.1 4"),
        "{written}"
    );
}
