//! The main job, whole: sentences become bots of the real binary, which meet real
//! counterparts, and go on after the process was killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod harness;

use harness::{Counterpart, Server, command, json, wait_until};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};
use std::path::Path;

struct World {
    data: tempfile::TempDir,
    counterpart: Counterpart,
    tables: DatabaseConnection,
}

impl World {
    async fn new() -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/tables.db", data.path().display());
        let tables = Database::connect(format!("{url}?mode=rwc")).await.unwrap();
        for sql in [
            "CREATE TABLE orders (id INTEGER)",
            "INSERT INTO orders VALUES (1), (2), (3)",
            "CREATE TABLE leads (email TEXT)",
            "CREATE TABLE invoices (number TEXT, amount INTEGER)",
        ] {
            tables.execute_unprepared(sql).await.unwrap();
        }
        std::fs::create_dir(data.path().join("in")).unwrap();
        World { data, counterpart: Counterpart::start().await, tables }
    }

    fn path(&self) -> &Path {
        self.data.path()
    }

    async fn connect(&self) {
        let http = &self.counterpart.http;
        for (name, value) in [
            ("email", json!({"url": self.counterpart.smtp, "from": "bots@example.com"})),
            ("sql", json!({"url": format!("sqlite://{}/tables.db", self.path().display())})),
            ("slack", json!({"webhook_url": format!("{http}/slack")})),
            ("discord", json!({"webhook_url": format!("{http}/discord")})),
            ("telegram", json!({"token": "tok", "chat_id": "7", "base_url": http})),
        ] {
            let (done, _) = command(self.path(), &["connect", name, &value.to_string()]).await;
            assert!(done, "connect {name}");
        }
    }

    /// Makes the bot of a sentence; its name.
    async fn make(&self, sentence: &str) -> String {
        let made = json(self.path(), &["make", "--yes", sentence]).await;
        made["bot"]["name"].as_str().unwrap().to_owned()
    }

    async fn apply(&self, name: &str, blueprint: &str) {
        let file = self.path().join(format!("{name}.yaml"));
        std::fs::write(&file, blueprint).unwrap();
        let (done, _) = command(self.path(), &["apply", "-f", file.to_str().unwrap()]).await;
        assert!(done, "apply {name}");
    }

    /// Runs a bot by hand; its execution's id, once it ended in this state.
    async fn run(&self, bot: &str, status: &str) -> String {
        let (_, text) = command(self.path(), &["run", bot, "--wait", "--json"]).await;
        let execution: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(execution["status"], status, "{bot}: {execution}");
        execution["id"].as_str().unwrap().to_owned()
    }

    async fn count(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.tables.get_database_backend(), sql);
        self.tables.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    /// The bot's trigger, once it has polled for the first time or again.
    async fn polled(&self, bot: &str) -> String {
        wait_until("a poll", async || {
            let triggers = json(self.path(), &["triggers", "list"]).await;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
            let trigger = triggers["items"].as_array().unwrap().iter().find(|t| t["bot_name"] == bot)?.clone();
            let next = u128::from(trigger["upcoming"][0].as_u64()?);
            (next > now).then(|| trigger["id"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// Posts to a webhook of the server; what it answers.
    async fn hook(&self, server: &Server, path: &str, body: Value) -> Value {
        let url = format!("{}/hooks/home/{path}", server.address);
        let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }
}

/// The bots of the sentences, by what they do.
struct Bots {
    orders: String,
    feed: String,
    down: String,
    price: String,
    script: String,
    invoices: String,
    items: String,
}

const TRIAGE: &str = r#"codex32: v1
name: triage
on: [manual]
permissions: {network: ["HOST"]}
steps:
  - use: http.post
    with: {url: "http://HOST/triage", json: "{{ input }}"}
"#;

async fn make(world: &World) -> Bots {
    let http = &world.counterpart.http;
    let dir = world.path().join("in").display().to_string();
    let beat = world.path().join("beat").display().to_string();
    world.apply("triage", &TRIAGE.replace("HOST", http.trim_start_matches("http://"))).await;
    world.apply("a", "codex32: v1\nname: a\non: [manual]\nsteps:\n  - fail: broken\n").await;
    let node = format!(
        "const fs=require('fs'); fs.appendFileSync('{beat}','x'); \
         if (fs.readFileSync('{beat}','utf8').length<2) process.exit(3); setInterval(()=>{{}},1000)"
    );
    for sentence in [
        "when a webhook arrives with a field \"email\", store it in table leads and reply with {\"ok\": true}"
            .to_owned(),
        format!("when a file appears in {dir}, send its contents to {http}/files and move it to {dir}/done"),
        "ask me for approval by email before posting the webhook's message to discord".to_owned(),
        format!("keep this node script running and restart it when it crashes: {node}"),
        "when bot A fails, send its error to slack".to_owned(),
    ] {
        world.make(&sentence).await;
    }
    Bots {
        orders: world.make("every weekday at 9am Berlin time email me the number of rows in table orders").await,
        feed: world
            .make(&format!("watch https feed {http}/feed.xml and send each new item's title and link to slack"))
            .await,
        down: world.make(&format!("every hour check {http}/down and tell me on telegram if it is down")).await,
        price: world
            .make(&format!("fetch {http}/price.json every 5 minutes and if usd is below 50000 post it to {http}/alerts"))
            .await,
        script: world
            .make("every night at 2:30 run this python script: raise SystemExit('boom') and email me its output if it fails")
            .await,
        invoices: world
            .make(&format!(
                "on the last Friday of each month, get {http}/invoices.csv as csv and insert every row into table invoices"
            ))
            .await,
        items: world
            .make(&format!(
                "every 10 minutes get {http}/items.json; for each item whose status is \"open\", call bot triage with it"
            ))
            .await,
    }
}

/// Lets each bot work once and looks at what it left at the counterpart.
async fn work(world: &World, server: &Server, bots: &Bots, round: usize) {
    by_hand(world, bots, round).await;
    by_trigger(world, bots, round).await;
    let there = &world.counterpart;
    let email = format!("lead{round}@example.com");
    assert_eq!(world.hook(server, "leads", json!({"email": email})).await, json!({"ok": true}));
    assert_eq!(world.count(&format!("SELECT count(*) FROM leads WHERE email = '{email}'")).await, 1);

    let message = format!("message{round}");
    world.hook(server, "discord", json!({"message": message})).await;
    let mail = wait_until("the mail that asks", async || there.mail(&message)).await;
    assert!(!there.at("/discord").iter().any(|post| post.body.contains(&message)), "posted before it was approved");
    let link = mail.lines().find_map(|line| line.strip_prefix("Approve: ")).unwrap().trim();
    assert!(reqwest::Client::new().post(link).send().await.unwrap().status().is_success());
    wait_until("the post", async || there.at("/discord").iter().find(|post| post.body.contains(&message)).cloned())
        .await;
}

async fn by_hand(world: &World, bots: &Bots, round: usize) {
    let there = &world.counterpart;
    let made = |path: &str, id: &str| {
        there.at(path).into_iter().filter(|r| r.key.as_ref().is_some_and(|k| k.starts_with(id))).collect::<Vec<_>>()
    };
    world.run(&bots.orders, "succeeded").await;
    assert_eq!(there.mails("Rows in table orders: 3"), round);
    let id = world.run(&bots.down, "succeeded").await;
    assert!(made("/bottok/sendMessage", &id)[0].body.contains("is down"));
    let id = world.run(&bots.price, "succeeded").await;
    assert_eq!(made("/alerts", &id)[0].body, r#"{"usd":42000}"#);
    world.run(&bots.script, "failed").await;
    assert_eq!(there.mails("boom"), round);
    world.run(&bots.invoices, "succeeded").await;
    assert_eq!(world.count("SELECT count(*) FROM invoices WHERE number IN ('A1', 'A2')").await, 2 * round as i64);
    let before = there.at("/triage").len();
    world.run(&bots.items, "succeeded").await;
    let calls = there.at("/triage").split_off(before);
    assert!(calls.len() >= 2 && calls.iter().all(|call| call.body.contains("\"open\"")), "{calls:?}");
    world.run("a", "failed").await;
    wait_until("the error", async || {
        (there.at("/slack").iter().filter(|r| r.body.contains("broken")).count() == round).then_some(())
    })
    .await;
}

async fn by_trigger(world: &World, bots: &Bots, round: usize) {
    let there = &world.counterpart;
    let beat = world.path().join("beat");
    // It crashes once, runs from then on, and is started anew after the server's crash.
    wait_until("the script", async || std::fs::read_to_string(&beat).ok().filter(|beats| beats.len() > round)).await;

    world.polled("files-bot").await;
    let (name, text) = (format!("{round}.txt"), format!("contents {round}"));
    std::fs::write(world.path().join(format!("new-{name}")), &text).unwrap();
    std::fs::rename(world.path().join(format!("new-{name}")), world.path().join("in").join(&name)).unwrap();
    wait_until("the file", async || there.at("/files").iter().find(|r| r.body == text).cloned()).await;
    wait_until("the move", async || {
        std::fs::read_to_string(world.path().join("in/done").join(&name)).ok().filter(|moved| *moved == text)
    })
    .await;
    assert!(!world.path().join("in").join(&name).exists());

    let trigger = world.polled(&bots.feed).await;
    let title = format!("title{round}");
    there.publish(&title);
    // Turned off and on again it polls at once, not after five minutes.
    json(world.path(), &["triggers", "set_enabled", &trigger, "false"]).await;
    json(world.path(), &["triggers", "set_enabled", &trigger, "true"]).await;
    let sent = wait_until("the item", async || there.at("/slack").into_iter().find(|r| r.body.contains(&title))).await;
    assert!(sent.body.contains(&format!("http://x/{title}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_twelve_sentences_work_and_survive_a_crash() {
    let world = World::new().await;
    let server = Server::start(world.path()).await;
    world.connect().await;
    let bots = make(&world).await;
    work(&world, &server, &bots, 1).await;
    server.kill().await;
    let server = Server::start(world.path()).await;
    work(&world, &server, &bots, 2).await;
    server.kill().await;
}

const THREE: &str = r#"codex32: v1
name: three
on: [manual]
permissions: {network: ["HOST"]}
steps:
  - {id: one, use: http.post, with: {url: "http://HOST/one", json: {}}}
  - {id: two, use: http.post, with: {url: "http://HOST/held", json: {}}}
  - {id: three, use: http.post, with: {url: "http://HOST/three", json: {}}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_of_an_execution_repeats_no_recorded_step() {
    let world = World::new().await;
    let server = Server::start(world.path()).await;
    let there = &world.counterpart;
    world.apply("three", &THREE.replace("HOST", there.http.trim_start_matches("http://"))).await;
    let started = json(world.path(), &["run", "three"]).await;
    let id = started["id"].as_str().unwrap();
    wait_until("step two", async || there.at("/held").first().cloned()).await;
    server.kill().await;
    let server = Server::start(world.path()).await;
    wait_until("step two again", async || there.at("/held").get(1).cloned()).await;
    there.release();
    let ended = wait_until("the end", async || {
        let execution = json(world.path(), &["executions", "get", id]).await;
        execution["finished_at"].is_number().then_some(execution)
    })
    .await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let steps: Vec<_> = ended["steps"].as_array().unwrap().iter().map(|s| (&s["path"], &s["status"])).collect();
    assert_eq!(steps.len(), 3, "{steps:?}");
    for (path, times) in [("/one", 1), ("/held", 2), ("/three", 1)] {
        let mut keys: Vec<_> = there.at(path).into_iter().map(|r| r.key.unwrap()).collect();
        assert_eq!(keys.len(), times, "{path}");
        keys.dedup();
        assert_eq!(keys.len(), 1, "another key at the second attempt: {keys:?}");
    }
    server.kill().await;
}
