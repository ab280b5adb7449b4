//! `cargo xtask demo --play`: the main job from a stranger's mail to a moved contact and a threaded answer, on a real mail
//! server. Every step is seen from outside: by HTTP, by a Socket.IO client that others wrote, in the stranger's mailbox.
#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what it does not have")]

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dealwright::env::Env;
use dealwright_peers::{
    Heard, Mail, Postgres, SocketIoClient, free_port,
    product::{Api, Server, StatusCode, eventually},
};
use serde_json::{Value, json};

use super::{Database, server};

const OURS: &str = "una@acme.test";
const STRANGER: &str = "ada@lovelace.test";
const SECOND_STRANGER: &str = "grace@hopper.test";

/// Prints each step with the time it took.
struct Steps {
    number: u32,
    since: Instant,
}

impl Steps {
    fn seen(&mut self, what: &str) {
        self.number += 1;
        println!("{:>3}. {what}  ({:.1} s)", self.number, self.since.elapsed().as_secs_f64());
        self.since = Instant::now();
    }
}

/// A text member of a JSON object.
fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}

/// The next event of a name that a client hears.
fn heard(client: &Heard, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut found = Value::Null;
    client
        .await_line(|line| {
            let Ok(event) = serde_json::from_str::<Value>(line) else { return false };
            let data = event.get("data").cloned().unwrap_or_default();
            let hit = event.get("event").and_then(Value::as_str) == Some(name) && wanted(&data);
            if hit {
                found = data;
            }
            hit
        })
        .with_context(|| format!("waiting for the Socket.IO event {name}"))?;
    Ok(found)
}

/// A mail as a stranger's program would write it.
fn mail(from: &str, name: &str, id: &str, subject: &str, body: &str) -> String {
    // What is older than the mailbox's connection is history, and history makes no rule run.
    let now = Env::system().now().to_rfc2822();
    format!(
        "From: {name} <{from}>\r\nTo: {OURS}\r\nSubject: {subject}\r\nMessage-ID: <{id}>\r\nDate: {now}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    )
}

/// Plays the main job on a database of the chosen kind.
pub fn play(database: Database) -> Result<()> {
    let mut steps = Steps { number: 0, since: Instant::now() };
    let folder = tempfile::tempdir()?;
    let mail = Mail::start()?;
    let passwords = [OURS, STRANGER, SECOND_STRANGER].map(|address| mail.add_user(address));
    let [password, ..] = passwords;
    steps.seen("a private Dovecot and Postfix run");
    let (_postgres, url) = match database {
        Database::Sqlite => (None, format!("sqlite://{}", folder.path().join("play.db").display())),
        Database::Postgres => {
            let postgres = Postgres::start()?;
            let urls = postgres.create_database("play")?;
            let migrated = server()?.args(["migrate", "--database", &urls.owner, "--app-role", "crm_app"]).status()?;
            ensure!(migrated.success(), "the migration failed");
            steps.seen(
                "a private PostgreSQL runs, migrated by its owner; the server works as a role under row-level security",
            );
            (Some(postgres), urls.app)
        }
    };
    let ca = mail.ca_file.to_str().context("the path of the certificate")?;
    let port = free_port()?;
    let listen = ([127, 0, 0, 1], port.number).into();
    let server = Server::start(
        server()?,
        listen,
        &url,
        &folder.path().join("data"),
        &["--extra-ca", ca, "--log-level", "warn"],
    )?;
    steps.seen(&format!("the server listens on {}", server.url));
    act(&mut steps, &server, &mail, &password?)?;
    println!("every step was observed from outside");
    Ok(())
}

fn act(steps: &mut Steps, server: &Server, mail: &Mail, password: &str) -> Result<()> {
    let mut api = Api::new(&server.url);
    let sign_up =
        json!({ "email": OURS, "password": "correct horse battery", "name": "Una", "organization_name": "Acme" });
    let signed_up = api.post("/api/auth/signup", sign_up, StatusCode::CREATED)?;
    api.sign_in(text(&signed_up, "/access_token")?);
    let stages = api.get("/api/pipeline/stages")?;
    let stage = |name: &str| -> Result<String> {
        let all = stages.pointer("/data").and_then(Value::as_array).context("no stages")?;
        let found = all.iter().find(|stage| stage["name"] == name).with_context(|| format!("no stage {name}"))?;
        Ok(text(found, "/id")?.to_owned())
    };
    let (lead, qualified) = (stage("lead")?, stage("qualified")?);
    steps.seen("Una signs up; her organisation has the default pipeline with lead … lost");

    let on_time = json!({"id":"time-based-lead-to-qualified","trigger":"time_elapsed","condition":{"stage":"lead","elapsed_hours":24,"has_response":true},"action":{"move_to_stage":"qualified"}});
    let on_response = json!({"id":"client-responded","trigger":"message.received","condition":{"stage":"lead","is_first_response":true},"action":{"move_to_stage":"qualified","notify_team":true}});
    let on_time = text(&api.post("/api/automation/rules", on_time, StatusCode::CREATED)?, "/id")?.to_owned();
    let on_response = text(&api.post("/api/automation/rules", on_response, StatusCode::CREATED)?, "/id")?.to_owned();
    steps.seen("both rules of the source design are saved word for word");

    let settings = json!({
        "platform": "email", "email": OURS, "display_name": "Una of Acme",
        "imap": { "host": "localhost", "port": mail.ports.imap, "security": "starttls", "username": OURS, "password": password },
        "smtp": { "host": "localhost", "port": mail.ports.smtp, "security": "starttls", "username": OURS, "password": password },
    });
    let account =
        text(&api.post("/api/bd-accounts/connect", settings, StatusCode::CREATED)?, "/account/id")?.to_owned();
    eventually("the mailbox is active", || {
        Ok((api.get(&format!("/api/bd-accounts/{account}/status"))?["status"] == "active").then_some(()))
    })?;
    steps.seen("the mailbox is connected, checked live, and active");

    let client =
        SocketIoClient::node()?.listen(&server.url, api.token()?, &[&format!("bd-account-{account}")], None)?;
    client.await_line(|line| line.contains("\"subscribed\""))?;
    steps.seen("a Socket.IO client from npm is connected and in the account's room");

    mail.deliver(
        STRANGER,
        OURS,
        self::mail(STRANGER, "Ada Lovelace", "first@lovelace.test", "Your engine", "Hello, what does it cost?")
            .as_bytes(),
    )?;
    let message = heard(&client, "new-message", |data| data["message"]["sender"]["id"] == STRANGER)?;
    ensure!(message["unreadCount"] == 1, "one unread message: {message}");
    ensure!(
        message["message"]["content"]["text"].as_str().is_some_and(|text| text.trim() == "Hello, what does it cost?"),
        "the body alone: {message}"
    );
    let contact = text(&message, "/message/contact_id")?.to_owned();
    let chat = text(&message, "/chatId")?.to_owned();
    steps.seen("a stranger's mail by SMTP → `new-message` in real time, one unread");

    let moved = heard(&client, "stage-changed", |data| data["clientId"] == contact.as_str())?;
    ensure!(moved["fromStage"] == lead.as_str() && moved["toStage"] == qualified.as_str(), "lead → qualified: {moved}");
    ensure!(moved["autoMoved"] == true && moved["ruleId"] == on_response.as_str(), "moved by the rule: {moved}");
    steps.seen("the first response in lead → `stage-changed` to qualified, by the rule");
    heard(&client, "notification", |_| true)?;
    let notifications = api.get("/api/notifications")?;
    ensure!(
        notifications["data"][0]["contact_id"] == contact.as_str() && notifications["data"][0]["read"] == false,
        "{notifications}"
    );
    steps.seen("the team is notified, over Socket.IO and in the list");

    let inbox = api.get("/api/messaging/inbox")?;
    ensure!(
        inbox["data"][0]["chat_id"] == chat.as_str() && inbox["data"][0]["contact"]["name"] == "Ada Lovelace",
        "{inbox}"
    );
    let shown = api.get(&format!("/api/crm/clients/{contact}"))?;
    ensure!(shown["name"] == "Ada Lovelace" && shown["emails"][0] == STRANGER && shown["source"] == "email", "{shown}");
    steps.seen("the inbox shows the chat; the contact exists with name, address and source");

    let history = api.get(&format!("/api/pipeline/clients/{contact}/history"))?;
    let entries = history["data"].as_array().context("no history")?;
    ensure!(entries.len() == 2, "two entries: {history}");
    ensure!(
        entries[1]["from_stage_id"].is_null() && entries[1]["to_stage_id"] == lead.as_str(),
        "it sat in lead first: {history}"
    );
    ensure!(
        entries[0]["rule_id"] == on_response.as_str() && entries[0]["auto_moved"] == true,
        "and was moved by the rule: {history}"
    );
    let why = api.get(&format!("/api/automation/explain?contact_id={contact}"))?;
    ensure!(why["chain"][0]["event_kind"] == "message.received", "explained by the message: {why}");
    let pipeline = text(&shown, "/pipeline_id")?;
    let board = api.get(&format!("/api/pipeline/{pipeline}/board"))?;
    let column = board["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|column| column["stage"]["id"] == qualified.as_str())
        .context("no column")?;
    ensure!(column["count"] == 1 && column["cards"][0]["id"] == contact.as_str(), "on the board: {board}");
    let rates = api.get("/api/analytics/conversion-rates")?;
    ensure!(rates.to_string().contains(&format!("\"stage_id\":\"{lead}\"")), "{rates}");
    let of_lead = rates
        .pointer("/data")
        .or(rates.pointer("/stages"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|row| row["stage_id"] == lead.as_str())
        .context("no row of lead")?;
    ensure!(of_lead["entered"] == 1 && of_lead["moved_on"] == 1, "{rates}");
    steps.seen("history with its cause, the explanation, the board and the conversion rates show it");

    let answer = json!({ "chat_id": chat, "text": "Dear Ada, less than you think." });
    let sent = text(&api.post("/api/messaging/send", answer, StatusCode::ACCEPTED)?, "/id")?.to_owned();
    let arrived = mail.await_mailbox(STRANGER, "INBOX", 1)?;
    let arrived = String::from_utf8_lossy(arrived.first().context("no mail")?).into_owned();
    for line in [
        "In-Reply-To: <first@lovelace.test>",
        "References: <first@lovelace.test>",
        "Subject: Re: Your engine",
        "less than you think",
    ] {
        ensure!(arrived.contains(line), "{line:?} is missing in the answer:\n{arrived}");
    }
    steps.seen("the answer arrives at the stranger's mailbox by SMTP, threaded");
    mail.await_mailbox(OURS, "Sent", 1)?;
    eventually("the message is sent", || {
        let messages = api.get(&format!("/api/messaging/messages?chat_id={chat}"))?;
        let found = messages["data"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|it| it["id"] == sent.as_str() && it["status"] == "sent");
        Ok(found.then_some(()))
    })?;
    steps.seen("its copy lies in Sent, its status is `sent`");

    timer(steps, &api, mail, &client, (&on_response, &on_time), (&lead, &qualified))
}

/// The other rule: time passes in lead, with a response.
fn timer(
    steps: &mut Steps,
    api: &Api,
    mail: &Mail,
    client: &Heard,
    rules: (&str, &str),
    stages: (&str, &str),
) -> Result<()> {
    api.patch(&format!("/api/automation/rules/{}", rules.0), json!({ "enabled": false }))?;
    // 24 hours become four seconds; everything else of the rule stays.
    let condition = json!({ "stage": "lead", "elapsed_hours": 4.0 / 3600.0, "has_response": true });
    api.patch(&format!("/api/automation/rules/{}", rules.1), json!({ "condition": condition }))?;
    mail.deliver(
        SECOND_STRANGER,
        OURS,
        self::mail(SECOND_STRANGER, "Grace Hopper", "first@hopper.test", "Compilers", "Do you need one?").as_bytes(),
    )?;
    let message = heard(client, "new-message", |data| data["message"]["sender"]["id"] == SECOND_STRANGER)?;
    let contact = text(&message, "/message/contact_id")?.to_owned();
    let waiting = api.get(&format!("/api/crm/clients/{contact}"))?;
    ensure!(waiting["stage_id"] == stages.0, "the contact sits in lead: {waiting}");
    steps.seen("with the first rule off, a second stranger writes and sits in lead");
    let moved = heard(client, "stage-changed", |data| data["clientId"] == contact.as_str())?;
    ensure!(moved["toStage"] == stages.1 && moved["ruleId"] == rules.1, "moved by the time rule: {moved}");
    let runs = api.get(&format!("/api/automation/runs?contact_id={contact}"))?;
    if runs["data"][0]["outcome"] != "applied" || runs["data"].as_array().map(Vec::len) != Some(1) {
        bail!("one applied run: {runs}");
    }
    steps.seen("its timer fires → `stage-changed` to qualified, one run, recorded");
    Ok(())
}
