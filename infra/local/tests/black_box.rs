//! The running binary over HTTP, killed in the middle of its work.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tributary::clock::Clock;
use tributary_local::api::{Api, text};
use tributary_local::instance::{Instance, Settings};

const ORDERS: usize = 3_000;
/// How long anything here may take to come about.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server process; ended when dropped.
struct Server {
    process: Child,
    url: String,
    /// What it said when it started, line by line.
    greeting: Vec<String>,
    log: PathBuf,
}

impl Server {
    fn start(data: &Path) -> Self {
        let stored = ["--data", data.to_str().unwrap()];
        Self::start_with(
            &[&["--listen", "127.0.0.1:0"][..], &stored].concat(),
            &data.with_extension("log"),
        )
    }

    fn start_with(arguments: &[&str], log: &Path) -> Self {
        let errors = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tributary-local"))
            .arg("serve")
            .args(arguments)
            .env("RUST_LOG", "info,tributary=debug")
            .env_remove("TRIBUTARY_OPERATOR_KEY")
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut greeting: Vec<String> = Vec::new();
        while !greeting
            .last()
            .is_some_and(|line| line.contains("Ctrl-C ends this"))
        {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("{}", std::fs::read_to_string(log).unwrap()));
            greeting.push(line.unwrap());
        }
        let url = greeting[0].rsplit(' ').next().unwrap().to_owned();
        // Read on, so that the server never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            url,
            greeting,
            log: log.to_owned(),
        }
    }

    fn kill(mut self) {
        // SIGKILL on Unix: nothing is flushed, no handler runs.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
    }

    fn ends(&mut self) -> ExitStatus {
        until("the server ends", || self.process.try_wait().unwrap())
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// Looks until there is something; panics when there is nothing for too long.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Orders of two countries; returns the file and what each country's sales come to, line by line.
fn orders(folder: &Path) -> (PathBuf, i64, i64) {
    let path = folder.join("orders.csv");
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(
        file,
        "invoice,occurred_at,customer,country,quantity,amount_minor"
    )
    .unwrap();
    let (mut home, mut abroad) = (0, 0);
    let mut random: u64 = 42;
    for number in 0..ORDERS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let amount = i64::try_from(random >> 44).unwrap() % 50_000 + 1;
        let country = if (random >> 33) & 3 == 0 {
            "Norway"
        } else {
            "United Kingdom"
        };
        // 7.5 % at home; 4.00 and 2 % abroad: half away from zero, line by line.
        match country {
            "Norway" => abroad += 400 + (amount * 20 + 500) / 1_000,
            _ => home += (amount * 75 + 500) / 1_000,
        }
        let (day, hour, minute) = (number % 28 + 1, number / 60 % 24, number % 60);
        let (invoice, customer) = (500_000 + number, number % 97);
        writeln!(
            file,
            "{invoice},2011-03-{day:02}T{hour:02}:{minute:02}:00Z,{customer},{country},1,{amount}"
        )
        .unwrap();
    }
    (path, home, abroad)
}

fn replay(server: &Server, data: &Path, file: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tributary-local"))
        .args(["replay", "--to", &server.url, "--hold-days", "30"])
        .args(more)
        .args([
            "--plan",
            "United Kingdom=7.5%",
            "--plan",
            "Norway=4.00+2%",
            "--operator-key-file",
        ])
        .arg(data.join("operator-key"))
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn get(instance: &Instance, key: &str, path: &str) -> Value {
    let request = Request::get(path)
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap();
    let response = instance.router().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(
        status.is_success(),
        "{path}: {}",
        String::from_utf8_lossy(&bytes)
    );
    serde_json::from_slice(&bytes).unwrap()
}

/// Every entry of a list.
async fn all(instance: &Instance, key: &str, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(instance, key, &format!("{path}limit=200{cursor}")).await;
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// How many conversions a store holds, read from its file.
fn stored(data: &Path) -> usize {
    let connection = rusqlite::Connection::open(data.join("dynamodb.sqlite")).unwrap();
    // The engine puts a key's type before it.
    let count = "SELECT count(*) FROM \"tributary-main\" WHERE sk = 'S:FACTS'";
    connection.query_row(count, [], |row| row.get(0)).unwrap()
}

/// The ids that a replay has noted as acknowledged.
fn noted(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // Without what may be under way behind the last line's end.
    let lines = text
        .rsplit_once('\n')
        .map_or("", |(lines, _)| lines)
        .lines();
    let ids: BTreeSet<String> = lines.map(str::to_owned).collect();
    assert!(ids.iter().all(|id| id.starts_with("cnv_")), "{text}");
    ids
}

/// Asks for each conversion by its id: every one is there.
async fn all_found(server: &Server, data: &Path, ids: &BTreeSet<String>) {
    let key = std::fs::read_to_string(data.join("operator-key")).unwrap();
    let api = Api::new(&server.url, key.trim()).unwrap();
    let lost: Vec<&String> = stream::iter(ids)
        .map(async |id| {
            let found = api.get(&format!("/v1/conversions/{id}")).await;
            (!found.is_ok_and(|conversion| text(&conversion, "/id") == *id)).then_some(id)
        })
        .buffer_unordered(16)
        .filter_map(async |lost| lost)
        .collect()
        .await;
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[tokio::test]
async fn killed_in_the_middle_of_a_replay_nothing_acknowledged_is_lost_and_nothing_is_paid_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let (file, home, abroad) = orders(folder.path());
    let acknowledged = folder.path().join("acknowledged");
    let noting = ["--acknowledged", acknowledged.to_str().unwrap()];
    // Kills at different depths into the work: while it sets up, early, and late.
    for depth in [0, 200, 1_300] {
        let server = Server::start(&data);
        // Before anything is sent again: what an earlier server acknowledged, this one has.
        all_found(&server, &data, &noted(&acknowledged)).await;
        let mut client = replay(&server, &data, &file, &noting);
        until("enough conversions", || {
            let ended = client.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the replay ended before the kill: {ended:?}"
            );
            (noted(&acknowledged).len() >= depth).then_some(())
        });
        server.kill();
        let cut_short = client.wait().unwrap();
        assert!(!cut_short.success(), "the kill came before the end");
    }
    let before_the_last_kill = noted(&acknowledged);
    let stored = stored(&data);
    assert!(
        before_the_last_kill.len() <= stored && stored < ORDERS,
        "{stored} stored"
    );
    let server = Server::start(&data);
    all_found(&server, &data, &before_the_last_kill).await;
    // What was acknowledged before is a duplicate now; the rest is new; nothing is refused.
    let finished = replay(&server, &data, &file, &noting)
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8(finished.stdout).unwrap();
    assert!(
        finished.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&finished.stderr)
    );
    let accepted = ORDERS - figure(&said, "duplicate");
    assert!(
        said.contains(&format!("sent {ORDERS}, accepted {accepted}, "))
            && said.contains("refused 0"),
        "{said}"
    );
    assert!(figure(&said, "duplicate") >= before_the_last_kill.len());
    let second = replay(&server, &data, &file, &noting)
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(
        said.contains(&format!("accepted 0, duplicate {ORDERS}, refused 0")),
        "{said}"
    );
    let acknowledged = noted(&acknowledged);
    assert_eq!(acknowledged.len(), ORDERS);
    assert!(acknowledged.is_superset(&before_the_last_kill));
    let log = server.log.clone();
    server.kill();

    // The store as the last kill left it, opened here, with what was under way brought to its end.
    let clock = Clock::manual(Clock::System.now());
    let settings = Settings {
        data: Some(data.clone()),
        ..Settings::in_memory(clock.clone())
    };
    let instance = Instance::open(settings).await.unwrap();
    let key = instance.operator_key(None, Some(&data)).await.unwrap().text;
    for _ in 0..30 {
        instance.settle().await.unwrap();
        clock.set(instance.app().now() + jiff::SignedDuration::from_mins(7));
        instance.cloud().clock_moved();
        instance.run_clockwork(instance.app().now()).await.unwrap();
    }
    instance.settle().await.unwrap();
    let programs = all(&instance, &key, "/v1/programs?").await;
    assert_eq!(programs.len(), 1);
    let program = programs[0]["id"].as_str().unwrap();
    let conversions = all(
        &instance,
        &key,
        &format!("/v1/conversions?program={program}&"),
    )
    .await;
    assert_eq!(conversions.len(), ORDERS);
    for conversion in &conversions {
        assert_eq!(conversion["state"], "payable", "{conversion}");
    }
    let ids: BTreeSet<String> = conversions.iter().map(|one| text(one, "/id")).collect();
    assert_eq!(ids, acknowledged, "what was acknowledged, and nothing else");
    let mut sums = Vec::new();
    let mut paid: BTreeMap<String, usize> = BTreeMap::new();
    for partner in all(&instance, &key, "/v1/partners?").await {
        let partner_path = format!("/v1/partners/{}", partner["id"].as_str().unwrap());
        for entry in all(&instance, &key, &format!("{partner_path}/ledger?")).await {
            if entry["kind"] == "commission" {
                *paid.entry(text(&entry, "/source")).or_default() += 1;
            }
        }
        let balances = get(&instance, &key, &format!("{partner_path}/balances")).await;
        let minor = |field: &str| {
            balances["items"][0][field]
                .as_str()
                .unwrap()
                .replace('.', "")
                .parse::<i64>()
                .unwrap()
        };
        assert_eq!(minor("pending"), 0, "all holds have passed");
        sums.push((
            partner["name"].as_str().unwrap().to_owned(),
            minor("payable"),
        ));
    }
    sums.sort();
    assert_eq!(
        sums,
        [
            ("Norway".to_owned(), abroad),
            ("United Kingdom".to_owned(), home)
        ]
    );

    // One outcome each: the commission of every conversion was posted, and posted once.
    assert!(paid.values().all(|times| *times == 1));
    assert_eq!(paid.into_keys().collect::<BTreeSet<_>>(), acknowledged);

    // Not a word of the key in the logs, at the product's most talkative level.
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("request"), "the log holds the requests");
    assert!(!logged.contains(&key));
}

/// The figure that stands behind a word in what a replay says.
fn figure(said: &str, word: &str) -> usize {
    let (_, rest) = said.split_once(&format!("{word} ")).unwrap();
    rest.split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn the_log_holds_no_issued_secret_token_or_bank_account() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let server = Server::start(&data);
    let key = std::fs::read_to_string(data.join("operator-key")).unwrap();
    let api = Api::new(&server.url, key.trim()).unwrap();
    let attribution = json!({ "model": "last_click", "window_days": 30 });
    let program = json!({ "name": "Spring", "currency": "GBP", "attribution": attribution });
    let program = api.post("/v1/programs", &program).await.unwrap();
    let (id, token) = (text(&program, "/id"), text(&program, "/postback_token"));
    let person = json!({ "name": "Ada Lovelace", "email": "ada@private.example", "country": "GB", "kind": "affiliate" });
    let partner = text(&api.post("/v1/partners", &person).await.unwrap(), "/id");
    let partner_key = api
        .post(&format!("/v1/partners/{partner}/keys"), &json!({}))
        .await
        .unwrap();
    let partner_key = text(&partner_key, "/key");
    let address = json!({ "line1": "1 High Street", "city": "London", "postcode": "N1 1AA", "country": "GB" });
    let bank = json!({ "kind": "bank", "name": "Ada Lovelace", "iban": "GB33BUKB20201555555555", "bic": "BUKBGB22", "address": address });
    let method = format!("/v1/partners/{partner}/payout-method");
    api.put(&method, &bank).await.unwrap();
    let _ = api
        .put(
            &method,
            &json!({ "kind": "bank", "iban": "GB33BUKB20201555555556" }),
        )
        .await
        .unwrap_err();
    // The token in the query, by a known and by an unknown coupon, once right and once wrong.
    let as_nobody = Api::new(&server.url, "").unwrap();
    for query in ["transaction_id=o-1&coupon=NONE&amount=5.00", "amount=five"] {
        let path = format!("/v1/postbacks/{id}?token={token}&{query}");
        let _ = as_nobody
            .send(reqwest::Method::GET, &path, None, None)
            .await
            .unwrap();
    }
    let own = Api::new(&server.url, &partner_key).unwrap();
    own.get(&format!("/v1/partners/{partner}/balances"))
        .await
        .unwrap();
    let log = server.log.clone();
    server.kill();
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(
        logged.contains("/v1/postbacks/{program}"),
        "the log names routes"
    );
    let signing_secret = text(&program, "/signing_secret").replace("whsec_", "");
    let secrets = [
        key.trim(),
        &token,
        &signing_secret,
        &partner_key,
        "GB33BUKB2020155555555",
        "ada@private.example",
        "Lovelace",
    ];
    for secret in secrets {
        assert!(secret.len() >= 8 && !logged.contains(secret), "{secret}");
    }
}

#[test]
fn the_tour_succeeds_and_ends_with_statement_and_file() {
    let tour = Command::new(env!("CARGO_BIN_EXE_tributary-local"))
        .arg("tour")
        .output()
        .unwrap();
    let said = String::from_utf8(tour.stdout).unwrap();
    assert!(
        tour.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&tour.stderr)
    );
    assert!(
        said.contains("The partner's statement:") && said.contains(",PAYPAL"),
        "{said}"
    );
}

#[test]
fn a_second_process_on_one_store_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let _server = Server::start(&data);
    let second = Command::new(env!("CARGO_BIN_EXE_tributary-local"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("in use by another process"), "{said}");
}

/// A request that the greeting prints.
#[derive(Debug, Default)]
struct Printed {
    url: String,
    headers: Vec<(String, String)>,
    data: Option<String>,
}

/// Reads `curl -s URL -H "…" -d '…'` as a shell and curl would, with `$(cat FILE)` and the variables given.
fn printed(line: &str, variables: &BTreeMap<String, String>) -> Printed {
    let mut words = words(line, variables).into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"));
    let mut request = Printed::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-s" => {}
            "-H" => {
                let header = words.next().unwrap();
                let (name, value) = header.split_once(": ").unwrap();
                request.headers.push((name.to_owned(), value.to_owned()));
            }
            "-d" => request.data = words.next(),
            url => {
                assert!(request.url.is_empty() && !url.starts_with('-'), "{line}");
                request.url = url.to_owned();
            }
        }
    }
    // What curl says of a body unless told otherwise.
    let told = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
    if request.data.is_some() && !request.headers.iter().any(told) {
        let form = "application/x-www-form-urlencoded".to_owned();
        request.headers.push(("content-type".to_owned(), form));
    }
    request
}

/// The words of a shell's command: blanks part them, '…' is taken as it stands, "…" with its expansions.
fn words(line: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let word;
        if let Some(quoted) = rest.strip_prefix('\'') {
            (word, rest) = quoted.split_once('\'').unwrap();
            words.push(word.to_owned());
        } else if let Some(quoted) = rest.strip_prefix('"') {
            (word, rest) = quoted.split_once('"').unwrap();
            words.push(expanded(word, variables));
        } else {
            (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            assert!(!word.contains(['$', '\'', '"', '&', '?', ';']), "{word}");
            words.push(word.to_owned());
        }
        rest = rest.trim_start();
    }
    words
}

fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let Some((before, after)) = text.split_once('$') else {
        return text.to_owned();
    };
    let value = match after.strip_prefix("(cat ") {
        Some(path) => {
            let path = path.strip_suffix(')').unwrap();
            let path = words(path, variables);
            assert_eq!(path.len(), 1, "{text}");
            let content = std::fs::read_to_string(&path[0]).unwrap();
            content.trim_end().to_owned()
        }
        None => variables
            .get(after)
            .unwrap_or_else(|| panic!("{text}: ${after} was not set"))
            .clone(),
    };
    format!("{before}{value}")
}

#[tokio::test]
async fn the_printed_requests_work_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("my store");
    let data = data.to_str().unwrap();
    let local = ["--listen", "127.0.0.1:0"];
    let anywhere = ["--listen", "0.0.0.0:0"];
    for arguments in [
        [&local[..], &["--data", data]].concat(),
        // The same folder again, whose key is not fresh any more.
        [&local[..], &["--data", data]].concat(),
        [&local[..], &["--in-memory"]].concat(),
        [&anywhere[..], &["--in-memory"]].concat(),
    ] {
        let server = Server::start_with(&arguments, &folder.path().join("log"));
        assert!(
            server.url.starts_with("http://127.0.0.1:"),
            "{}",
            server.url
        );
        let mut variables = BTreeMap::new();
        let mut answers = Vec::new();
        for line in server.greeting.iter().map(|line| line.trim()) {
            if let Some((name, value)) = line
                .strip_prefix("export ")
                .and_then(|set| set.split_once('='))
            {
                variables.insert(name.to_owned(), value.to_owned());
            }
            if !line.starts_with("curl ") {
                continue;
            }
            let request = printed(line, &variables);
            let method = match request.data {
                Some(_) => reqwest::Method::POST,
                None => reqwest::Method::GET,
            };
            let mut sent = reqwest::Client::new().request(method, &request.url);
            for (name, value) in request.headers {
                sent = sent.header(name, value);
            }
            let answer = sent
                .body(request.data.unwrap_or_default())
                .send()
                .await
                .unwrap();
            let status = answer.status();
            let said = answer.text().await.unwrap();
            assert!(status.is_success(), "{line}\n{status} {said}");
            answers.push(serde_json::from_str::<Value>(&said).unwrap());
        }
        assert_eq!(answers.len(), 4, "{:?}", server.greeting);
        let listed = answers[3]["items"].as_array().unwrap();
        assert!(listed.iter().any(|partner| partner["name"] == "Ada"));
        server.kill();
    }
}

const CLOSING: &str = "Ended; nothing acknowledged was lost.";

#[test]
fn ctrl_c_ends_it_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&folder.path().join("store"));
    server.interrupt();
    assert_eq!(server.ends().code(), Some(0));
    let logged = server.logged();
    assert!(logged.trim_end().ends_with(CLOSING), "{logged}");
    assert!(!logged.contains("cut off"), "{logged}");
}

/// Half of a request: its handler waits for the rest of the body, as its asking for it shows.
fn half_a_request(server: &Server, data: &Path) -> TcpStream {
    let key = std::fs::read_to_string(data.join("operator-key")).unwrap();
    let mut connection = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = [
        "POST /v1/programs HTTP/1.1",
        "host: 127.0.0.1",
        &format!("authorization: Bearer {}", key.trim()),
        "content-type: application/json",
        "content-length: 1000",
        "expect: 100-continue",
    ];
    write!(connection, "{}\r\n\r\n", head.join("\r\n")).unwrap();
    let mut asked = [0; 12];
    connection.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    write!(connection, "{{\"name\":").unwrap();
    connection
}

#[test]
fn ctrl_c_ends_it_within_seconds_though_somebody_sent_half_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let mut server = Server::start(&data);
    let connection = half_a_request(&server, &data);
    let begun = Instant::now();
    server.interrupt();
    assert_eq!(server.ends().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20));
    let logged = server.logged();
    assert!(logged.contains("cut off"), "{logged}");
    assert!(logged.trim_end().ends_with(CLOSING), "{logged}");
    drop(connection);
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let mut server = Server::start(&data);
    let connection = half_a_request(&server, &data);
    let begun = Instant::now();
    server.interrupt();
    // Told to end, it takes no further connections: the first signal has been taken note of.
    let address = server.url.trim_start_matches("http://").to_owned();
    until("no more connections", || TcpStream::connect(&address).err());
    server.interrupt();
    assert_eq!(server.ends().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(9));
    let logged = server.logged();
    assert!(logged.contains("cut off"), "{logged}");
    assert!(logged.trim_end().ends_with(CLOSING), "{logged}");
    drop(connection);
}

#[test]
fn a_replay_passes_over_what_is_refused_tells_of_it_and_ends_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let server = Server::start(&data);
    let file = folder.path().join("orders.csv");
    let too_long = "N".repeat(1_000);
    let rows = format!(
        "invoice,occurred_at,customer,country,amount_minor
1,2011-03-01T08:00:00Z,7,Norway,100
2,2011-03-01T08:00:00Z,7,Norway,ten
3,2011-03-01T08:00:00Z,7
4,2011-03-01T08:00:00Z,7,,100
5,2011-03-01T08:00:00Z,7,Norway,-100
6,2011-03-01T08:00:00Z,7,{too_long},100
7,2011-03-01T08:00:00Z,7,Norway,100
"
    );
    std::fs::write(&file, rows).unwrap();
    let ended = replay(&server, &data, &file, &[])
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}{errors}");
    assert!(errors.contains("5 orders were refused"), "{errors}");
    for expected in [
        "sent 3, accepted 2, duplicate 0, refused 5;",
        "refused with an unreadable row: 3",
        "line 3, order 2: \"ten\" is not an amount in minor units",
        "line 4: has 3 columns in place of 5",
        "line 5, order 4: country is empty",
        "refused with 422",
        "line 6, order 5: amount",
        "refused with 422, its partner: 1",
        "line 7, order 6: name",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    // Duplicates alone are no failure.
    std::fs::write(
        &file,
        "invoice,occurred_at,customer,country,amount_minor\n1,2011-03-01T08:00:00Z,7,Norway,100\n",
    )
    .unwrap();
    let again = replay(&server, &data, &file, &[])
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(again.status.success(), "{said}");
    assert!(
        said.contains("accepted 0, duplicate 1, refused 0"),
        "{said}"
    );
}
